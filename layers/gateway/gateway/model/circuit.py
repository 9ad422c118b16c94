"""Whether a provider's endpoint is asked at all: not for a while after it has failed again and again. Pure.

A circuit is closed while all is well. It opens after so many failures in a row, or when of all environments' calls of
the last half minute half have failed. After `open_s` one call is let through: if that goes well the circuit closes, if
not it stays open as long again. Times are Unix seconds, which environments share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from typing import Literal, TypeAlias, TypeVar

from gateway.model.health import Numbers, Tallies, minute_of

Verdict: TypeAlias = Literal["answered", "failed", "slow"]
"""Of one call. Slow: not in a time that only its own caller thinks enough."""
Change: TypeAlias = Literal["opened", "closed"]
Mark: TypeAlias = tuple[float, float]
"""When a circuit was opened and when it was closed last; 0 for never."""

OWN_FAILURES = 3
"""In a row until a tenant's own circuit of a model opens. Each costs the whole time that the tenant allows."""
PATIENCE_S = 30.0
"""A provider that had less time has not failed for everybody, whatever one caller thinks of it."""
SLOT_S, SLOTS = 10, 4
"""What is shared is counted in such slots; the running one and those before it are judged."""
LEAST_CALLS, OPENS_AT_PERCENT = 20, 50
MAX_CIRCUITS = 1_000
ASKED, BROKEN = "a", "x"

K = TypeVar("K")
OwnKey: TypeAlias = tuple[str, str, str]
Minutes: TypeAlias = Mapping[int, Mapping[str, Numbers]]
"""What was counted in each minute, by subject."""


@lru_cache(maxsize=MAX_CIRCUITS)
def endpoint_of(provider: str, base_url: str) -> str:
    """What an endpoint is called where its address is nobody's business."""
    return f"{provider}:{sha256(base_url.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Rules:
    """`watched`: patterns of the providers whose calls are counted; none counts nothing, and opens no circuit.
    `failures`: in a row until a circuit opens.
    """

    watched: tuple[str, ...] = ()
    failures: int = 5
    open_s: float = 30.0

    def watch(self, provider: str) -> bool:
        return any(pattern == "*" or fnmatchcase(provider, pattern) for pattern in self.watched)


@dataclass(slots=True)
class Circuit:
    """`until_s`: until when nobody is let through, 0 while it is closed. `probe_s`: when the one entered that tries."""

    failures: int = 0
    opened_s: float = 0.0
    closed_s: float = 0.0
    until_s: float = 0.0
    probe_s: float = 0.0

    def enter(self, now_s: float, open_s: float) -> None:
        """One that need not wait. While it is open that one tries, and the next one when it has not come back."""
        if self.until_s:
            self.probe_s, self.until_s = now_s, now_s + open_s

    def open(self, at_s: float, open_s: float) -> None:
        self.opened_s, self.until_s, self.probe_s = at_s, at_s + open_s, 0.0

    def close(self, at_s: float) -> None:
        self.closed_s, self.until_s, self.failures = at_s, 0.0, 0

    def note(self, entered_s: float, now_s: float, most: int, open_s: float, *, has_failed: bool) -> Change | None:
        """What became of one that entered. One that had entered before it opened says nothing of an open circuit."""
        if self.until_s:
            if has_failed and entered_s == self.probe_s:
                self.open(now_s, open_s)
                return "opened"
            if not has_failed and entered_s > self.opened_s:
                self.close(now_s)
                return "closed"
            return None
        self.failures = self.failures + 1 if has_failed else 0
        if self.failures < most:
            return None
        self.open(now_s, open_s)
        return "opened"


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a provider: `endpoint`, as `endpoint_of` says; `subject`: "provider/model"."""

    endpoint: str
    subject: str
    tenant_id: str
    entered_s: float

    @property
    def own(self) -> OwnKey:
        return self.tenant_id, self.endpoint, self.subject


class Circuits:
    """Of one environment: those of endpoints, and those of a tenant alone that gives a model very little time.

    `marks`: what has happened to the first here and is not shared yet.
    """

    def __init__(self, rules: Rules, tallies: Tallies) -> None:
        self.rules, self._tallies = rules, tallies
        self._circuits: dict[str, Circuit] = {}
        self._own: dict[OwnKey, Circuit] = {}
        self.marks: dict[str, Mark] = {}

    def enter(self, call: Call) -> float:
        """How long until it may be made; 0 for now, and then it is."""
        standing = self._standing(call)
        wait_s = max((circuit.until_s - call.entered_s for circuit in standing), default=0.0)
        if wait_s > 0:
            return wait_s
        for circuit in standing:
            circuit.enter(call.entered_s, self.rules.open_s)
        return 0.0

    def note(self, call: Call, verdict: Verdict, now_s: float) -> Change | None:
        """What has happened to the endpoint's circuit by that."""
        if verdict == "slow":
            own = _at(self._own, call.own)
            own.note(call.entered_s, now_s, OWN_FAILURES, self.rules.open_s, has_failed=True)
            return None
        if self._own and verdict == "answered":
            self._own.pop(call.own, None)
        has_failed = verdict == "failed"
        slot = int(now_s // SLOT_S) % (60 // SLOT_S)
        numbers = (f"{ASKED}{slot}@{call.endpoint}", f"{BROKEN}{slot}@{call.endpoint}")
        self._tallies.add(now_s, call.subject, *numbers[: 2 if has_failed else 1])
        if not has_failed and call.endpoint not in self._circuits:
            return None
        circuit = _at(self._circuits, call.endpoint)
        change = circuit.note(call.entered_s, now_s, self.rules.failures, self.rules.open_s, has_failed=has_failed)
        return self._marked(call.endpoint, change)

    def give_up(self, call: Call, now_s: float) -> None:
        """One that nobody knows the end of: where it was to try whether all is well again, the next one is."""
        for circuit in self._standing(call):
            if circuit.until_s and circuit.probe_s == call.entered_s:
                circuit.until_s = now_s

    def _standing(self, call: Call) -> list[Circuit]:
        """In its way, where they are open."""
        own = self._own.get(call.own) if self._own else None
        return [each for each in (self._circuits.get(call.endpoint), own) if each is not None]

    def learn(self, endpoint: str, mark: Mark, minutes: Minutes, now_s: float) -> None:
        """What happened to it in another environment, where that is newer. One that was opened there is open here only
        if it fails everywhere: what keeps failing may be that environment, or one tenant's request.
        """
        opened_s, closed_s = mark
        circuit = _at(self._circuits, endpoint)
        if closed_s > max(circuit.opened_s, circuit.closed_s):
            circuit.close(closed_s)
        is_news = opened_s > max(circuit.opened_s, circuit.closed_s) and now_s < opened_s + self.rules.open_s
        if is_news and _fails(*self._recent(endpoint, minutes, now_s)):
            circuit.open(opened_s, self.rules.open_s)

    def judge(self, minutes: Minutes, now_s: float) -> list[str]:
        """Opens the circuits of endpoints of which too many calls of all environments failed, and names these."""
        broken = {
            number[3:]
            for each in minutes.values()
            for counted in each.values()
            for number in counted
            if number[0] == BROKEN
        }
        return [endpoint for endpoint in sorted(broken) if self._opens(endpoint, minutes, now_s)]

    def is_open(self, provider: str, now_s: float) -> bool:
        """Whether one of its endpoints is left alone at the moment."""
        return any(
            now_s < circuit.until_s
            for endpoint, circuit in self._circuits.items()
            if endpoint.partition(":")[0] == provider
        )

    def _opens(self, endpoint: str, minutes: Minutes, now_s: float) -> bool:
        circuit = _at(self._circuits, endpoint)
        asked, failed = self._recent(endpoint, minutes, now_s)
        if circuit.until_s or asked < LEAST_CALLS or not _fails(asked, failed):
            return False
        circuit.open(now_s, self.rules.open_s)
        self._marked(endpoint, "opened")
        return True

    def _recent(self, endpoint: str, minutes: Minutes, now_s: float) -> tuple[int, int]:
        """How many calls there were in the last slots since it was closed, and how many of them failed."""
        circuit = _at(self._circuits, endpoint)
        asked = failed = 0
        for slot_s in range(int(now_s // SLOT_S - SLOTS + 1) * SLOT_S, int(now_s) + 1, SLOT_S):
            if slot_s < circuit.closed_s:
                continue  # before it closed
            slot = slot_s // SLOT_S % (60 // SLOT_S)
            for counted in minutes.get(minute_of(slot_s), {}).values():
                asked += counted.get(f"{ASKED}{slot}@{endpoint}", 0)
                failed += counted.get(f"{BROKEN}{slot}@{endpoint}", 0)
        return asked, failed

    def _marked(self, endpoint: str, change: Change | None) -> Change | None:
        if change is not None:
            circuit = self._circuits[endpoint]
            self.marks[endpoint] = (circuit.opened_s, circuit.closed_s)
        return change


def _fails(asked: int, failed: int) -> bool:
    return failed > 0 and 100 * failed >= OPENS_AT_PERCENT * asked


def _at(circuits: dict[K, Circuit], key: K) -> Circuit:
    """Not more of them than there is room for: the oldest one goes."""
    circuit = circuits.get(key)
    if circuit is None:
        if len(circuits) >= MAX_CIRCUITS:
            del circuits[next(iter(circuits))]
        circuit = circuits[key] = Circuit()
    return circuit
