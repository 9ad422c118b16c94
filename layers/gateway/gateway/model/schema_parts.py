"""The schemas within a JSON Schema, and which of them judge the same value.

Only schema positions are looked at: what stands in `default`, `const`, `enum` or `examples` is data, and a property may
have any name, `$ref` too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

from gateway.model.chat import Json

# Keywords by what they hold: schemas by name, a list of schemas, one schema.
OF_NAMES = {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
OF_LISTS = {"allOf", "anyOf", "oneOf", "prefixItems", "items"}
OF_ONE = {
    *("items", "additionalItems", "unevaluatedItems", "contains", "additionalProperties", "unevaluatedProperties"),
    *("propertyNames", "not", "if", "then", "else", "contentSchema"),
}
DEFINITIONS = {"$defs", "definitions"}
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
MAX_JUDGEMENTS = 10_000
ENDLESS = "the schema refers to itself for the same value, without an end"
TOO_OFTEN = f"the schema judges one value more than {MAX_JUDGEMENTS} times"
_INDEX = re.compile("0|[1-9][0-9]{0,6}")
_ELSEWHERE = {"additionalItems", "dependencies"}
_SAME_VALUE = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"}

Targets: TypeAlias = Callable[[Json], Iterable[Any]]
"""What the references of a schema lead to."""


class Place(NamedTuple):
    """A schema within another: how to get there, and how many schemas are round it."""

    path: tuple[str | int, ...]
    depth: int
    schema: Json


class Endless(NamedTuple):
    """Why no judgement by a schema would come to an end in time, and the part that leads back, where it is one."""

    path: tuple[str | int, ...]
    reason: str


def pointer(path: Any) -> str:
    """RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def places(schema: Json) -> Iterator[Place]:
    """The schema itself, and every schema in it, as they are written."""
    waiting = [Place((), 0, schema)]
    while waiting:
        place = waiting.pop()
        yield place
        inner = [Place((*place.path, *step), place.depth + 1, part) for step, part in _inner(place.schema)]
        waiting += reversed(inner)


def _inner(schema: Json) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    for keyword, value in schema.items():
        inner: list[tuple[tuple[str | int, ...], Any]] = []
        if isinstance(value, dict):
            if keyword in OF_NAMES:
                inner = [((keyword, name), held) for name, held in value.items()]
            elif keyword in OF_ONE:
                inner = [((keyword,), value)]
        elif isinstance(value, list) and keyword in OF_LISTS:
            inner = [((keyword, number), held) for number, held in enumerate(value)]
        yield from ((step, held) for step, held in inner if isinstance(held, dict))


def unending(schema: Json, targets: Targets | None = None) -> Endless | None:
    """None when every judgement by it comes to an end in time.

    Either a part leads back to itself without going on into the value, or parts that lead to the same parts multiply.
    `targets` None: references are JSON pointers into `schema`.
    """
    led_to = targets or (lambda part: [at_pointer(schema, part.get("$ref"))])
    judgements = ways(schema, lambda part: _beside(part, led_to))
    if isinstance(judgements, dict):
        return Endless(next(place.path for place in places(schema) if place.schema is judgements), ENDLESS)
    return Endless((), TOO_OFTEN) if judgements > MAX_JUDGEMENTS else None


def has_place(schema: Json, path: tuple[str | int, ...]) -> bool:
    return any(place.path == path for place in places(schema))


def is_recursive(schema: Json) -> bool:
    """Whether a part leads back to itself, into the value or not. References are JSON pointers into `schema`."""

    def inside(part: Json) -> Iterator[Json]:
        if isinstance(referred := at_pointer(schema, part.get("$ref")), dict):
            yield referred
        yield from (inner for step, inner in _inner(part) if step[0] not in DEFINITIONS)

    return isinstance(ways(schema, inside), dict)


def ways(schema: Json, onward: Callable[[Json], Iterable[Json]]) -> int | Json:
    """How many parts one comes to from a part, at most, a part counted as often as there are ways to it.

    The part that leads back to itself, or to a part that led to it, when there is one.
    """
    found: dict[int, int] = {}
    for place in places(schema):
        way, on_way = [(place.schema, iter(onward(place.schema)))], {id(place.schema)}
        while way:
            here, inner = way[-1]
            part = None if id(here) in found else next(inner, None)
            if part is None:
                way.pop()
                on_way.discard(id(here))
                found[id(here)] = 1 + sum(found[id(part)] for part in onward(here))
            elif id(part) in on_way:
                return here
            else:
                way.append((part, iter(onward(part))))
                on_way.add(id(part))
    return max(found.values())


def _beside(part: Json, targets: Targets) -> Iterator[Json]:
    """The schemas that judge the same value as `part` does."""
    yield from (referred for referred in targets(part) if isinstance(referred, dict))
    yield from (inner for step, inner in _inner(part) if step[0] in _SAME_VALUE)


def at_pointer(schema: Json, ref: Any) -> Json | bool | None:
    """The schema that `#` or `#/<pointer>` points to, where schemas stand; None for anything else.

    What stands elsewhere does not move along with the schema, nor does what 2020-12 has another place for.
    """
    if not isinstance(ref, str):
        return None
    found: Any = schema
    steps = [step.replace("~1", "/").replace("~0", "~") for step in reversed(unquote(ref).split("/")[1:])]
    while steps:
        keyword = steps.pop()
        held = found.get(keyword) if isinstance(found, dict) and keyword not in _ELSEWHERE else None
        if isinstance(held, list) and keyword in OF_LISTS and keyword != "items" and steps:
            number = steps.pop()
            found = held[int(number)] if _INDEX.fullmatch(number) and int(number) < len(held) else None
        elif isinstance(held, dict) and keyword in OF_NAMES and steps:
            found = held.get(steps.pop())
        else:
            found = held if keyword in OF_ONE else None
    return found if isinstance(found, dict | bool) else None
