"""JSON Schema, 2020-12 or draft 7: is it one, does a text satisfy it, and is it of the kind that providers call strict?

Whatever schema and text, the answer costs bounded CPU. `jsonschema` takes 80 ms to import, so it is loaded when the
first schema comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.cpu_limit import CpuLimitExceeded, within_cpu
from gateway.model.errors import Detail
from gateway.model.schema_dialect import dialect_of, modern
from gateway.model.schema_parts import Place, at_pointer, places, pointer, unending

CPU_LIMIT_S = 2.0
"""For one judgement. Ten thousand rows, 400 KB, take a tenth of it."""
PATTERNS_CPU_LIMIT_S = 0.25
MAX_BYTES = 256 * 1024
MAX_VIOLATIONS = 100
MAX_REASON_CHARS = 300
MAX_DEPTH = 64
STRICT_KEYWORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "$ref", "$defs"),
    *("definitions", "title", "description", "pattern", "format", "multipleOf", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
}
STRICT_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
UNCHECKABLE = (RecursionError, ArithmeticError, ValueError, TypeError, re.error)
"""What `jsonschema` raises for schemas and values that no sane one contains: depth, huge numbers, broken patterns."""


def schema_violations(schema: Json, at: str) -> tuple[Detail, ...]:
    """Why `schema`, which stands at the pointer `at`, is not a JSON Schema to be used; empty when it is one."""
    encoded = msgspec.json.encode(schema)
    if len(encoded) > MAX_BYTES:
        return (Detail(at, f"larger than {MAX_BYTES} bytes"),)
    if _depth(schema) > MAX_DEPTH:
        return (Detail(at, f"nested more than {MAX_DEPTH} levels deep"),)
    try:
        found = _violations(encoded)
    except CpuLimitExceeded:
        return (Detail(at, "takes too long to be checked"),)
    return tuple(Detail(at + violation.pointer, violation.reason) for violation in found)


def text_violations(text: str, schema: Json) -> tuple[Detail, ...]:
    """Every way in which `text` is not JSON that satisfies `schema`; pointers are into the decoded text."""
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    from gateway.model.validator import judge  # noqa: PLC0415 - see above

    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return (Detail("", f"not valid JSON: {error}"),)
    try:
        return within_cpu(CPU_LIMIT_S, lambda: told(judge(value, modern(schema)), ""))
    except CpuLimitExceeded:
        return (Detail("", "the reply takes too long to be held against the schema"),)
    except Unresolvable as error:
        return (Detail("", f"the schema refers to what it does not have: {error}"[:MAX_REASON_CHARS]),)
    except UNCHECKABLE as error:
        return (Detail("", f"the reply cannot be held against the schema ({type(error).__name__})"),)


def told(errors: Iterable[Any], at: str) -> tuple[Detail, ...]:
    """`jsonschema`'s errors, the first MAX_VIOLATIONS of them."""
    return tuple(_detail(at, error) for error in islice(errors, MAX_VIOLATIONS))


def _detail(at: str, error: Any) -> Detail:
    """jsonschema quotes the value at fault whole, which may be the whole reply: the end of its sentence says why."""
    said: str = error.message
    if len(said) > MAX_REASON_CHARS:
        said = f"breaks {error.validator!r}: …{said[-MAX_REASON_CHARS // 2 :]}"
    return Detail(at + pointer(error.absolute_path), said)


@lru_cache(maxsize=32)
def _violations(encoded: bytes) -> tuple[Detail, ...]:
    """Clients send the same schema again and again. Raises CpuLimitExceeded, which is not remembered.

    A schema is judged by several vocabularies, which say the same of its parts.
    """
    from gateway.model.validator import DIALECTS, judge_schema  # noqa: PLC0415

    schema = msgspec.json.decode(encoded)
    dialect = DIALECTS.get(dialect_of(schema))
    if dialect is None:
        return (Detail("/$schema", f"a dialect is one of {', '.join(DIALECTS)}"),)
    try:
        broken = within_cpu(CPU_LIMIT_S, lambda: told(judge_schema(schema, dialect), ""))
        return (
            tuple(dict.fromkeys(broken))
            or within_cpu(CPU_LIMIT_S, lambda: _unusable(modern(schema)))
            or _endless_pattern(schema)
        )
    except UNCHECKABLE as error:
        return (Detail("", f"cannot be used ({type(error).__name__})"),)


def _unusable(schema: Json) -> tuple[Detail, ...]:
    """References to what is not there, and those without an end."""
    from gateway.model.validator import References  # noqa: PLC0415

    references = References(schema)
    targets: dict[int, list[Any]] = {}
    dangling: list[Detail] = []
    for place in places(schema):
        for keyword in {"$ref", "$dynamicRef"} & place.schema.keys():
            found = references.target(place, keyword)
            targets.setdefault(id(place.schema), []).append(found)
            if found is None:
                dangling.append(Detail(pointer((*place.path, keyword)), "what it refers to is not in the schema"))
    if dangling:
        return tuple(dangling[:MAX_VIOLATIONS])
    endless = unending(schema, lambda part: targets.get(id(part), ()))
    return () if endless is None else (Detail(pointer(endless.path), endless.reason),)


def _endless_pattern(schema: Json) -> tuple[Detail, ...]:
    """The pattern, if there is one, that takes ages for a simple text. Not all that have such a text are found so."""
    tried = Detail("", "")

    def try_all() -> None:
        nonlocal tried
        for place, keyword, pattern in _patterns(schema):
            shown = pattern[:MAX_REASON_CHARS]
            tried = Detail(pointer((*place.path, keyword)), f"the pattern {shown!r} could go on without end")
            for letter in sorted({"a", "0", " ", "-", *filter(str.isalnum, shown)}):
                re.search(pattern, letter * 40 + "\0")

    try:
        within_cpu(PATTERNS_CPU_LIMIT_S, try_all)
    except CpuLimitExceeded:
        return (tried,)
    return ()


def _patterns(schema: Json) -> Iterator[tuple[Place, str, str]]:
    for place in places(schema):
        if "pattern" in place.schema:
            yield place, "pattern", place.schema["pattern"]
        for pattern in place.schema.get("patternProperties", ()):
            yield place, "patternProperties", pattern


def _depth(value: Any) -> int:
    """Levels of objects and lists, without recursion: the value may be too deep for that."""
    level, depth = [value], 0
    while level := [
        inner
        for outer in level
        if isinstance(outer, dict | list)
        for inner in (outer.values() if isinstance(outer, dict) else outer)
    ]:
        depth += 1
    return depth


def is_of_objects(schema: Json) -> bool:
    """Whether only objects can satisfy it, as far as its own keywords and its reference say."""
    referred = at_pointer(schema, schema.get("$ref"))
    return "object" in (schema.get("type"), referred.get("type") if isinstance(referred, dict) else None)


def is_strict(schema: Json) -> bool:
    """Whether OpenAI's strict structured output takes it: every object closed, all members required, no other words.

    Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    return schema.get("type") == "object" and all(_is_strict(place.schema) for place in places(schema))


def _is_strict(part: Json) -> bool:
    if part.keys() - STRICT_KEYWORDS or part.get("format", "date") not in STRICT_FORMATS:
        return False
    if "properties" not in part and part.get("type") != "object":
        return True
    return part.get("additionalProperties") is False and set(part.get("required", ())) == set(
        part.get("properties", ())
    )
