"""Addresses of names: remembered for a while, and looked up once for all who ask at the same time."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from gateway.adapters.http_answer import HttpFailure

REMEMBERED_S = 30.0
MAX_REMEMBERED = 256
LOOKUPS_AT_ONCE = 16


class Names:
    """Lookups have threads of their own: one that hangs holds up nobody who knows his address, and who gives it up
    leaves it to the next who asks for that name.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._under_way: dict[str, asyncio.Task[list[str]]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def addresses_of(self, host: str) -> list[str]:
        """One at least. Raises HttpFailure."""
        if _is_address(host):
            return [host]
        known = self._known.get(host)
        if known is not None and asyncio.get_running_loop().time() < known[0]:
            return known[1]
        if (lookup := self._under_way.get(host)) is None:
            lookup = self._under_way[host] = asyncio.create_task(self._looked_up(host))
            lookup.add_done_callback(lambda done: self._finished(host, done))
        return await asyncio.shield(lookup)

    def forget(self, host: str) -> None:
        """It may have moved."""
        self._known.pop(host, None)

    def forget_all(self) -> None:
        self._known.clear()
        self._under_way.clear()

    async def _looked_up(self, host: str) -> list[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="names")
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _find, host)
        except (OSError, UnicodeError) as error:
            raise HttpFailure("NameNotFound", is_unreached=True) from error
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[host] = (loop.time() + REMEMBERED_S, found)
        return found

    def _finished(self, host: str, lookup: asyncio.Task[list[str]]) -> None:
        if self._under_way.get(host) is lookup:
            del self._under_way[host]
        if not lookup.cancelled():
            lookup.exception()  # looked at, also where everybody who asked has gone


def _find(host: str) -> list[str]:
    """In the order of the system, each once. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
