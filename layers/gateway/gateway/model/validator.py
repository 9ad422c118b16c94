"""`jsonschema` as the gateway uses it: nothing is fetched, and unique items are told apart in linear time."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from gateway.model.chat import Json
from gateway.model.schema_dialect import DRAFT_7, DRAFT_2020_12
from gateway.model.schema_parts import Place


def _unique_items(_validator: Any, demanded: Any, value: Any, _schema: Json) -> Iterator[ValidationError]:
    """jsonschema compares objects each with each: 13 s for 4,000 of them."""
    if demanded is True and isinstance(value, list) and len({_identity(item) for item in value}) < len(value):
        yield ValidationError(f"{value!r} has non-unique elements")


def _identity(value: Any) -> Hashable:
    """The same for values that JSON Schema calls equal, 1 and 1.0 as well as objects in another order."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", *map(_identity, value))
    if isinstance(value, dict):
        return frozenset((name, _identity(held)) for name, held in value.items())
    hashable: Hashable = value
    return hashable


_KEYWORDS = {"uniqueItems": _unique_items}
_extended: Any = extend  # jsonschema does not say what it takes
LATEST = _extended(Draft202012Validator, _KEYWORDS)
DIALECTS = {  # spec 0.11 of GTS is written in draft 7, later ones take any
    DRAFT_7: _extended(Draft7Validator, _KEYWORDS),
    DRAFT_2020_12: LATEST,
}
FORMATS = FormatChecker(LATEST.FORMAT_CHECKER.checkers)
_NOTHING: Registry[Any] = Registry()  # jsonschema's own default would fetch `$ref`s from the network


@FORMATS.checks("regex", raises=(re.error, OverflowError, RecursionError))
def _is_regex(value: object) -> bool:
    return not isinstance(value, str) or bool(re.compile(value))


def judge(value: Any, schema: Json, *, formats: bool = False) -> Iterator[ValidationError]:
    """Raises Unresolvable, and what `json_schema.UNCHECKABLE` lists."""
    errors: Iterator[ValidationError] = LATEST(
        schema, registry=_NOTHING, format_checker=FORMATS if formats else None
    ).iter_errors(value)
    return errors


def judge_schema(schema: Json, dialect: Any = LATEST) -> Iterator[ValidationError]:
    """Holds a schema against its own dialect."""
    errors: Iterator[ValidationError] = dialect(dialect.META_SCHEMA, format_checker=FORMATS).iter_errors(schema)
    return errors


class References:
    """What the references of one schema lead to."""

    def __init__(self, schema: Json) -> None:
        root = DRAFT202012.create_resource(schema)
        base = root.id() or ""
        self._schema, self._resolver = schema, _NOTHING.with_resource(base, root).crawl().resolver(base)

    def target(self, place: Place, keyword: str) -> Json | bool | None:
        """Of the reference at `place`; None when it leads to nothing, or to no schema."""
        here: Any = self._schema
        resolver = self._resolver
        for step in place.path:
            here = here[step]
            if isinstance(here, dict) and "$id" in here:
                resolver = resolver.in_subresource(DRAFT202012.create_resource(here))
        try:
            found = resolver.lookup(place.schema[keyword]).contents
        except Unresolvable:
            return None
        return found if isinstance(found, dict | bool) else None
