"""Batches: a provider is given many calls at once at a lower price, and gives what it has answered item by item.

In reading order: each call becomes a `piece`; as many as fit a `Filling` become one `batch_input`, which goes out by
`upload` and `follow`, or by `create` itself; `look` and `state` until it is over; `results` and `parser` for each of
its outputs; `forget`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct, field

from gateway.model.chat import ChatCall
from gateway.model.embeddings import Embeddings, EmbeddingsCall
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.images import Images, ImagesCall
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Reply
from gateway.model.usage import TokenUsage
from gateway.providers.contract.target import Target

ITEM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What every provider takes as the id of an item, unique in its batch: the gateway gives them, not its clients."""

BatchStatus: TypeAlias = Literal["pending", "running", "completed", "failed", "cancelled", "expired"]
Ending: TypeAlias = Literal["answered", "failed", "cancelled", "expired"]


class Answered(Protocol):
    @property
    def usage(self) -> TokenUsage | None: ...


R_co = TypeVar("R_co", bound=Answered, covariant=True)
C_contra = TypeVar("C_contra", contravariant=True)


class BatchLimits(Struct, frozen=True):
    """Of one batch, as the provider documents it; None: it names no limit. `size_bytes`: of the whole input.

    `inputs`: texts to embed, in all items together; `inputs_per_item`: in one. `window_s`: after so long it expires.
    """

    items: int | None
    size_bytes: int
    window_s: int
    inputs: int | None = None
    inputs_per_item: int | None = None


class Frame(Struct, frozen=True):
    """What stands around the pieces of an input."""

    before: bytes = b""
    between: bytes = b"\n"
    after: bytes = b"\n"


def batch_input(pieces: Iterable[bytes], frame: Frame) -> Iterator[bytes]:
    """The whole input, one piece at a time."""
    lead = frame.before
    for piece in pieces:
        yield lead + piece
        lead = frame.between
    yield frame.after


class Filling(Struct):
    """How full one batch is. An item that an empty one does not take, none takes."""

    limits: BatchLimits
    frame: Frame
    items: int = 0
    inputs: int = 0
    pieces_bytes: int = 0

    def takes(self, piece: bytes, inputs: int = 0) -> bool:
        """Whether one more item fits, which is then counted. `inputs`: its texts to embed."""
        return self.takes_joined(len(piece), 1, inputs)

    def takes_joined(self, size_bytes: int, items: int, inputs: int = 0) -> bool:
        """As `takes`, of several items, with what stands between them."""
        pieces_bytes = self.pieces_bytes + size_bytes - len(self.frame.between) * (items - 1)
        fits = (
            (self.limits.items is None or self.items + items <= self.limits.items)
            and (self.limits.inputs is None or self.inputs + inputs <= self.limits.inputs)
            and self._size_bytes(self.items + items, pieces_bytes) <= self.limits.size_bytes
        )
        if fits:
            self.items, self.inputs, self.pieces_bytes = self.items + items, self.inputs + inputs, pieces_bytes
        return fits

    @property
    def size_bytes(self) -> int:
        """Of the whole input."""
        return self._size_bytes(self.items, self.pieces_bytes)

    def _size_bytes(self, items: int, pieces_bytes: int) -> int:
        return len(self.frame.before) + len(self.frame.between) * (items - 1) + len(self.frame.after) + pieces_bytes


class Carrier(Struct, frozen=True):
    """A request that carries the input: its body is `request.body`, then the input, then `after`."""

    request: HttpRequest
    after: bytes = b""

    def size_bytes(self, input_bytes: int) -> int:
        """Of the body."""
        return len(self.request.body) + input_bytes + len(self.after)


Step: TypeAlias = HttpRequest | Carrier


class BatchCounts(Struct, frozen=True):
    """Items by what became of them, as far as the provider tells. `total`: 0 until it has counted them."""

    total: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0


class BatchState(Struct, frozen=True):
    """`outputs`: where items are that have ended, each for `results`. They may be there before the batch is over, and
    of every status: what was answered before a batch expired, failed or was cancelled is paid.

    `is_cancelling`: it will be over soon. `failure`: why it failed as a whole; its details point to items by place.
    """

    remote_id: str
    status: BatchStatus
    counts: BatchCounts = BatchCounts()
    outputs: tuple[str, ...] = ()
    is_cancelling: bool = False
    failure: ProviderFailure | None = None

    @property
    def is_over(self) -> bool:
        return self.status not in ("pending", "running")


class BatchResult(Struct, Generic[R_co], frozen=True):
    """Of one item: `reply`, or `failure` (why there is none)."""

    item_id: str
    ending: Ending
    reply: R_co | None = None
    failure: ProviderFailure | None = None

    @property
    def usage(self) -> TokenUsage | None:
        """What it cost, at the prices of BATCH_TIER; None where the provider did not tell, or did nothing."""
        if self.reply is not None:
            return self.reply.usage
        return self.failure.charged if self.failure is not None else None


class ResultParser(Protocol[R_co]):
    """Turns the bytes of one output, cut anywhere, into results. `unreadable`: lines that name no item, or are too long
    to be held. Where there are none of these, nothing was done for an item of which no output speaks.

    Results come in any order, and not of every item.
    """

    @property
    def unreadable(self) -> int: ...

    def feed(self, data: bytes) -> Iterable[BatchResult[R_co]]: ...

    def close(self) -> Iterable[BatchResult[R_co]]: ...


class BatchWire(Protocol[C_contra, R_co]):
    """One way to have calls of one kind to one model answered as a batch; implementations live in `providers/wire`.

    All of these are requests without credentials. `follow`, `labelled` and `state` are given 2xx answers, and raise
    ProviderError (502) for one that is not what the provider documents.
    """

    @property
    def limits(self) -> BatchLimits: ...

    @property
    def frame(self) -> Frame: ...

    def piece(self, item_id: str, call: C_contra, target: Target) -> bytes:
        """One item of the input.

        Raises CapabilityNotSupported (400) for what this wire or model cannot honour, or no batch can.
        """
        ...

    def upload(self, input_bytes: int, target: Target, noise: str) -> Step | None:
        """Begins to upload the input; None: `create` carries it. `noise`: hexadecimal digits that nobody can guess."""
        ...

    def follow(self, answer: HttpResponse, input_bytes: int, target: Target) -> Step | str:
        """What an answer of the upload leads to: one more request, or the name of the file that holds the input."""
        ...

    def create(self, file: str | None, label: str, target: Target) -> Step:
        """`file`: with the input, None where `upload` gave none. `label`: ours, at most 64 characters."""
        ...

    def recent(self, target: Target) -> HttpRequest | None:
        """Asks for the batches made last, for a creation whose answer was lost; None: none tells its label."""
        ...

    def labelled(self, answer: HttpResponse, label: str, target: Target) -> str | None:
        """How the provider calls the batch of this label, in an answer to `recent`; None: there is none."""
        ...

    def look(self, remote_id: str, target: Target) -> HttpRequest:
        """Asks how it gets on."""
        ...

    def state(self, answer: HttpResponse, target: Target) -> BatchState:
        """An answer to `create` or to a look."""
        ...

    def cancel(self, remote_id: str, target: Target) -> HttpRequest:
        """Its answer says nothing; what had ended by then is kept, and a later look finds the batch over."""
        ...

    def results(self, output: str, target: Target) -> HttpRequest: ...

    def parser(self, target: Target) -> ResultParser[R_co]:
        """For the 2xx answer to one `results`."""
        ...

    def forget(self, remote_id: str | None, files: Iterable[str], target: Target) -> Sequence[HttpRequest]:
        """Each deletes something that the provider keeps of a batch that is over. `remote_id`: None where there is
        none. `files`: the input's, the outputs.
        """
        ...

    def fail(self, answer: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of an answer that is not 2xx."""
        ...


class Batches(Struct, frozen=True):
    """The wires for batches of each kind of call, by the `api` that such a call has by itself."""

    chat: Mapping[str, BatchWire[ChatCall, Reply]] = field(default_factory=dict)
    embeddings: Mapping[str, BatchWire[EmbeddingsCall, Embeddings]] = field(default_factory=dict)
    images: Mapping[str, BatchWire[ImagesCall, Images]] = field(default_factory=dict)
