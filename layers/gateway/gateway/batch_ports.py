"""What batches need of the world beside a job's record: a record for each part and each shipment, a place for lines,
crates and results, and somebody who asks providers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias, TypeVar

from msgspec import Struct, field

from gateway.model.batch import BatchPart
from gateway.model.job import Job
from gateway.model.shipment import Shipment

R = TypeVar("R", BatchPart, Shipment)

LINES_AT_ONCE = 8


class LinesAtOnce(Struct, frozen=True):
    """How many lines of a part are asked at once. `by_provider`: of those that have a number of their own."""

    usual: int = LINES_AT_ONCE
    by_provider: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> LinesAtOnce:
        """`8,openai=32`, as the stack's parameter has it. Raises ValueError."""
        usual, *others = text.replace(" ", "").split(",")
        named = (other.split("=") for other in others)
        return cls(int(usual), {provider: int(number) for provider, number in named})

    def at(self, model_id: str) -> int:
        """`model_id`: "provider/model"."""
        return self.by_provider.get(model_id.partition("/")[0], self.usual)


class BatchRecords(Protocol[R]):
    """Every method raises StorageUnavailable (503)."""

    async def find(self, tenant_id: str, batch_id: str, group: int, number: int) -> R | None:
        """As it is now; None of one that nobody has begun."""
        ...

    async def change(self, record: R) -> bool:
        """Stores the next revision, the first is 1; False and nothing when somebody else came first."""
        ...

    async def all(self, tenant_id: str, batch_id: str) -> list[R]:
        """Those that were begun, in the order of their groups and numbers, as they are now."""
        ...


BatchParts: TypeAlias = BatchRecords[BatchPart]
Shipments: TypeAlias = BatchRecords[Shipment]


class BatchStore(Protocol):
    """Lines and results by the names of their parts, crates by their own. Every method raises StorageUnavailable (503),
    those that give bytes also where there are none.
    """

    async def put_lines(self, tenant_id: str, batch_id: str, part: str, data: bytes) -> None: ...

    async def lines(self, tenant_id: str, batch_id: str, part: str) -> bytes: ...

    async def drop_lines(self, tenant_id: str, batch_id: str, part: str) -> None:
        """Nothing, when they are gone already."""
        ...

    async def put_crate(self, tenant_id: str, batch_id: str, crate: str, items: bytes, kept: bytes) -> None:
        """`kept`: what is needed to give the replies to its items."""
        ...

    async def crate(self, tenant_id: str, batch_id: str, crate: str) -> bytes:
        """Its items."""
        ...

    async def kept(self, tenant_id: str, batch_id: str, crate: str) -> bytes: ...

    async def drop_crate(self, tenant_id: str, batch_id: str, crate: str) -> None:
        """With what was kept; nothing, when it is gone already."""
        ...

    async def put_piece(self, tenant_id: str, batch_id: str, part: str, piece: int, data: bytes) -> bool:
        """Once and for all; False and nothing where the piece is there already, unless it is that very one."""
        ...

    async def piece(self, tenant_id: str, batch_id: str, part: str, piece: int) -> bytes | None:
        """None where there is none."""
        ...

    async def put_errors(self, tenant_id: str, batch_id: str, data: bytes) -> None: ...

    async def errors(self, tenant_id: str, batch_id: str) -> bytes | None:
        """None where there are none."""
        ...


class BatchWorkers(Protocol):
    async def bring_in(self, job: Job) -> None:
        """Has what providers still have of a batch stopped and collected, by somebody who knows their keys; nobody
        waits for it. Raises StorageUnavailable (503).
        """
        ...
