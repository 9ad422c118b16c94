"""What sessions of voice need of the world, in memory; tests/ports holds it and the real adapters to the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.model.client_secret import ClientSecret
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest
from gateway.model.realtime_session import (
    BEGINS_S,
    BELIEVED_S,
    Admitted,
    Books,
    Frame,
    Lease,
    Link,
    Snapshot,
    Taken,
)
from gateway.realtime_ports import ClientGone, Fenced, SocketClosed


@dataclass
class MemorySession:
    admitted: Admitted
    lease: Lease
    books: Books = field(default_factory=Books)
    snapshot: Snapshot | None = None


@dataclass
class MemorySessions:
    held: dict[str, MemorySession] = field(default_factory=dict)
    is_down: bool = False

    async def create(self, admitted: Admitted, now_s: float) -> None:
        self._check()
        self.held[admitted.connection_id] = MemorySession(admitted, Lease(alive_until_s=now_s + BEGINS_S))

    async def lease(self, connection_id: str) -> Lease | None:
        self._check()
        found = self.held.get(connection_id)
        return None if found is None else found.lease

    async def take(self, connection_id: str, epoch: int, now_s: float) -> Taken | None:
        self._check()
        found = self.held.get(connection_id)
        if found is None or found.lease.is_ended or epoch != found.lease.epoch + 1:
            return None
        if not found.lease.is_free and now_s < found.lease.alive_until_s:
            return None
        found.lease = replace(found.lease, epoch=epoch, alive_until_s=now_s + BELIEVED_S, is_free=False)
        return Taken(found.admitted, found.books, found.snapshot, found.lease.is_left)

    async def beat(self, connection_id: str, epoch: int, now_s: float) -> Lease:
        found = self._of(connection_id, epoch)
        found.lease = replace(found.lease, alive_until_s=now_s + BELIEVED_S)
        return found.lease

    async def keep(self, connection_id: str, epoch: int, snapshot: Snapshot) -> None:
        self._of(connection_id, epoch).snapshot = snapshot

    async def book(self, connection_id: str, epoch: int, books: Books) -> None:
        self._of(connection_id, epoch).books = books

    async def hand_over(self, connection_id: str, epoch: int, now_s: float) -> None:
        found = self._of(connection_id, epoch)
        found.lease = replace(found.lease, alive_until_s=now_s + BEGINS_S, is_free=True)

    async def leave(self, connection_id: str) -> Lease | None:
        self._check()
        if (found := self.held.get(connection_id)) is None:
            return None
        found.lease = replace(found.lease, is_left=True)
        return found.lease

    async def end(self, connection_id: str, epoch: int) -> None:
        found = self._of(connection_id, epoch)
        found.lease = replace(found.lease, is_ended=True)

    def _of(self, connection_id: str, epoch: int) -> MemorySession:
        self._check()
        found = self.held.get(connection_id)
        if found is None or found.lease.epoch != epoch:
            raise Fenced
        return found

    def _check(self) -> None:
        if self.is_down:
            raise StorageUnavailable("Sessions cannot be stored at the moment.")


@dataclass
class MemoryFrames:
    """`on_append`: is called before a frame stands there, and may wait."""

    held: dict[str, dict[str, Frame]] = field(default_factory=dict)
    on_append: Callable[[Frame], Any] | None = None

    async def append(self, connection_id: str, frame: Frame, now_s: float) -> None:
        if self.on_append is not None:
            await self.on_append(frame)
        self.held.setdefault(connection_id, {})[frame.name] = frame

    async def between(self, connection_id: str, after: str, before: str) -> list[Frame]:
        frames = self.held.get(connection_id, {})
        return [frames[name] for name in sorted(frames) if after < name < before]


@dataclass
class MemoryClients:
    """`posted`: what clients have got, by connection id. `gone`: connections that are not there. `on_post` may wait."""

    posted: dict[str, list[bytes]] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    on_post: Callable[[Link, bytes], Any] | None = None

    async def post(self, link: Link, message: bytes) -> None:
        if self.on_post is not None:
            await self.on_post(link, message)
        if link.connection_id in self.gone or link.connection_id in self.closed:
            raise ClientGone
        self.posted.setdefault(link.connection_id, []).append(message)

    async def close(self, link: Link) -> None:
        self.closed.append(link.connection_id)


@dataclass
class ScriptedSocket:
    """`sent`: what the provider has got. `coming`: what it says; a SocketClosed is raised."""

    sent: list[str] = field(default_factory=list)
    coming: asyncio.Queue[str | bytes | SocketClosed] = field(default_factory=asyncio.Queue)

    async def send(self, message: str) -> None:
        self.sent.append(message)

    async def receive(self) -> str | bytes:
        said = await self.coming.get()
        if isinstance(said, SocketClosed):
            raise said
        return said


@dataclass
class ScriptedSockets:
    """One connection after the other; an exception is raised in place of one."""

    sockets: list[ScriptedSocket | Exception] = field(default_factory=list)
    asked: list[HttpRequest] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, request: HttpRequest) -> AsyncIterator[ScriptedSocket]:
        self.asked.append(request)
        socket = self.sockets.pop(0)
        if isinstance(socket, Exception):
            raise socket
        yield socket


@dataclass
class MemoryHolders:
    started: list[tuple[str, int]] = field(default_factory=list)
    on_start: Callable[[str, int], None] | None = None

    async def start(self, connection_id: str, epoch: int) -> None:
        self.started.append((connection_id, epoch))
        if self.on_start is not None:
            self.on_start(connection_id, epoch)


@dataclass
class MemoryClientSecrets:
    held: dict[str, ClientSecret] = field(default_factory=dict)
    is_down: bool = False

    async def keep(self, value_hash: str, secret: ClientSecret) -> None:
        self._check()
        self.held[value_hash] = secret

    async def find(self, value_hash: str) -> ClientSecret | None:
        self._check()
        return self.held.get(value_hash)

    def _check(self) -> None:
        if self.is_down:
            raise StorageUnavailable("Client secrets cannot be stored at the moment.")
