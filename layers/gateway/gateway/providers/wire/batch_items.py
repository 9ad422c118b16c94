"""What the items of batches have in common, whoever answers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct

from gateway.model.call import Call
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.reply import Reply
from gateway.providers.contract import BATCH_TIER, Answered, BatchLimits, BatchResult, Ending, Target
from gateway.providers.wire.json_lines import JsonLines
from gateway.providers.wire.lacking import NEUTRAL
from gateway.providers.wire.options import plain

C = TypeVar("C", bound=Call)
C_contra = TypeVar("C_contra", contravariant=True)
R = TypeVar("R", bound=Answered)
R_co = TypeVar("R_co", covariant=True)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
NOTHING = (b"", b"null")
_TIER = "servicetier"
_WHY = {"expired": "did not get to this before its batch expired", "cancelled": "did not get to this before the end"}


class ItemWire(Protocol[C_contra, R_co]):
    """What a wire of any capability is to a batch: how one call is written, and its answer read."""

    def render(self, call: C_contra, target: Target) -> HttpRequest: ...

    def parse(self, response: HttpResponse, target: Target) -> R_co: ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure: ...


def as_item(call: C, target: Target, limits: BatchLimits, refused: Iterable[str] = ()) -> C:
    """The call without what is said by its being in a batch. `refused`: members of its options, plainly spelled.

    Raises CapabilityNotSupported (400) for what no batch can honour: it is not streamed, and is a service tier itself.
    """
    if getattr(call, "stream", None):
        raise CapabilityNotSupported("What is in a batch cannot be streamed.", param="stream")
    tier = getattr(call, "service_tier", None)
    if tier not in (None, BATCH_TIER, *NEUTRAL["service_tier"]):
        raise CapabilityNotSupported("A batch has a service tier of its own.", param="service_tier")
    for name in call.options_for(target.provider):
        if plain(name) == _TIER or plain(name) in refused:
            where = f"provider_options.{target.provider}.{name}"
            raise CapabilityNotSupported(f"{target.provider} takes no '{name}' in a batch.", param=where)
    most = limits.inputs_per_item
    if isinstance(call, EmbeddingsCall) and most is not None and len(call.inputs) > most:
        raise CapabilityNotSupported(f"One item of a batch takes at most {most} inputs there.", param="input")
    unsaid = {name: None for name in ("stream", "service_tier") if getattr(call, name, None) is not None}
    return msgspec.structs.replace(call, **unsaid) if unsaid else call


def answered(item_id: str, read: Callable[[], R]) -> BatchResult[R]:
    """What reading an answer gave, or raised."""
    try:
        reply = read()
    except ProviderFailure as failure:
        return BatchResult(item_id, "failed", failure=failure)
    except Exception as defect:  # one item's defect keeps nobody from reading the others
        broken = ProviderError("The result of this request could not be read.")
        broken.__cause__ = defect
        return BatchResult(item_id, "failed", failure=broken)
    if isinstance(reply, Reply):
        reply = msgspec.structs.replace(reply, service_tier=BATCH_TIER)
    return BatchResult(item_id, "answered", reply)


def undone(item_id: str, ending: Ending, target: Target) -> BatchResult[R]:
    """For an item that was not begun when its batch ended, which costs nothing."""
    failure = ProviderError(f"{target.provider} {_WHY[ending]}", provider_code=f"batch_{ending}")
    failure.is_refusal = True
    return BatchResult(item_id, ending, failure=failure)


def nonsense(item_id: str, target: Target) -> BatchResult[R]:
    """For an item of whose result nothing can be understood. It may have been paid."""
    failure = ProviderError(f"{target.provider} sent something that is no result of a batch.")
    return BatchResult(item_id, "failed", failure=failure)


class Named(Struct):
    """What is left of a line that is not what is documented."""

    custom_id: str


NAMED = msgspec.json.Decoder(Named)


def unread(line: bytes, target: Target, decoder: msgspec.json.Decoder[Any] = NAMED) -> BatchResult[Any] | None:
    """For a line that is not what is documented: of the item that it names, None where it names none."""
    try:
        return nonsense(decoder.decode(line).custom_id, target)
    except UNREADABLE:
        return None


def given(raw: Raw) -> bool:
    """Whether a member is there and not null."""
    return bytes(raw) not in NOTHING


class LineResults(msgspec.Struct, Generic[R]):
    """One result a line. `read`: None for a line that names no item."""

    read: Callable[[bytes], BatchResult[R] | None]
    lines: JsonLines
    _nameless: int = 0

    @property
    def unreadable(self) -> int:
        return self._nameless + self.lines.too_long

    def feed(self, data: bytes) -> Iterator[BatchResult[R]]:
        return self._read(self.lines.feed(data))

    def close(self) -> Iterator[BatchResult[R]]:
        return self._read(self.lines.close())

    def _read(self, lines: Iterable[bytes]) -> Iterator[BatchResult[R]]:
        for line in lines:
            named = self._named(line)
            del line
            while named:
                yield named.pop()  # what is used is held by its user alone

    def _named(self, line: bytes) -> list[BatchResult[R]]:
        if (result := self.read(line)) is not None:
            return [result]
        self._nameless += 1
        return []
