"""Voice in real time: a connection is opened, and what either side says is put into the words of the other.

Whoever holds the connection carries out a `Step` as it stands: sends its `messages` to the provider and its `events` to
the client, counts what was `used`. The same session goes on over another connection, perhaps in another process, by
what it has `carried`.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.realtime import ProviderEvent, SessionConfig
from gateway.model.realtime_events import ServerEvent
from gateway.model.usage import TokenUsage
from gateway.providers.contract.target import Target


class Carried(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that a session has to remember, as JSON.

    `items`: the conversation as far as it can be said again: texts, transcripts, calls and their outputs, without the
    oldest where it is long. `handle`: by
    which the provider itself remembers it, in their place. `held`: what the client has said and the provider not
    heard yet, in the provider's words. `calls`: names of functions by the calls that are open. `made`: how many ids.
    """

    config: SessionConfig = SessionConfig()
    items: tuple[Json, ...] = ()
    handle: str | None = None
    held: tuple[Json, ...] = ()
    calls: dict[str, str] = {}
    made: int = 0

    def without_handle(self) -> Carried:
        """For when the provider does not know its handle any more."""
        return replace(self, handle=None)


class Opening(Struct, frozen=True):
    """`model_name`: as the client calls the model. `config`: what holds from the start, with function tools only.

    `carried`: of an earlier connection of the same session; then `config` counts for nothing.
    """

    session_id: str
    model_name: str
    config: SessionConfig = field(default_factory=SessionConfig)
    carried: Carried | None = None


class Used(Struct, frozen=True):
    """What one turn used. `model`: the provider's id of a model beside the session's own, which has a row of its own
    in the catalog; None: the session's own. `is_beside`: the conversation, of which it says nothing.
    """

    usage: TokenUsage
    model: str | None = None
    is_beside: bool = False


class Step(Struct, frozen=True):
    """What follows from one event or message.

    `turn_ended`: the model has finished, or broken off. `interrupted`: it was broken off by the user's voice.
    `go_away_s`: so long the provider keeps the connection, then it closes it.
    `reconnect`: what was asked for takes a new connection, opened with what is `carried`, as soon as all is quiet.
    `failure`: why this connection is of no more use. Retryable: another may be.
    """

    messages: tuple[str, ...] = ()
    events: tuple[ServerEvent, ...] = ()
    used: tuple[Used, ...] = ()
    turn_ended: bool = False
    interrupted: bool = False
    go_away_s: float | None = None
    reconnect: bool = False
    failure: ProviderFailure | None = None


class RealtimeSession(Protocol):
    """One session over one connection."""

    @property
    def is_quiet(self) -> bool:
        """Nobody speaks, nothing is awaited, and what is carried is complete: a good moment for another connection."""
        ...

    def open(self) -> Step:
        """As soon as the connection is there."""
        ...

    def send(self, event: ProviderEvent) -> Step:
        """What the client says. An event that is refused changes nothing.

        Raises InvalidRequest, CapabilityNotSupported (400) whose `param` begins at the event.
        """
        ...

    def receive(self, message: str | bytes) -> Step:
        """What the provider says. Raises ProviderError (502) for what no such provider says."""
        ...

    def carried(self) -> Carried: ...


class RealtimeWire(Protocol):
    """One protocol of realtime sessions over WebSocket; implementations live in `providers/wire`."""

    @property
    def connection_s(self) -> int:
        """The longest that the provider keeps a connection, whether or not it warns."""
        ...

    @property
    def unheard_s(self) -> int:
        """For how long somebody may speak before the provider, or this wire, says so: as long a session may seem quiet
        that is not.
        """
        ...

    def connect(self, target: Target) -> HttpRequest:
        """The handshake, a GET of a ws or wss URL, without credentials and WebSocket's own headers."""
        ...

    def check(self, config: SessionConfig, target: Target) -> None:
        """Raises InvalidRequest, CapabilityNotSupported (400) for what this wire or model cannot honour."""
        ...

    def also_used(self, config: SessionConfig, /) -> tuple[str, ...]:
        """The provider's ids of other models that are charged for: what is paid for has to be allowed."""
        ...

    def session(self, opening: Opening, target: Target) -> RealtimeSession: ...

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        """The meaning of a handshake that was refused."""
        ...

    def closed(self, code: int, reason: str, target: Target, /) -> ProviderFailure:
        """The meaning of the provider's close frame, or of 1006 for a connection that broke."""
        ...
