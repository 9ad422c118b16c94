"""One plain JSON Schema 2020-12 made of a schema and the types it refers to, as providers want it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from gateway.gts.ids import SCHEME
from gateway.gts.naming import provider_name
from gateway.gts.schema import own_id
from gateway.model.chat import Json
from gateway.model.schema_dialect import renamed
from gateway.model.schema_parts import OF_LISTS, OF_NAMES, OF_ONE, at_pointer, places

_DEFINITIONS = "#/$defs/"
# Keywords that mean something only next to each other in one schema.
_TOGETHER = (
    ("if", "then", "else"),
    ("prefixItems", "items", "unevaluatedItems"),
    ("contains", "minContains", "maxContains"),
)
# Of these the last said counts: the type derived says more of itself than its base.
_ANNOTATIONS = {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"}


def bundle(schema: Json, types: Mapping[str, Json]) -> Json:
    """The schema with all types it refers to, directly or not, in `$defs`; cycles stay references.

    An object whose demands are spread over `allOf` and references becomes one plain object. `types` has whatever is
    needed, and nothing has defects.
    """
    gathering = _Gathering(own_id(schema), types, set(schema.get("$defs", ())))
    root = gathering.moved(schema, "#")
    types_by_key = gathering.all()
    whole = {**root, "$defs": {**root.get("$defs", {}), **types_by_key}}
    if "allOf" in root or "$ref" in root:
        whole = _folded(whole) or whole
    return _without_unused(whole, types_by_key)


class _Gathering:
    """Moves types into `$defs`, each once and under a key of its own."""

    def __init__(self, root_id: str | None, types: Mapping[str, Json], taken: set[str]) -> None:
        self._root_id, self._types, self._taken = root_id, types, taken
        self._keys: dict[str, str] = {}

    def all(self) -> dict[str, Json]:
        """Every type that was referred to, and those that moving it brings up."""
        moved: dict[str, Json] = {}
        while waiting := [type_id for type_id, key in self._keys.items() if key not in moved]:
            for type_id in waiting:
                key = self._keys[type_id]
                moved[key] = self.moved(self._types[type_id], _DEFINITIONS + key)
        return moved

    def moved(self, schema: Json, to: str) -> Json:
        """The schema as it reads where its root is `to`, in 2020-12 and without GTS's own keywords."""
        plain: Json = {}
        for keyword, value in renamed(schema).items():
            if keyword == "$ref" and isinstance(value, str):
                plain[keyword] = self._place(value, to)
            elif keyword not in ("$id", "$schema") and not keyword.startswith("x-gts-"):
                plain[keyword] = self._moved_value(keyword, value, to)
        return plain

    def _moved_value(self, keyword: str, value: Any, to: str) -> Any:
        if isinstance(value, dict) and keyword in OF_NAMES:
            return {name: self._moved_part(part, to) for name, part in value.items()}
        if isinstance(value, list) and keyword in OF_LISTS:
            return [self._moved_part(part, to) for part in value]
        return self._moved_part(value, to) if keyword in OF_ONE else value

    def _moved_part(self, part: Any, to: str) -> Any:
        return self.moved(part, to) if isinstance(part, dict) else part

    def _place(self, ref: str, to: str) -> str:
        if not ref.startswith(SCHEME):
            return to + ref.removeprefix("#")
        type_id = ref.removeprefix(SCHEME)
        if type_id == self._root_id:
            return "#"
        if type_id not in self._keys:
            key = provider_name(type_id)
            while key in self._taken:
                key += "_"
            self._taken.add(key)
            self._keys[type_id] = key
        return _DEFINITIONS + self._keys[type_id]


def _folded(root: Json) -> Json | None:
    """What all the root's parts demand together, in one schema; None when there is no such schema."""
    if any(str(place.schema.get("$ref")).startswith("#/allOf/") for place in places(root)):
        return None  # folding would take away what is pointed to
    if (parts := _parts(root)) is None:
        return None
    return {**merge(parts), **{word: root[word] for word in ("$defs", "definitions") if word in root}}


def is_object(schema: Json) -> bool:
    """Whether nothing it says keeps its values from being objects."""
    kind = schema.get("type", "object")
    return "object" in kind if isinstance(kind, list) else kind == "object"


def _parts(root: Json) -> list[Json] | None:
    """The root's own keywords and those of all it refers to and combines, base first; None when they allow nothing."""
    parts: list[Json] = []
    seen = {"#"}
    waiting: list[Any] = [root]
    while waiting:
        part = waiting.pop()
        if part is False:
            return None
        if part is True:
            continue
        own = {word: value for word, value in part.items() if word not in ("$ref", "allOf", "$defs", "definitions")}
        if len(own) == len(part):
            parts.append(own)
            continue
        waiting += [own, *reversed(part.get("allOf", ()))]
        if (ref := part.get("$ref", "#")) not in seen:
            seen.add(ref)
            waiting.append(at_pointer(root, ref))
    return parts


def merge(parts: Iterable[Json]) -> Json:
    """One schema that demands what all of them do.

    A closed object stays closed, but not to the properties that another part declares: that is what an author means who
    derives a type and adds to it. What has no common word stays apart, under `allOf`.
    """
    merged: Json = {}
    apart: list[Json] = []
    for part in parts:
        for words, said in _statements(part):
            there = {word: merged[word] for word in words if word in merged}
            if not there:
                merged |= said
            elif there != said and (len(words) > 1 or not _join(merged, *words, *said.values())):
                apart.append(said)
    return {**merged, "allOf": [*merged.get("allOf", ()), *apart]} if apart else merged


def _statements(part: Json) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Its keywords, each by itself or with those that it needs beside it."""
    alone = dict(part)
    for words in _TOGETHER:
        if said := {word: alone.pop(word) for word in words if word in alone}:
            yield words, said
    yield from (((word,), {word: value}) for word, value in alone.items())


def _join(merged: Json, word: str, value: Any) -> bool:
    """Adds what a further part says with a word that is there already; False when that cannot be said with it."""
    there = merged[word]
    joined: Any = None
    if word in _ANNOTATIONS:
        joined = value
    elif word in ("properties", "patternProperties"):
        joined = {**there, **{name: _both(there.get(name, True), said) for name, said in value.items()}}
    elif word in ("additionalProperties", "unevaluatedProperties"):
        joined = _both(there, value)
    elif word == "required":
        joined = [*there, *(name for name in value if name not in there)]
    elif word == "allOf":
        joined = [*there, *value]
    elif word == "type":
        joined = _common_type(there, value)
    if joined is None:
        return False
    merged[word] = joined
    return True


def _both(one: Json | bool, other: Json | bool) -> Json | bool:
    if one is False or other is False:
        return False
    if one is True or other is True:
        return other if one is True else one
    return merge((one, other))


def _common_type(one: Any, other: Any) -> Any:
    ones, others = ([kind] if isinstance(kind, str) else kind for kind in (one, other))
    common = [kind for kind in ones if kind in others]
    return (common[0] if len(common) == 1 else common) or None


def _without_unused(schema: Json, bundled: Collection[str]) -> Json:
    definitions = schema["$defs"]
    kept = {key: value for key, value in definitions.items() if key not in bundled}
    waiting = [{**schema, "$defs": kept}]
    while waiting:
        refs = [str(place.schema.get("$ref")) for place in places(waiting.pop())]
        keys = {ref.removeprefix(_DEFINITIONS).partition("/")[0] for ref in refs if ref.startswith(_DEFINITIONS)}
        for key in sorted(keys & set(bundled) - set(kept)):
            kept[key] = definitions[key]
            waiting.append(definitions[key])
    rest = {word: value for word, value in schema.items() if word != "$defs"}
    return {**rest, "$defs": kept} if kept else rest
