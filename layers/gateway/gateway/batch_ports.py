"""What batches need of the world beside a job's record: a record for each part, and a place for lines and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.model.batch import BatchPart

LINES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class LinesAtOnce:
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


class BatchParts(Protocol):
    """Every method raises StorageUnavailable (503)."""

    async def find(self, tenant_id: str, batch_id: str, group: int, number: int) -> BatchPart | None:
        """As it is now; None of one that nobody has begun."""
        ...

    async def change(self, part: BatchPart) -> bool:
        """Stores the next revision, the first is 1; False and nothing when somebody else came first."""
        ...

    async def all(self, tenant_id: str, batch_id: str) -> list[BatchPart]:
        """Those that were begun, in the order of their groups and numbers, as they are now."""
        ...


class BatchStore(Protocol):
    """Lines and results, by the names of their parts. Every method raises StorageUnavailable (503)."""

    async def put_lines(self, tenant_id: str, batch_id: str, part: str, data: bytes) -> None: ...

    async def lines(self, tenant_id: str, batch_id: str, part: str) -> bytes: ...

    async def drop_lines(self, tenant_id: str, batch_id: str, part: str) -> None:
        """Nothing, when they are gone already."""
        ...

    async def put_piece(self, tenant_id: str, batch_id: str, part: str, piece: int, data: bytes) -> bool:
        """Once and for all; False and nothing where the piece is there already, unless it is that very one."""
        ...

    async def piece(self, tenant_id: str, batch_id: str, part: str, piece: int) -> bytes | None: ...

    async def put_errors(self, tenant_id: str, batch_id: str, data: bytes) -> None: ...

    async def errors(self, tenant_id: str, batch_id: str) -> bytes | None: ...
