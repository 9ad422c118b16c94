"""One answer read from a socket and timed: the first streamed event and the last byte."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from local.console import Problem

TIMEOUT_S = 30.0
LAST_CHUNK = b"\r\n0\r\n\r\n"
EVENT = b"data: "
PROVIDER_KEY = MappingProxyType({"Authorization": "Bearer sim-openai"})
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_READ_BYTES = 262_144
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


@dataclass(frozen=True, slots=True)
class Timed:
    """Milliseconds from sending: `first_ms` to what marks the first piece (the last byte without it)."""

    first_ms: float
    last_ms: float
    raw: bytes


class Stopwatch:
    """Collects what arrives on a socket since `started_s` (perf_counter seconds). `mark`: what the first piece has."""

    def __init__(self, peer: socket.socket, started_s: float, mark: bytes = EVENT) -> None:
        self.received = bytearray()
        self._peer, self._started_s, self._mark = peer, started_s, mark
        self._first_ms = 0.0

    def read(self) -> None:
        """One read. Raises Problem when the peer closed, or is silent for too long."""
        try:
            data = self._peer.recv(_READ_BYTES)
            acknowledge(self._peer)
        except TimeoutError:
            data = b""
        if not data:
            raise Problem(f"An answer broke off after {len(self.received)} bytes: {bytes(self.received[-500:])!r}")
        self.received += data
        if not self._first_ms and self.received.find(self._mark, -len(data) - len(self._mark)) >= 0:
            self._first_ms = self._elapsed_ms()

    def stop(self) -> Timed:
        last_ms = self._elapsed_ms()
        return Timed(self._first_ms or last_ms, last_ms, bytes(self.received))

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started_s) * 1000


def acknowledge(peer: socket.socket) -> None:
    """Tells the other side at once that its bytes have come, where the platform can: one that holds back small pieces
    until then (Nagle) would otherwise be measured with this kernel's delay of 40 ms.

    Source: https://man7.org/linux/man-pages/man7/tcp.7.html, TCP_QUICKACK; it does not last, hence after each read.
    """
    if _QUICKACK is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


class DirectClient:
    """Calls a server on loopback over one kept connection. Without `headers`, the provider simulator as a client
    without a gateway would.
    """

    def __init__(self, port: int, path: str, headers: Mapping[str, str] = PROVIDER_KEY, mark: bytes = EVENT) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._mark = mark
        lines = [f"{name}: {value}" for name, value in headers.items()]
        start = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *lines, "Content-Type: application/json"]
        self._head = ("\r\n".join(start) + "\r\nContent-Length: ").encode()

    def call(self, body: bytes) -> Timed:
        """Raises Problem for anything but status 200."""
        request = self._head + b"%d\r\n\r\n" % len(body) + body
        started_s = time.perf_counter()
        self._socket.sendall(request)
        watch = Stopwatch(self._socket, started_s, self._mark)
        while not _is_whole(watch.received):
            watch.read()
        timed = watch.stop()
        if not timed.raw.startswith(b"HTTP/1.1 200 "):
            raise Problem(f"A call was refused: {timed.raw[:1000]!r}")
        return timed

    def close(self) -> None:
        self._socket.close()


def _is_whole(received: bytearray) -> bool:
    """Whether an HTTP answer is complete; one without a length is chunked."""
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return False
    if length := _LENGTH.search(received, 0, head_end):
        return len(received) >= head_end + 4 + int(length[1])
    return received.endswith(LAST_CHUNK)
