"""The client of the benchmarks does not measure what its own kernel adds to a server that waits for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.exchange import DirectClient
from benchmarks.machine import IS_LINUX

HEAD, BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"{}"


@pytest.fixture
def port() -> Iterator[int]:
    """A server that sends head and body apart, the second one only when the first one is acknowledged (Nagle)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            while peer.recv(65_536):
                peer.sendall(HEAD)
                peer.sendall(BODY)

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listener.getsockname()[1])
    thread.join()
    listener.close()


@pytest.mark.skipif(not IS_LINUX, reason="other systems cannot be told to acknowledge at once")
def test_a_server_that_waits_for_the_acknowledgement_gets_it_at_once(port: int) -> None:
    client = DirectClient(port, "/")
    took_ms = [client.call(b"{}").last_ms for _ in range(40)]
    client.close()
    assert min(took_ms[-10:]) < 20, "the kernel's delayed acknowledgement takes 40 ms"
