"""Latency and CPU of the runtime client alone: `python -m tests.unit.runtime.measure [invocations] [chunks]`.

The peer is a blocking Runtime API in this process; the runtime runs the app below in a process of its own. Reported:
event handed out to prelude received, event to end of answer, and the runtime's CPU time per invocation.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gateway
from tests.unit.runtime.fake_runtime_api import http_event

_HEAD = (
    b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-%d\r\nLambda-Runtime-Deadline-Ms: %d\r\n"
    b"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:1:function:f\r\nContent-Length: %d\r\n\r\n"
)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the body, answers `MEASURE_CHUNKS` chunks of 206 bytes, one per loop tick."""
    if scope["type"] == "http":
        await receive()
        chunks = int(os.environ["MEASURE_CHUNKS"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for left in range(chunks, 0, -1):
            await send({"type": "http.response.body", "body": b"data: " + b"x" * 200, "more_body": left > 1})
            await asyncio.sleep(0)


def _until(peer: socket.socket, end: bytes) -> None:
    received = b""
    while end not in received:
        received += peer.recv(65_536)


def _invoke(listener: socket.socket, poll: socket.socket, number: int, event: bytes) -> tuple[float, float]:
    _until(poll, b"\r\n\r\n")
    began = time.perf_counter()
    poll.sendall(_HEAD % (number, (time.time() + 60) * 1000, len(event)) + event)
    answer, _ = listener.accept()
    received = b""
    while b"\0" * 8 not in received:
        received += answer.recv(65_536)
    prelude_s = time.perf_counter() - began
    while not received.endswith(b"\r\n0\r\n\r\n"):
        received += answer.recv(65_536)
    end_s = time.perf_counter() - began
    answer.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    answer.recv(1)
    answer.close()
    return prelude_s, end_s


def main(invocations: int = 2_000, chunks: int = 1) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    event = json.dumps(http_event(body=json.dumps({"model": "m", "prompt": "x" * 1_000}))).encode()
    root = Path(gateway.__file__).parents[1]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{root}:{Path.cwd()}",
        "_HANDLER": "tests.unit.runtime.measure.app",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{listener.getsockname()[1]}",
        "MEASURE_CHUNKS": str(chunks),
    }
    runtime = subprocess.Popen([sys.executable, "-m", "gateway.entry.runtime"], env=environment)
    poll, _ = listener.accept()
    for number in range(100):
        _invoke(listener, poll, number, event)
    stat = Path(f"/proc/{runtime.pid}/stat")
    before = stat.read_text().split()[13:15]
    times = [_invoke(listener, poll, number, event) for number in range(invocations)]
    after = stat.read_text().split()[13:15]
    runtime.terminate()
    runtime.wait()
    tick_us = 1e6 / os.sysconf("SC_CLK_TCK") / invocations
    user_us, system_us = ((int(end) - int(start)) * tick_us for start, end in zip(before, after, strict=True))
    for name, values in zip(("prelude", "end"), zip(*times, strict=True), strict=True):
        cuts = statistics.quantiles(values, n=100)
        sys.stdout.write(f"event to {name}: p50 {cuts[49] * 1e6:.0f} us, p99 {cuts[98] * 1e6:.0f} us\n")
    memory_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(
        f"CPU per invocation: user {user_us:.0f} us, system {system_us:.0f} us; peak memory {memory_mb:.0f} MB\n"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
