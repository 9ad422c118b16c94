"""A session of voice as it is kept: who was let in, which function holds it, and what its client has said so far.

A session outlives the functions that hold it, one after the other, each with the next `epoch`. Whoever has the latest
one holds it as long as he says so again and again; from `BELIEVED_S` after he last did, another may follow him.
"""

from __future__ import annotations

import secrets
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.model.limits import Pattern
from gateway.model.realtime import SessionConfig
from gateway.model.tenant import Scope
from gateway.model.usage import TokenUsage

BEAT_S = 1.0
BELIEVED_S = 5.0
"""After his last beat a holder is believed to be there."""
SILENT_S = 4.0
"""After his last beat a holder says nothing any more: who was stopped for longer may have a follower."""
BEGINS_S = 10.0
"""Until whoever was asked to hold it has said so: a function that has to be loaded first."""
KEPT_S = 600
"""How long frames are kept, and what is left of a session after its end."""


class Link(Struct, frozen=True, kw_only=True):
    """The client's connection, by which API Gateway reaches it: its id, that of the API, and the stage."""

    connection_id: str
    api_id: str
    stage: str


class Admitted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What does not change. `model`: as the client calls it. `scopes`, `models`: what its key may be used for, which
    itself is nowhere; `key_hash`: by which it is found again, None of a token. `held`: what was taken from the ledger
    when it was let in. `arrived_s`, `ends_s`: Unix seconds, the second of its longest time. `config`: what holds from
    its start.
    """

    id: str
    link: Link
    request_id: str
    tenant_id: str
    user_id: str
    key_id: str
    model: str
    trace_id: str
    arrived_s: float
    ends_s: float
    held: dict[str, Any]
    scopes: tuple[Scope, ...] = ("*",)
    models: tuple[Pattern, ...] = ("*",)
    key_hash: str | None = None
    conversation_id: str | None = None
    config: SessionConfig = SessionConfig()

    @property
    def connection_id(self) -> str:
        return self.link.connection_id


def new_session_id() -> str:
    return f"sess_{secrets.token_hex(16)}"


class Lease(Struct, frozen=True):
    """`epoch`: of the latest holder, 0 before the first. `alive_until_s`: until when somebody is believed to hold it,
    or to be about to. `is_free`: whether the next may take it before that. `is_left`: the client has gone. `is_ended`:
    nothing is left to do.
    """

    epoch: int = 0
    alive_until_s: float = 0.0
    is_free: bool = True
    is_left: bool = False
    is_ended: bool = False

    def lacks_holder(self, now_s: float) -> bool:
        return not self.is_ended and now_s >= self.alive_until_s


class Spent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By one model ("provider/model"), in all its responses. `cost_nano_usd`: None where a price is unknown."""

    usage: TokenUsage = TokenUsage()
    cost_nano_usd: int | None = 0
    responses: int = 0

    def and_of(self, usage: TokenUsage, cost_nano_usd: int | None) -> Spent:
        known = None if cost_nano_usd is None or self.cost_nano_usd is None else self.cost_nano_usd + cost_nano_usd
        return replace(self, usage=self.usage + usage, cost_nano_usd=known, responses=self.responses + 1)


class Books(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the session has used. `context_tokens`: the most that the conversation can have by now. `open_responses`:
    how many have begun, and are not in it yet.
    """

    spent: dict[str, Spent] = field(default_factory=dict)
    context_tokens: int = 0
    open_responses: int = 0


class Snapshot(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a follower goes on. `carried`: of the provider's wire, as JSON; None before its first connection.

    `cursor`: the name of the last frame that is in it. `open_from`: the sound of the frames between this name and the
    cursor is said again, for nobody may have heard yet that somebody has begun to speak. `recent`: ids of the last
    frames. `names`: the client's own names of functions. `is_whole`: it is of the moment at which it was handed over,
    so that the client need not hear of that.
    """

    carried: Any = None
    cursor: str = ""
    open_from: str | None = None
    recent: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    is_whole: bool = False


class Taken(Struct, frozen=True):
    """What the one who has taken a session finds. `snapshot`: None where nobody held it before. `is_left`: the client
    has gone.
    """

    admitted: Admitted
    books: Books
    snapshot: Snapshot | None
    is_left: bool = False


class Frame(Struct, frozen=True):
    """What the client has sent as one message. `at_ms`: Unix milliseconds under which it stands. `id`: its own."""

    at_ms: int
    id: str
    body: bytes

    @property
    def name(self) -> str:
        """By which frames sort."""
        return f"{self.at_ms:013}#{self.id}"


def first_name_at(at_ms: int) -> str:
    """Of all names of that millisecond and later ones."""
    return f"{at_ms:013}"
