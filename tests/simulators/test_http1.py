"""The HTTP server under the simulators, over raw sockets."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.simulators.process import KEY, ROOT, Simulator

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}'
HEAD = (
    b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer " + KEY.encode() + b"\r\n"
    b"content-type: application/json\r\n"
)


@pytest.fixture
def connection(simulator: Simulator) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as connection:
        yield connection


def read_until_closed(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_pipelined_requests_are_answered_in_order(connection: socket.socket) -> None:
    get = b"GET /_sim/health HTTP/1.1\r\nhost: sim\r\n"
    post = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    connection.sendall(post + get + b"connection: close\r\n\r\n")
    received = read_until_closed(connection)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b"You said: Hello") < received.index(b'"status":"ok"')


def test_chunked_request_torn_into_single_bytes(connection: socket.socket) -> None:
    chunked = b"%x\r\n%b\r\n%x;x=y\r\n%b\r\n0\r\n\r\n" % (10, BODY[:10], len(BODY) - 10, BODY[10:])
    for byte in HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + chunked:
        connection.send(bytes([byte]))
    assert b"You said: Hello" in read_until_closed(connection)


def test_expect_continue(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"expect: 100-continue\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY))
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(BODY)
    assert b"You said: Hello" in read_until_closed(connection)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /_sim/health HTTP/1.0\r\n\r\n", 505),
        (b"GET /_sim/health HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (HEAD + b"content-length: -1\r\n\r\n", 400),
        (HEAD + b"content-length: 99999999999\r\n\r\n", 413),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"GET /" + b"a" * 70_000, 431),
    ],
)
def test_bad_requests_get_a_status_and_a_closed_connection(connection: socket.socket, sent: bytes, status: int) -> None:
    connection.sendall(sent)
    assert read_until_closed(connection).startswith(b"HTTP/1.1 %d " % status)


def test_unknown_path(simulator: Simulator) -> None:
    assert "no simulated provider" in simulator.http.get("/nobody/v1/models").json()["sim_error"]
    assert simulator.http.get("/openai/v1/nothing", headers={"authorization": f"Bearer {KEY}"}).status_code == 404


def test_taken_port_is_said_clearly(simulator: Simulator) -> None:
    command = [sys.executable, "-m", "local.simulators", "--port", str(simulator.port)]
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{simulator.port}" in done.stderr
