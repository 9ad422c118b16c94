"""A JSON Schema in the words that Gemini knows.

Others are ignored, or refused: beside `$ref` ("was set alongside unsupported fields"), below `definitions` ("reference
to undefined schema"), and on a way back to a schema that does not lead through an optional member. What has no word is
said in the descriptions, and the reply is held against the whole schema afterwards. Sources:
https://ai.google.dev/api/generate-content#FIELDS.response_json_schema (2026-11),
https://github.com/anomalyco/opencode/issues/12295, https://github.com/google-gemini/gemini-cli/issues/13326
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gateway.model.chat import Json
from gateway.model.schema_parts import at_pointer

DEFINITIONS = ("$defs", "definitions")
TIGHTER: Mapping[str, Callable[[float, float], float]] = {
    **dict.fromkeys(("minimum", "minItems"), max),
    **dict.fromkeys(("maximum", "maxItems"), min),
}
KEPT = {
    *("type", "title", "enum", "items", "prefixItems", "minItems", "maxItems", "minimum", "maximum"),
    *("anyOf", "properties", "additionalProperties", "required", "propertyOrdering", "format"),
}
LEFT_OUT = {
    *("$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "deprecated", "readOnly", "writeOnly"),
    *("discriminator", "nullable", "description"),
}
FORMATS = {"date-time", "date", "time", "int32", "int64", "float", "double", "enum"}
MAX_PARTS, MAX_DEPTH = 5_000, 64
"""With what references repeat. Beyond, they stay references; what is deeper is named by its type alone."""


def gemini_schema(schema: Json) -> Json:
    """The references of `schema` are JSON pointers. What they lead to takes their place, unless it leads to itself."""
    conversion = _Conversion(schema)
    converted = conversion.part(schema, {id(schema): False})
    named = conversion.definitions()
    return {**converted, "$defs": named} if named else converted


class _Conversion:
    """`way`, handed down: the schemas that a part stands in, and whether an optional member lies between."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._named: dict[int, tuple[str, Json]] = {}
        self._left, self._depth = MAX_PARTS, 0

    def part(self, part: Any, way: dict[int, bool]) -> Json:
        if not isinstance(part, dict):
            return {} if part is not False else {"description": "No value at all."}
        if self._depth > MAX_DEPTH:
            return _outline(part, "described")
        self._depth += 1
        self._left -= 1
        try:
            return self._referred(part, way) if "$ref" in part else self._whole(part, way)
        finally:
            self._depth -= 1

    def definitions(self) -> Json:
        """Of the schemas that lead to themselves, which may name others."""
        found: Json = {}
        while missing := [entry for entry in self._named.values() if entry[0] not in found]:
            for name, target in missing:
                found[name] = self.part(target, {id(target): False})
        return found

    def _referred(self, part: Json, way: dict[int, bool]) -> Json:
        target = at_pointer(self._root, part["$ref"])
        if target is None:
            return {"$ref": part["$ref"]}
        if not isinstance(target, dict):
            return self.part(target, way)
        if way.get(id(target), self._left < 0):
            return {"$ref": f"#/$defs/{self._name(target, part['$ref'])}"}
        if id(target) in way:
            return _outline(target, part["$ref"].rpartition("/")[2])
        beside = {word: value for word, value in part.items() if word not in ("$ref", *DEFINITIONS)}
        inner = {**way, id(target): False}
        return self.part({**beside, "allOf": [target, *_list(beside.get("allOf"))]} if beside else target, inner)

    def _whole(self, part: Json, way: dict[int, bool]) -> Json:
        merged, said = _merged({word: value for word, value in part.items() if word != "allOf"}, self._all_of(part))
        return self._plain(_spelled(merged, said), said, way)

    def _all_of(self, part: Json) -> list[Json]:
        """The parts of `allOf`, with what they refer to in place of references."""
        found: list[Json] = []
        waiting = _list(part.get("allOf"))
        while waiting and self._left >= 0:
            self._left -= 1
            one, waiting = waiting[0], waiting[1:]
            if not isinstance(one, dict):
                continue
            beside = {word: value for word, value in one.items() if word not in ("$ref", "allOf")}
            waiting = [*_list(one.get("allOf")), *waiting]
            if "$ref" in one and (target := at_pointer(self._root, one["$ref"])) is not None:
                waiting = [target, *waiting]
            found.append(beside)
        return found

    def _plain(self, part: Json, said: Json, way: dict[int, bool]) -> Json:
        plain: Json = {}
        for word, value in part.items():
            if word in KEPT:
                plain[word] = self._member(word, value, part, way)
            elif word not in LEFT_OUT and (word, value) != ("default", None):
                said[word] = value
        if description := _description(part.get("description"), said):
            plain["description"] = description
        return plain

    def _member(self, word: str, value: Any, part: Json, way: dict[int, bool]) -> Any:
        if word == "properties" and isinstance(value, dict):
            needed = _list(part.get("required"))
            optional = dict.fromkeys(way, True)
            return {name: self.part(held, way if name in needed else optional) for name, held in value.items()}
        if word in ("anyOf", "prefixItems"):
            return [self.part(held, way) for held in _list(value)]
        if word == "items" or (word == "additionalProperties" and isinstance(value, dict)):
            return self.part(value, way)
        return value

    def _name(self, target: Json, ref: str) -> str:
        if id(target) not in self._named:
            wanted = re.sub(r"\W", "", ref.rpartition("/")[2]) or "Root"
            taken = {name for name, _ in self._named.values()}
            names = (wanted, *(f"{wanted}{number}" for number in range(2, len(taken) + 2)))
            self._named[id(target)] = (next(name for name in names if name not in taken), target)
        return self._named[id(target)][0]


def _merged(part: Json, others: Iterable[Json]) -> tuple[Json, Json]:
    """What several schemas demand of one value, and what of it cannot be one schema: first come, first served."""
    result: Json = dict(part)
    said: Json = {}
    for other in others:
        for word, value in other.items():
            held = result.get(word, value)
            if held == value:
                result[word] = value
            elif word == "properties" and isinstance(held, dict) and isinstance(value, dict):
                result[word] = _both(held, value)
            elif word == "required":
                result[word] = list(
                    dict.fromkeys(name for name in [*_list(held), *_list(value)] if isinstance(name, str))
                )
            elif word in TIGHTER and isinstance(held, int | float) and isinstance(value, int | float):
                result[word] = TIGHTER[word](held, value)
            elif word not in ("title", "description", *LEFT_OUT):
                said.setdefault("allOf", []).append({word: value})
    return result, said


def _both(one: Json, other: Json) -> Json:
    shared = {name: {"allOf": [one[name], held]} for name, held in other.items() if name in one and one[name] != held}
    return {**other, **one, **shared}


def _spelled(part: Json, said: Json) -> Json:
    """The same in the words that are known; what has none is put into `said`."""
    part = dict(part)
    if "oneOf" in part and "anyOf" not in part:
        part["anyOf"] = part.pop("oneOf")
    if "const" in part:
        part = {"enum": [part["const"]], **part}
        del part["const"]
    if "enum" in part:
        part = _values(part, said)
    if isinstance(part.get("items"), list):
        part["prefixItems"] = part.pop("items")
    if part.get("items") is False:
        part["maxItems"] = len(_list(part.get("prefixItems")))
    if isinstance(part.get("items"), bool):
        del part["items"]
    if "format" in part and str(part["format"]) not in FORMATS:
        said["format"] = part.pop("format")
    return _with_known_members(part, said) if "required" in part else part


def _with_known_members(part: Json, said: Json) -> Json:
    """Required is what has a schema."""
    members = part.get("properties")
    known = members if isinstance(members, dict) else {}
    wanted = [name for name in _list(part["required"]) if isinstance(name, str)]
    needed, unknown = [name for name in wanted if name in known], [name for name in wanted if name not in known]
    if unknown:
        said["required"] = unknown
    rest = {word: value for word, value in part.items() if word != "required"}
    return {**rest, "required": needed} if needed else rest


def _values(part: Json, said: Json) -> Json:
    """Only texts and numbers can be listed; null beside them is another alternative."""
    types = part.get("type")
    values = [value for value in _list(part["enum"]) if value is not None or types is None or "null" in types]
    rest = {word: value for word, value in part.items() if word != "enum"}
    plain = [value for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)]
    if values == [None]:
        return {**rest, "type": "null"}
    if not plain or any(isinstance(value, bool | dict | list) for value in values):
        said["enum"] = values
        return {"type": "boolean", **rest} if values and all(isinstance(value, bool) for value in values) else rest
    listed = {"type": types if isinstance(types, str) else _type_of(plain), "enum": plain}
    if len(plain) == len(values):
        return {**rest, **listed}
    if "anyOf" in rest:
        said["enum"] = values
        return rest
    return {**{word: value for word, value in rest.items() if word != "type"}, "anyOf": [listed, {"type": "null"}]}


def _type_of(values: list[Any]) -> str | list[str]:
    names = {str: "string", int: "integer", float: "number"}
    found = list(dict.fromkeys(names[type(value)] for value in values))
    return found[0] if len(found) == 1 else "number" if "string" not in found else found


def _outline(target: Json, name: str) -> Json:
    kind = {"type": target["type"]} if "type" in target else {}
    return {**kind, "description": f"As {target.get('title') or name or 'the whole'}."}


def _description(description: Any, said: Json) -> str | None:
    texts = [description] if isinstance(description, str) and description else []
    if said:
        texts.append(f"Has to satisfy {msgspec.json.encode(said).decode()}")
    return "\n\n".join(texts) or None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
