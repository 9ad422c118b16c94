"""What a session of voice is asked for with, and the terms that all sessions have."""

from __future__ import annotations

from msgspec import Struct

from gateway.model.call import Call
from gateway.model.realtime import SessionConfig


class RealtimeCall(Call, frozen=True, kw_only=True):
    """`session`: what holds from the start."""

    session: SessionConfig = SessionConfig()


class Terms(Struct, frozen=True):
    """`longest_s`: API Gateway ends a connection after two hours. `idle_s`: without a word of the client; API Gateway
    ends a connection on which nobody says anything for ten minutes. `rollover_s`: after which another function holds
    the session, as soon as all is quiet; Lambda ends a function after 15 minutes. `window_ms`: how long what the client
    says is waited for by what it said later.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
    """

    longest_s: float = 3_600.0
    idle_s: float = 300.0
    rollover_s: float = 780.0
    window_ms: int = 50
