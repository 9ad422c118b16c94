"""What may be registered: types, which are JSON Schemas, and instances of them. Everything wrong is told at once.

A document is a type if it has `$schema` (spec 0.11, section 11.1): its `$id` is `gts://` and its id. Any other is an
instance and has its id in `id`; it satisfies the type to the left of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gateway.gts.bundle import bundle
from gateway.gts.definition import Unusable, arguments
from gateway.gts.ids import SCHEME, GtsId, MalformedId, parse
from gateway.gts.schema import (
    TOO_FAR,
    TOO_LARGE_TOGETHER,
    Reach,
    Surveyed,
    defects,
    reach,
    referred_types,
    survey,
)
from gateway.model.chat import Json
from gateway.model.errors import Detail
from gateway.model.json_schema import MAX_BYTES, told
from gateway.model.schema_dialect import dialect_of
from gateway.model.schema_parts import places, pointer, unending
from gateway.model.validator import DIALECTS, judge, judge_schema

MAX_REGISTERED_ID_CHARS = 1000  # with what a store needs beside it: a sort key of DynamoDB has 1,024 bytes
_MODIFIERS = ("x-gts-final", "x-gts-abstract")
_TOP_ONLY = {*_MODIFIERS, "x-gts-traits-schema", "x-gts-traits"}


class Candidate(msgspec.Struct, frozen=True):
    """A document that says who it is. `at`: the pointer to it. `schema`: the part of it that may refer to types."""

    id: GtsId
    document: Json
    at: str
    schema: Json

    @property
    def depends_on(self) -> set[str]:
        """The registered types without which it is worth nothing."""
        parent = {self.id.parent} if self.id.parent else set()
        return {*parent, *referred_types(self.schema)} - {self.id.text}

    @property
    def is_judged(self) -> bool:
        """An instance is data, and only what refers to types in it is known to be a schema."""
        return self.id.is_type or bool(referred_types(self.schema))


def read_candidates(documents: Sequence[Json], at: str) -> tuple[list[Candidate], list[Detail]]:
    """The documents that have an id one can register, and what is wrong with the ids of the others."""
    candidates: list[Candidate] = []
    failures: list[Detail] = []
    for number, document in enumerate(documents):
        here = f"{at}/{number}"
        try:
            gts_id = _own_id(document)
        except Unusable as error:
            failures.append(Detail(here + error.pointer, str(error)))
            continue
        if any(other.id == gts_id for other in candidates):
            failures.append(Detail(here, f"{gts_id} comes twice"))
        candidates.append(Candidate(gts_id, document, here, _schema_of(document, gts_id)))
    return candidates, failures


def needed_types(candidates: Sequence[Candidate], known: Mapping[str, Json]) -> set[str]:
    """The ids that `known` lacks and the candidates need, directly or not, beside each other."""
    around = _Surroundings.of(candidates, known)
    needed: set[str] = set()
    for candidate in candidates:
        needed |= candidate.depends_on - around.types.keys()
        for reached in around.reached_by(candidate):
            needed |= reached.missing.keys()
    return needed


def check(candidates: Sequence[Candidate], known: Mapping[str, Json]) -> tuple[list[Detail], list[Detail]]:
    """What is wrong with them, and what would be right if only something were registered.

    `known`: all that is registered of what they need, the tenant's own and the gateway's.
    """
    around = _Surroundings.of(candidates, known)
    wrong = [list(_defects(candidate)) for candidate in candidates]
    good = [candidate for candidate, found in zip(candidates, wrong, strict=True) if not found]
    among_good = _Surroundings.of(good, known)
    unusable = [detail for found in wrong for detail in found]
    missing = [detail for candidate in candidates for detail in _missing(candidate, around)]
    for candidate in good:
        if not any(_missing(candidate, among_good)):
            unusable += _in_context(candidate, among_good)
    return unusable, missing


class _Surroundings(msgspec.Struct, frozen=True):
    """What the candidates stand among: what is registered, and they themselves."""

    types: dict[str, Json]
    surveyed: dict[str, Surveyed]

    @classmethod
    def of(cls, candidates: Sequence[Candidate], known: Mapping[str, Json]) -> _Surroundings:
        types = {**known, **{candidate.id.text: candidate.document for candidate in candidates}}
        return cls(types, survey(types))

    def reached_by(self, candidate: Candidate) -> list[Reach]:
        """From its own schema, and from that of the type which an instance must satisfy."""
        parent = None if candidate.id.is_type else self.types.get(candidate.id.parent or "")
        schemas = [candidate.schema] if parent is None else [candidate.schema, parent]
        return [reach(schema, self.surveyed) for schema in schemas]


def _own_id(document: Json) -> GtsId:
    """Raises Unusable."""
    is_type = "$schema" in document
    member = "$id" if is_type else "id"
    given = document.get(member)
    if not isinstance(given, str):
        raise Unusable("", "a type has its id in $id, and $schema; an instance has its id in id")
    if is_type and not given.startswith(SCHEME):
        raise Unusable("/$id", f"an $id is {SCHEME}<type id>")
    try:
        gts_id = parse(given.removeprefix(SCHEME) if is_type else given)
    except MalformedId as error:
        raise Unusable(f"/{member}", str(error)) from None
    if reason := _not_to_be_registered(gts_id, is_type=is_type):
        raise Unusable(f"/{member}", reason)
    return gts_id


def _not_to_be_registered(gts_id: GtsId, *, is_type: bool) -> str | None:
    if gts_id.is_type != is_type:
        return "the id of a type ends in '~', that of an instance does not"
    if len(gts_id.text) > MAX_REGISTERED_ID_CHARS:
        return f"an id that is registered has at most {MAX_REGISTERED_ID_CHARS} characters"
    return None


def _schema_of(document: Json, gts_id: GtsId) -> Json:
    try:
        return arguments(document, is_type=gts_id.is_type)[1]
    except Unusable:
        return {}  # an instance that describes no function


def _defects(candidate: Candidate) -> Iterator[Detail]:
    """What is wrong with it wherever it is registered."""
    document, at = candidate.document, candidate.at
    if not candidate.id.is_type:
        if len(msgspec.json.encode(document)) > MAX_BYTES:
            yield Detail(at, f"larger than {MAX_BYTES} bytes")
        yield from (Detail(f"{at}/{word}", "only types have this") for word in _TOP_ONLY & set(document))
        if candidate.is_judged:
            yield from defects(candidate.schema, at + arguments(document, is_type=False)[0])
        return
    found = list(defects(document, at))
    yield from found
    if not found:
        yield from _modifier_defects(document, at)
        yield from _dialect_violations(document, at)


def _modifier_defects(document: Json, at: str) -> Iterator[Detail]:
    for place in places(document):
        if place.path:
            misplaced = sorted(_TOP_ONLY & set(place.schema))
            yield from (Detail(at + pointer((*place.path, word)), "stands at the document's top") for word in misplaced)
    for word in _MODIFIERS:
        if not isinstance(document.get(word, False), bool):
            yield Detail(f"{at}/{word}", "not true or false")
    if all(document.get(word) is True for word in _MODIFIERS):
        yield Detail(at, "final and abstract at once: a type without children or instances")


def _missing(candidate: Candidate, around: _Surroundings) -> Iterator[Detail]:
    parent = candidate.id.parent
    if parent and parent not in around.types:
        yield Detail(candidate.at, f"its parent {parent} is not registered")
    for reached in around.reached_by(candidate):
        for type_id, by in reached.missing.items():
            if type_id != parent:
                yield Detail(candidate.at, f"{type_id}, which {by or 'it'} refers to, is not registered")


def _in_context(candidate: Candidate, around: _Surroundings) -> Iterator[Detail]:
    """What is wrong with it beside the types that it needs, all of which are there."""
    at = candidate.at
    reached = around.reached_by(candidate)
    if any(one.too_far for one in reached):
        yield Detail(at, TOO_FAR)
    elif any(one.size_bytes > MAX_BYTES for one in reached):
        yield Detail(at, TOO_LARGE_TOGETHER)
    elif candidate.is_judged and (endless := unending(bundle(candidate.schema, around.types))):
        yield Detail(at, endless.reason)
    elif candidate.id.is_type:
        yield from _family_violations(candidate, around.types)
    elif (parent := candidate.id.parent) is not None:
        if around.types[parent].get("x-gts-abstract") is True:
            yield Detail(at, f"{parent} is abstract: only types derived from it have instances")
        yield from told(judge(candidate.document, bundle(around.types[parent], around.types), formats=True), at)


def _family_violations(candidate: Candidate, types: Mapping[str, Json]) -> Iterator[Detail]:
    dialect = dialect_of(candidate.document)
    for type_id in sorted(candidate.depends_on):
        if dialect_of(types[type_id]) != dialect:
            yield Detail(f"{candidate.at}/$schema", f"{type_id} is in another dialect")
    parent = candidate.id.parent
    if parent and types[parent].get("x-gts-final") is True:
        yield Detail(candidate.at, f"{parent} is final: no type derives from it")


def _dialect_violations(schema: Json, at: str) -> tuple[Detail, ...]:
    kind = DIALECTS.get(dialect_of(schema)) if "$schema" in schema else None
    if kind is None:
        return (Detail(f"{at}/$schema", f"a dialect is one of {', '.join(DIALECTS)}"),)
    return told(judge_schema(schema, kind), at)
