"""What sessions of voice need of the world: a record, a log of what the client says, and both of their connections."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from gateway.model.client_secret import ClientSecret
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.realtime_session import Admitted, Books, Frame, Lease, Link, Snapshot, Taken


class Fenced(Exception):
    """Another one holds the session."""


class Sessions(Protocol):
    """Records of sessions by their connection's id. Every method raises StorageUnavailable (503).

    What has an `epoch` raises Fenced, and changes nothing, where that is not the latest one.
    """

    async def create(self, admitted: Admitted, now_s: float) -> None: ...

    async def lease(self, connection_id: str) -> Lease | None:
        """As it is now; None when there is none of that id."""
        ...

    async def take(self, connection_id: str, epoch: int, now_s: float) -> Taken | None:
        """Holds it from now on; None where it may not be taken, or there is none of that id."""
        ...

    async def beat(self, connection_id: str, epoch: int, now_s: float) -> Lease:
        """Says that it is held."""
        ...

    async def keep(self, connection_id: str, epoch: int, snapshot: Snapshot) -> None: ...

    async def book(self, connection_id: str, epoch: int, books: Books) -> None: ...

    async def hand_over(self, connection_id: str, epoch: int, now_s: float) -> None:
        """The next one may take it at once."""
        ...

    async def leave(self, connection_id: str) -> Lease | None:
        """The client has gone."""
        ...

    async def end(self, connection_id: str, epoch: int) -> None: ...


class Frames(Protocol):
    """What clients have said, in the order of the frames' names. Both raise StorageUnavailable (503)."""

    async def append(self, connection_id: str, frame: Frame, now_s: float) -> None:
        """May be repeated."""
        ...

    async def between(self, connection_id: str, after: str, before: str) -> list[Frame]:
        """Those whose names are larger than one and smaller than the other; perhaps the first of them only."""
        ...


class ClientSecrets(Protocol):
    """By the hashes of their values. Both raise StorageUnavailable (503)."""

    async def keep(self, value_hash: str, secret: ClientSecret) -> None: ...

    async def find(self, value_hash: str) -> ClientSecret | None:
        """Whether or not it has expired; None when there is none, or none any more."""
        ...


class ClientGone(Exception):
    """There is no such connection: not any more, or not yet."""


class ClientUnreachable(Exception):
    """The connection took nothing this time; it may do so in a moment."""


class Clients(Protocol):
    """The connections of clients."""

    async def post(self, link: Link, message: bytes) -> None:
        """One message, of at most 128 KB. Raises ClientGone, ClientUnreachable."""
        ...

    async def close(self, link: Link) -> None:
        """Nothing where it is closed already. Raises ClientUnreachable."""
        ...


class HandshakeRefused(Exception):
    """The provider answered, but not with a connection."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(f"status {response.status}")
        self.response = response


class SocketClosed(Exception):
    """`code`: of the close frame, 1006 where the connection broke."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class ProviderSocket(Protocol):
    """A WebSocket connection. Both raise SocketClosed."""

    async def send(self, message: str) -> None: ...

    async def receive(self) -> str | bytes: ...


class ProviderSockets(Protocol):
    def open(self, request: HttpRequest) -> AbstractAsyncContextManager[ProviderSocket]:
        """`request`: of the handshake. Raises HandshakeRefused, ProviderError (502) where nobody answers in time."""
        ...


class Holders(Protocol):
    async def start(self, connection_id: str, epoch: int) -> None:
        """Asks for a function to hold the session. Raises StorageUnavailable (503)."""
        ...


class Voice(Struct, frozen=True):
    """All of it but the provider's connection, which only a holder needs."""

    sessions: Sessions
    frames: Frames
    clients: Clients
    holders: Holders
    secrets: ClientSecrets
