"""What the pipeline needs to know of how well providers answer, and to tell other environments of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.model.circuit import Circuits, Rules
from gateway.model.health import Numbers, Tallies
from gateway.model.reliability import Health


class HealthReading(Protocol):
    def of(self, provider: str, model: str) -> Health:
        """As it is known here; never waited for. A model that nobody called is healthy."""
        ...

    def p95_ms(self, provider: str, model: str) -> int | None:
        """What 95 of 100 calls of the last minutes took at most until their first content; None without any."""
        ...


class Vitals(HealthReading, Protocol):
    """What this environment knows, and counts. `circuits`: of the endpoints of providers."""

    @property
    def circuits(self) -> Circuits: ...

    def is_cut_off(self, provider: str) -> bool:
        """Whether an endpoint of this provider is not asked at the moment."""
        ...

    def note(self, provider: str, model: str, first_ms: float | None, *, is_stream: bool) -> None:
        """One call. `first_ms`: until its first content, of a whole answer until that; None of one that failed."""
        ...

    async def share(self) -> None:
        """Tells others what was counted here, and learns what they have, when it is time for that. For when nobody
        waits any more. Never raises: what cannot be told is lost.
        """
        ...

    async def refresh(self) -> None:
        """Learns what others have counted, unless that was done a moment ago; for those who wait. Never raises."""
        ...


class HealthStore(Protocol):
    """What all environments have counted, by minute and subject. Both methods raise StorageUnavailable (503)."""

    async def write(self, minute: int, subject: str, added: Numbers, put: Numbers | None = None) -> None:
        """Adds to numbers, from 0 where there is none, and sets others: at most once."""
        ...

    async def read(self, minute: int) -> dict[str, Mapping[str, int]]:
        """The numbers of every subject, perhaps not as they are this very moment."""
        ...


class AllHealthy:
    """Nothing is counted."""

    def __init__(self) -> None:
        self.circuits = Circuits(Rules(), Tallies())

    def of(self, _provider: str, _model: str) -> Health:
        return "healthy"

    def p95_ms(self, _provider: str, _model: str) -> int | None:
        return None

    def is_cut_off(self, _provider: str) -> bool:
        return False

    def note(self, _provider: str, _model: str, _first_ms: float | None, *, is_stream: bool) -> None:
        """Nobody asks for it."""

    async def share(self) -> None:
        """There is nobody."""

    async def refresh(self) -> None:
        """There is nothing."""
