"""What stays of a session when its connection to the provider ends, and how that can end."""

from __future__ import annotations

import msgspec

from gateway.gts.naming import Names
from gateway.model.errors import GatewayError
from gateway.model.provider_errors import ProviderFailure
from gateway.model.realtime_call import Terms
from gateway.model.realtime_errors import SessionExpired
from gateway.model.realtime_session import Snapshot
from gateway.pipeline.realtime_books import SessionBooks
from gateway.pipeline.realtime_incoming import Incoming
from gateway.pipeline.realtime_lease import Holding
from gateway.pipeline.realtime_outgoing import Outgoing
from gateway.pipeline.realtime_pace import Bucket, Pace
from gateway.pipeline.realtime_sound import unspoken
from gateway.ports import World
from gateway.providers.contract import Target
from gateway.providers.contract.realtime import Carried, RealtimeWire


class Over(Exception):
    """The session ends. `told`: the error that the client is told, if any; `failure`: of the session, for its record.
    `is_left`: there is nobody to be told anything.
    """

    def __init__(
        self, told: GatewayError | None = None, failure: GatewayError | None = None, *, is_left: bool = False
    ) -> None:
        super().__init__()
        self.told, self.failure, self.is_left = told, failure, is_left


class Dropped(msgspec.Struct, frozen=True):
    """The connection ended by itself, or was not to be had."""

    failure: ProviderFailure


class Moving(msgspec.Struct, frozen=True):
    """Another connection is to take over, or another function (`is_handover`). `snapshot`: where it goes on."""

    snapshot: Snapshot
    is_handover: bool = False


class Schedule(msgspec.Struct):
    """By the monotonic clock: from when on a quiet moment is looked for, and when it has to be without one. Of this
    function and of this connection.
    """

    hand_over_s: float
    must_hand_over_s: float
    reconnect_s: float = float("inf")
    must_reconnect_s: float = float("inf")


class Hall(msgspec.Struct):
    """What stays when a connection ends. `over`: the session is to end, for a reason that lies elsewhere."""

    session_id: str
    request_id: str
    tenant_id: str
    ends_s: float
    target: Target
    wire: RealtimeWire
    books: SessionBooks
    holding: Holding
    incoming: Incoming
    outgoing: Outgoing
    schedule: Schedule
    terms: Terms
    world: World
    names: Names = msgspec.field(default_factory=Names)
    snapshot: Snapshot = msgspec.field(default_factory=Snapshot)
    pace: Pace = msgspec.field(default_factory=Pace)
    unspoken: Bucket = msgspec.field(default_factory=unspoken)
    over: Over | None = None

    def check(self, now_s: float) -> None:
        """Raises Over."""
        if self.over is not None:
            raise self.over
        if self.holding.is_left:
            raise Over(is_left=True)
        if now_s >= self.ends_s:
            raise Over(SessionExpired("The session has reached its longest time."))
        if now_s - self.incoming.heard_s >= self.terms.idle_s:
            raise Over(SessionExpired(f"Nothing was said for {self.terms.idle_s:.0f} seconds."))


def carried_of(snapshot: Snapshot) -> Carried | None:
    return None if snapshot.carried is None else msgspec.convert(snapshot.carried, Carried)
