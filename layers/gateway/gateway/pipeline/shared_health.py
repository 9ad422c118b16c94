"""How well providers answer, known to every environment: each counts its own calls, and tells the others of it.

Nobody waits for that. It is done after the answer, at most every few seconds, and what cannot be told is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from gateway.health_ports import HealthStore
from gateway.model.circuit import Circuits, Mark, Rules
from gateway.model.errors import StorageUnavailable
from gateway.model.health import WINDOW_MINUTES, Numbers, Tallies, Windows, minute_of
from gateway.model.reliability import Health
from gateway.ports import Clock, Records

SHARE_EVERY_S, AFTER_FAILURE_S = 5.0, 30.0
SHARE_TIMEOUT_S, REFRESH_TIMEOUT_S = 2.0, 0.5
SETTLED_S = 20.0
"""After a minute's end, until when environments still tell what they had counted in it."""
_MARK, _OPENED_MS, _CLOSED_MS = "!", "opened_ms", "closed_ms"


class SharedHealth:
    """The one `Vitals` of an environment."""

    def __init__(self, rules: Rules, slow_ms: int, store: HealthStore, clock: Clock, records: Records) -> None:
        self._store, self._clock, self._records = store, clock, records
        self._tallies = Tallies()
        self._windows = Windows(self._tallies, clock.now_s, slow_ms)
        self.circuits = Circuits(rules, self._tallies)
        self._shares_at_s = self._reads_at_s = 0.0
        self._settled: set[int] = set()
        self._lock = asyncio.Lock()

    def of(self, provider: str, model: str) -> Health:
        return self._windows.of(provider, model)

    def p95_ms(self, provider: str, model: str) -> int | None:
        return self._windows.p95_ms(provider, model)

    def is_cut_off(self, provider: str) -> bool:
        return self.circuits.is_open(provider, self._clock.now_s())

    def note(self, provider: str, model: str, first_ms: float | None, *, is_stream: bool) -> None:
        if self.circuits.rules.watch(provider):
            self._windows.note(f"{provider}/{model}", first_ms, is_stream=is_stream)

    async def share(self) -> None:
        now_s = self._clock.now_s()
        is_due = bool(self.circuits.marks) or (bool(self._tallies.pending) and now_s >= self._shares_at_s)
        if not is_due or self._lock.locked():
            return
        async with self._lock:
            self._shares_at_s = now_s + SHARE_EVERY_S
            if not await self._bounded(self._shared(now_s), SHARE_TIMEOUT_S):
                self._shares_at_s = now_s + AFTER_FAILURE_S

    async def refresh(self) -> None:
        async with self._lock:
            now_s = self._clock.now_s()
            if now_s >= self._reads_at_s:
                await self._bounded(self._learned(now_s), REFRESH_TIMEOUT_S)
                self._reads_at_s = now_s + SHARE_EVERY_S

    async def _bounded(self, work: Awaitable[None], timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await work
        except (StorageUnavailable, TimeoutError) as error:
            self._records.trouble("health.not_shared", reason=str(error) or "TimeoutError")
            return False
        return True

    async def _shared(self, now_s: float) -> None:
        """What was counted, then what is learned, then what follows from that."""
        await asyncio.gather(*(self._told(*key, counted) for key, counted in self._tallies.taken().items()))
        await self._learned(now_s)
        for endpoint in self.circuits.judge(self._recent(now_s), now_s):
            self._records.trouble("circuit.opened", endpoint=endpoint)
        marks = list(self.circuits.marks.items())
        self.circuits.marks.clear()
        await asyncio.gather(*(self._marked(endpoint, mark, now_s) for endpoint, mark in marks))

    async def _told(self, minute: int, subject: str, counted: Numbers) -> None:
        await self._store.write(minute, subject, counted)
        self._windows.keep(minute, subject, counted)

    async def _marked(self, endpoint: str, mark: Mark, now_s: float) -> None:
        opened_s, closed_s = mark
        put = {_OPENED_MS: int(opened_s * 1000), _CLOSED_MS: int(closed_s * 1000)}
        await self._store.write(minute_of(now_s), _MARK + endpoint, {}, put)

    async def _learned(self, now_s: float) -> None:
        """The minutes of the window that may have changed."""
        now = minute_of(now_s)
        wanted = [each for each in range(now - WINDOW_MINUTES + 1, now + 1) if each not in self._settled]
        read = dict(zip(wanted, await asyncio.gather(*map(self._store.read, wanted)), strict=True))
        for minute, found in read.items():
            self._windows.learn(minute, {name: found[name] for name in found if not name.startswith(_MARK)})
            if now_s > (minute + 1) * 60 + SETTLED_S:
                self._settled.add(minute)
        self._settled = {each for each in self._settled if each > now - WINDOW_MINUTES}
        for minute in (now - 1, now):
            for name in (each for each in read.get(minute, ()) if each.startswith(_MARK)):
                mark = _mark(read[minute][name])
                self.circuits.learn(name.removeprefix(_MARK), mark, self._recent(now_s), now_s)

    def _recent(self, now_s: float) -> dict[int, dict[str, Numbers]]:
        now = minute_of(now_s)
        return {minute: dict(self._windows.shared(minute)) for minute in (now - 1, now)}


def _mark(numbers: Numbers) -> Mark:
    return numbers.get(_OPENED_MS, 0) / 1000, numbers.get(_CLOSED_MS, 0) / 1000
