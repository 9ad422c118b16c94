"""What environments have counted, in memory: the same suite holds it and DynamoDB's to the same behaviour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.model.errors import StorageUnavailable
from gateway.model.health import Numbers


@dataclass
class MemoryHealth:
    """`is_down`: whether it fails. `writes`, `reads`: how often it was asked."""

    kept: dict[int, dict[str, Counter[str]]] = field(default_factory=dict)
    is_down: bool = False
    writes: int = 0
    reads: int = 0

    async def write(self, minute: int, subject: str, added: Numbers, put: Numbers | None = None) -> None:
        self.writes += 1
        if self.is_down:
            raise StorageUnavailable("no")
        numbers = self.kept.setdefault(minute, {}).setdefault(subject, Counter())
        numbers.update(added)
        for name, number in (put or {}).items():
            numbers[name] = number

    async def read(self, minute: int) -> dict[str, Mapping[str, int]]:
        self.reads += 1
        if self.is_down:
            raise StorageUnavailable("no")
        return {subject: dict(numbers) for subject, numbers in self.kept.get(minute, {}).items()}
