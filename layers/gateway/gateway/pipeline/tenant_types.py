"""The types and instances that a tenant may use: its own, which it registers here, and the gateway's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from gateway.gts.gather import gather
from gateway.gts.ids import GtsId, MalformedId, Pattern, parse, parse_pattern
from gateway.gts.refusal import refusal
from gateway.gts.registration import Candidate, check, needed_types, read_candidates
from gateway.model.chat import Json
from gateway.model.claim import Claim, Claimed
from gateway.model.cpu_limit import CpuLimitExceeded, within_cpu
from gateway.model.errors import Detail, InvalidRequest, TypeNotFound
from gateway.model.idempotency_errors import IdempotencyConflict
from gateway.ports import Origin, Types

MAX_OWN_TYPES = 1000
MAX_KEYED = 99
CPU_LIMIT_S = 10.0
"""For everything that is registered at once. 512 KB of schemas take some seconds, and there are 29 of them."""
RESERVED_VENDOR = "gateway"  # of what is deployed; a tenant derives its own from it


class TypePage(Struct, frozen=True):
    data: list[dict[str, Any]]
    has_more: bool


class TenantTypes(Struct, frozen=True):
    """Every method raises StorageUnavailable (503)."""

    tenant_id: str
    types: Types

    async def register(
        self, documents: Sequence[Json], claimed: Claimed | None = None, now_s: float = 0.0
    ) -> list[dict[str, Any]]:
        """All or none; an id that the tenant has registered before gets the new document. What was registered with an
        Idempotency-Key is not again, whatever it has become since: that is answered as it was.

        Raises InvalidRequest (400) and SchemaNotFound (422), with everything that is wrong; IdempotencyConflict (409).
        """
        candidates, unusable = read_candidates(documents, "/types")
        if claimed is not None and await self._is_answered(claimed, len(documents), now_s):
            return _answer(candidates)
        registered = await self.types.ids(self.tenant_id, "")
        unusable += _not_free(candidates, registered)
        known = await gather(
            lambda found: needed_types(candidates, found), lambda wanted: self.types.find(self.tenant_id, wanted)
        )
        try:
            wrong, missing = within_cpu(CPU_LIMIT_S, lambda: check(candidates, known))
        except CpuLimitExceeded:
            raise InvalidRequest("The types take too long to be checked.", param="types") from None
        if (error := refusal([*unusable, *wrong], missing)) is not None:
            raise error
        stands = await self.types.put(
            self.tenant_id,
            {candidate.id.text: candidate.document for candidate in candidates},
            {candidate.id.text: candidate.depends_on for candidate in candidates},
            claimed,
        )
        if stands is not None and claimed is not None:
            _check_same(stands, claimed)
        return _answer(candidates)

    async def _is_answered(self, claimed: Claimed, types: int, now_s: float) -> bool:
        if types > MAX_KEYED:
            said = f"With an Idempotency-Key, which takes a place in their transaction, at most {MAX_KEYED} at once."
            raise InvalidRequest(said, param="types")
        stands = await self.types.claimed(self.tenant_id, claimed.key_hash, now_s)
        if stands is not None:
            _check_same(stands, claimed)
        return stands is not None

    async def page(self, pattern: str | None, after: str | None, limit: int) -> TypePage:
        """In the order of the ids. Raises InvalidRequest (400)."""
        chosen = None if pattern is None else _pattern(pattern)
        registered = await self.types.ids(self.tenant_id, chosen.prefix if chosen else "")
        matching = [
            gts_id
            for gts_id in map(parse, registered)
            if gts_id.text > (after or "") and (chosen is None or chosen.matches(gts_id))
        ]
        documents = await self.types.find(self.tenant_id, [gts_id.text for gts_id in matching[:limit]])
        data = [
            described(gts_id, documents[gts_id.text], registered[gts_id.text])
            for gts_id in matching[:limit]
            if gts_id.text in documents  # it may have been deleted in between
        ]
        return TypePage(data, has_more=len(matching) > limit)

    async def retrieve(self, type_id: str) -> dict[str, Any]:
        """With its document; of an id that leaves the minor version open, the newest. Raises TypeNotFound (404)."""
        _parsed(type_id)
        found = await self.types.find(self.tenant_id, [type_id])
        for found_id, document in found.items():
            origins = await self.types.ids(self.tenant_id, found_id)
            return {**described(parse(found_id), document, origins.get(found_id, "tenant")), "document": document}
        raise _not_found(type_id)

    async def delete(self, type_id: str) -> None:
        """Raises TypeNotFound (404), and InvalidRequest (400) for what others need or the gateway brings."""
        _parsed(type_id)
        origin = (await self.types.ids(self.tenant_id, type_id)).get(type_id)
        if origin is None:
            raise _not_found(type_id)
        if origin == "gateway":
            raise InvalidRequest(f"{type_id} comes with the gateway and stays.", param="id")
        if dependents := await self.types.dependents(self.tenant_id, type_id):
            details = tuple(Detail("", f"{dependent} needs it") for dependent in dependents)
            raise InvalidRequest(f"Other types need {type_id}.", param="id", details=details)
        await self.types.delete(self.tenant_id, type_id)


def _check_same(stands: Claim, claimed: Claimed) -> None:
    if stands.request_hash != claimed.claim.request_hash:
        raise IdempotencyConflict(first_request_id=stands.request_id)


def _answer(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """By what was asked alone, so that it is the same again."""
    return [described(candidate.id, candidate.document, "tenant") for candidate in candidates]


def described(gts_id: GtsId, document: Json, origin: Origin) -> dict[str, Any]:
    """The type object of the API, without its document."""
    texts = {member: document.get(member) for member in ("title", "description")}
    return {
        "id": gts_id.text,
        "object": "type",
        "kind": "type" if gts_id.is_type else "instance",
        "origin": origin,
        "uuid": str(gts_id.uuid),
        **{member: text if isinstance(text, str) else None for member, text in texts.items()},
    }


def _not_free(candidates: Sequence[Candidate], registered: dict[str, Origin]) -> Iterator[Detail]:
    for candidate in candidates:
        is_reserved = candidate.id.uuid_tail is None and candidate.id.segments[-1].vendor == RESERVED_VENDOR
        if is_reserved or registered.get(candidate.id.text) == "gateway":
            yield Detail(candidate.at, f"{candidate.id} is an id of the gateway's own")
    own = sum(1 for origin in registered.values() if origin == "tenant")
    new = sum(1 for candidate in candidates if candidate.id.text not in registered)
    if own + new > MAX_OWN_TYPES:
        yield Detail("/types", f"a tenant has at most {MAX_OWN_TYPES} types and instances, and {own} are there")


def _pattern(text: str) -> Pattern:
    try:
        return parse_pattern(text)
    except MalformedId as error:
        raise InvalidRequest(f"{error}, at 'pattern'.", param="pattern") from None


def _parsed(type_id: str) -> GtsId:
    try:
        return parse(type_id)
    except MalformedId as error:
        raise InvalidRequest(f"{error}, at 'id'.", param="id") from None


def _not_found(type_id: str) -> TypeNotFound:
    return TypeNotFound(f"No such type: {type_id}. GET /v1/types lists yours.", param="id")
