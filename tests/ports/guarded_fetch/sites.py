"""Web sites on loopback sockets, names that resolve to what the test says, and a network that leads to the sites."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from socket import AF_INET6, socket
from typing import Any

from gateway.adapters.guarded_fetch.address import Address
from gateway.adapters.guarded_fetch.refusal import Failed

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ok(body: bytes = PNG, *headers: str) -> bytes:
    return answer("200 OK", *headers, f"Content-Length: {len(body)}") + body


def answer(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def redirect(location: str, status: int = 302) -> bytes:
    return answer(f"{status} Over There", f"Location: {location}", "Content-Length: 0")


CHUNKED_PNG = answer("200 OK", "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(PNG), PNG)


@dataclass
class Site:
    """Answers a path with bytes or by a script; everything else is a picture. `heads`: the requests as they came."""

    port: int = 0
    answers: dict[str, bytes | Script] = field(default_factory=dict)
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    broken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def paths(self) -> list[str]:
        return [head.split(b" ")[1].decode() for head in self.heads]

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            told = self.answers.get(self.paths[-1], ok())
            if isinstance(told, bytes):
                writer.write(told)
                await writer.drain()
            else:
                await told(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.broken.set()
        finally:
            writer.close()

    @asynccontextmanager
    async def open(self, tls: ssl.SSLContext | None) -> AsyncIterator[Site]:
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


@dataclass
class Names:
    """Each name has a list of answers, given one after the other; the last one stays. `asked`: every question."""

    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def resolve(self, name: str) -> list[Address]:
        self.asked.append(name)
        if name not in self.answers:
            raise Failed("name_not_resolved", "The host's name cannot be resolved.")
        left = self.answers[name]
        return [ip_address(text) for text in (left.pop(0) if len(left) > 1 else left[0])]


@dataclass
class Network:
    """Leads every connection of this event loop to a site, wherever it was meant to go, and notes where that was.

    So a fetch that should have been refused reaches a site that gives it a picture, and the test sees it succeed.
    Connections to the ports in `direct` go where they are meant to. Addresses in `dead` refuse.
    """

    to: Site
    attempts: list[tuple[str, int]] = field(default_factory=list)
    direct: set[int] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)

    def lay(self, loop: asyncio.AbstractEventLoop) -> Callable[[socket, Any], Awaitable[None]]:
        """What replaces `loop.sock_connect`."""
        connect = loop.sock_connect

        async def sock_connect(sock: socket, address: Any) -> None:
            host, port = address[:2]
            if port in self.direct and host == "127.0.0.1":
                return await connect(sock, address)
            self.attempts.append((host, port))
            if host in self.dead:
                raise ConnectionRefusedError
            return await connect(sock, ("::ffff:127.0.0.1" if sock.family == AF_INET6 else "127.0.0.1", self.to.port))

        return sock_connect
