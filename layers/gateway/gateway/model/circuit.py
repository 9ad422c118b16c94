"""Whether one thing is asked at all: not for a while after it has failed again and again. Pure.

A circuit is closed while all is well. It opens after so many failures in a row, or when of all environments' calls of
the last half minute half have failed. After `open_s` one call is let through: if that goes well the circuit closes, if
not it stays open as long again. Times are Unix seconds, which environments share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct, field

from gateway.model.health import Numbers

Verdict: TypeAlias = Literal["answered", "failed", "unreachable", "slow"]
"""Of one call. Slow: not in a time that only its own caller thinks enough."""
Change: TypeAlias = Literal["opened", "closed"]
Mark: TypeAlias = tuple[float, float]
"""When a circuit was opened and when it was closed last; 0 for never."""
Minutes: TypeAlias = Mapping[int, Mapping[str, Numbers]]
"""What was counted in each minute, by subject."""

SLOW_CALLS = 3
"""In a row until a tenant's own calls to a model with so little time are refused. Each costs all of that time."""
ASK_AGAIN_S = 1.0
"""How long an environment waits for the one that tries, until it asks again whether it may try itself."""
FORGOTTEN_S = 60.0
"""After an open circuit's time is over. An environment that was not asked for so long knows nothing any more."""
MAX_CIRCUITS = 1_000
TENANT_GROUPS = 8
_OWN = "~"
"""In an endpoint's name: reached with a tenant's own key, so nobody else's."""
_HASH = 12
_SLACK = 1.1
"""The same limit is not to the millisecond the same, for the gateway's own work comes before."""


@lru_cache(maxsize=MAX_CIRCUITS)
def endpoint_of(provider: str, base_url: str, key_of: str | None = None) -> str:
    """What an endpoint is called where its address is nobody's business. `key_of`: the tenant whose key it is."""
    if key_of is None:
        return f"{provider}:{_hashed(base_url)}"
    return f"{provider}{_OWN}:{_hashed(f'{key_of} {base_url}')}"


@lru_cache(maxsize=MAX_CIRCUITS)
def _hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_HASH]


class Place(NamedTuple):
    """What a circuit is of: an endpoint, a model there, or that for one tenant alone, who is named by a hash."""

    endpoint: str
    model: str = ""
    tenant: str = ""

    @property
    def name(self) -> str:
        """What it is called in the log, and among what environments share."""
        tenant = f"#{self.tenant}" if self.tenant else ""
        return f"{self.endpoint}{tenant}/{self.model}" if self.model else self.endpoint

    @property
    def model_name(self) -> str:
        """Of its model for all tenants, under which its calls are counted."""
        return f"{self.endpoint}/{self.model}"

    @property
    def is_shared(self) -> bool:
        """Not what one tenant's own key meets: that would be an item for each tenant, which all others read."""
        return _OWN not in self.endpoint

    @property
    def group(self) -> str:
        """The one of `TENANT_GROUPS` that this tenant is counted in."""
        return str(int(self.tenant[-1], 16) % TENANT_GROUPS)

    def covers(self, other: Place) -> bool:
        """Whether nothing of it is asked while this is not."""
        return (
            self.endpoint == other.endpoint
            and self.model in ("", other.model)
            and self.tenant in ("", other.tenant)
            and self != other
        )

    def concerns(self, provider: str, model: str, tenant_id: str) -> bool:
        return (
            self.endpoint.partition(":")[0] == provider
            and self.model in ("", model)
            and self.tenant in ("", _hashed(tenant_id))
        )


def place_of(name: str) -> Place:
    """The one of that name."""
    end = name.index(":") + 1 + _HASH
    rest, _, model = name[end:].partition("/")
    return Place(name[:end], model, rest.removeprefix("#"))


class Rules(Struct, frozen=True):
    """`watched`: patterns of the providers whose calls are counted; none counts nothing, and opens no circuit.
    `failures`: in a row until a circuit opens.
    """

    watched: tuple[str, ...] = ()
    failures: int = 5
    open_s: float = 30.0

    def watch(self, provider: str) -> bool:
        return any(pattern == "*" or fnmatchcase(provider, pattern) for pattern in self.watched)


class Call(Struct, frozen=True):
    """One call to a provider: `endpoint`, as `endpoint_of` says. `allowed_s`: how long it may take, until its first
    content where it is streamed.
    """

    endpoint: str
    model: str
    tenant_id: str
    entered_s: float
    allowed_s: float = 0.0

    @property
    def places(self) -> tuple[Place, ...]:
        """The widest first."""
        return _places(self.endpoint, self.model, self.tenant_id)


@lru_cache(maxsize=MAX_CIRCUITS)
def _places(endpoint: str, model: str, tenant_id: str) -> tuple[Place, ...]:
    return Place(endpoint), Place(endpoint, model), Place(endpoint, model, _hashed(tenant_id))


class Circuit(Struct):
    """`until_s`: until when nobody is let through, 0 while it is closed. `probe_s`: when the one entered that tries.
    `may_try`: whether this environment's next call tries, whenever it comes. `tenants`, `models`: how many of the
    failures in a row are of each. `unreached`: how many of them had no connection.
    """

    failures: int = 0
    opened_s: float = 0.0
    closed_s: float = 0.0
    until_s: float = 0.0
    probe_s: float = 0.0
    may_try: bool = False
    failed_s: float = 0.0
    tenants: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    unreached: int = 0

    def wait_s(self, now_s: float, *, asks_others: bool) -> float:
        """How long it lets nobody through; 0 for not at all. `asks_others`: who tries is agreed on."""
        if not self.until_s:
            return 0.0
        if now_s < self.until_s:
            return self.until_s - now_s
        if not asks_others or self.may_try or now_s > self.until_s + FORGOTTEN_S:
            return 0.0
        return ASK_AGAIN_S

    def enter(self, now_s: float, open_s: float) -> None:
        """One that need not wait. While it is open that one tries, and the next one when it has not come back."""
        if self.until_s:
            self.probe_s, self.until_s, self.may_try = now_s, now_s + open_s, False

    def is_tried_by(self, entered_s: float) -> bool:
        return bool(self.until_s) and self.probe_s == entered_s

    def give_up(self, now_s: float) -> None:
        """The try says nothing: the next one is."""
        self.until_s, self.may_try, self.probe_s = now_s, True, 0.0

    def open(self, at_s: float, open_s: float) -> None:
        self.opened_s, self.until_s, self.probe_s, self.may_try = at_s, at_s + open_s, 0.0, False
        self._well()

    def close(self, at_s: float) -> None:
        self.closed_s, self.until_s, self.may_try = at_s, 0.0, False
        self._well()

    def _well(self) -> None:
        self.failures = self.unreached = 0
        self.tenants.clear()
        self.models.clear()

    def answered(self, entered_s: float, now_s: float) -> Change | None:
        """One that had entered before it opened says nothing of an open circuit."""
        if not self.until_s:
            if self.failures:
                self._well()
            return None
        if entered_s <= self.opened_s:
            return None
        self.close(now_s)
        return "closed"

    def is_of_several(self, counted: Counter[str], least: int) -> bool:
        """Without the tenant, or the model, that most of them are of."""
        return self.failures - max(counted.values(), default=0) >= least

    def failed(self, call: Call, now_s: float, *, is_reached: bool) -> None:
        self.failures, self.failed_s = self.failures + 1, now_s
        self.tenants[call.tenant_id] += 1
        self.models[call.model] += 1
        self.unreached += not is_reached


class Hurried(Struct):
    """A tenant's calls to a model that had too little time. `limit_s`: the longest with which it is not asked;
    `row_s`: the longest of those in a row that failed since.
    """

    limit_s: float = 0.0
    row_s: float = 0.0
    failures: int = 0
    until_s: float = 0.0
    probe_s: float = 0.0

    def wait_s(self, call: Call) -> float:
        """0 for who allows more."""
        return max(self.until_s - call.entered_s, 0.0) if self._holds(call.allowed_s) else 0.0

    def enter(self, call: Call, open_s: float) -> None:
        if self.until_s and self._holds(call.allowed_s):
            self.probe_s, self.until_s = call.entered_s, call.entered_s + open_s

    def slow(self, call: Call, now_s: float, open_s: float) -> None:
        is_try = bool(self.until_s) and self.probe_s == call.entered_s
        if self.until_s and not is_try and self._holds(call.allowed_s):
            return
        self.failures, self.row_s = self.failures + 1, max(self.row_s, call.allowed_s)
        if is_try or self.failures >= SLOW_CALLS:
            self.limit_s, self.until_s = max(self.limit_s, self.row_s), now_s + open_s
            self.failures, self.row_s, self.probe_s = 0, 0.0, 0.0

    def is_well(self, call: Call, now_s: float) -> bool:
        """Whether this answer came in the time that was too little."""
        return now_s - call.entered_s <= max(self.limit_s, self.row_s) * _SLACK

    def give_up(self, call: Call, now_s: float) -> None:
        if self.until_s and self.probe_s == call.entered_s:
            self.until_s = now_s

    def _holds(self, allowed_s: float) -> bool:
        return allowed_s <= self.limit_s * _SLACK
