"""The provider that everybody asks: answers made up beforehand, so that next to nothing of what is timed is its own.

python -m benchmarks.peers.provider: serves on a free port of loopback until it is ended.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import struct
import sys
from collections.abc import Callable
from functools import cache

from benchmarks.scenarios import CHAT, EMBEDDINGS

FIRST_TEXT = b"first-token"
"""Of every stream; nothing before it has it."""
TEXT = "What the provider says is the same for everybody who asks. " * 7
VECTORS, DIMENSIONS = 64, 1_536
_STREAMED = re.compile(rb'"stream": ?true')
_USAGE = re.compile(rb'"include_usage": ?true')
_SWITCHES = re.compile(rb"\[\[chunks=(\d+)(?: chunk_delay_s=([\d.]+))?\]\]")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"
_STREAM_TYPE = b"Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\n" + _STREAM_TYPE + b"Transfer-Encoding: chunked\r\n\r\n"


class Connection(asyncio.Protocol):
    """Answers one request after another; each answer leaves in one piece, or in events that are `delay_s` apart."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream socket has no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (length := request_length(self._received)) is not None:
            request = bytes(self._received[:length])
            del self._received[:length]
            pieces, delay_s = answer(request)
            self._send(pieces, delay_s)

    def _send(self, pieces: list[bytes], delay_s: float) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(pieces[0])
        if rest := pieces[1:]:
            asyncio.get_running_loop().call_later(delay_s, self._send, rest, delay_s)


def request_length(received: bytearray) -> int | None:
    """Bytes of the first request, or None as long as it is not complete."""
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    if _CHUNKED.search(received, 0, head_end + 2):
        end = received.find(b"\r\n" + _LAST_CHUNK, head_end + 2)
        return None if end < 0 else end + 2 + len(_LAST_CHUNK)
    length = _LENGTH.search(received, 0, head_end)
    whole = head_end + 4 + (int(length[1]) if length else 0)
    return whole if len(received) >= whole else None


def answer(request: bytes) -> tuple[list[bytes], float]:
    """What is sent for a request, in pieces, and the seconds between two of them."""
    path = request.split(b" ", 2)[1]
    if path.endswith(EMBEDDINGS.path.encode()):
        return [vectors(b'"base64"' in request)], 0.0
    if not path.endswith(CHAT.path.encode()):
        return [whole({"object": "list", "data": []})], 0.0
    if not _STREAMED.search(request):
        return [chat()], 0.0
    switches = _SWITCHES.search(request)
    chunks, delay_s = (int(switches[1]), float(switches[2] or 0)) if switches else (4, 0.0)
    pieces = stream(chunks, _USAGE.search(request) is not None)
    return (list(pieces), delay_s) if delay_s else ([b"".join(pieces)], 0.0)


def whole(document: dict[str, object]) -> bytes:
    """The document as an answer of HTTP."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@cache
def chat() -> bytes:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return whole({**_head("chat.completion"), "choices": [choice], "usage": _usage(80), "system_fingerprint": "fp_1"})


@cache
def vectors(in_base64: bool) -> bytes:
    """The same vector for every text; as numbers more than a megabyte."""
    numbers = [round(((n * 7_919) % 2_000 - 1_000) / 20_011, 9) for n in range(DIMENSIONS)]
    packed = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *numbers)).decode()
    vector: object = packed if in_base64 else numbers
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(VECTORS)]
    usage = {"prompt_tokens": 2_560, "total_tokens": 2_560}
    return whole({"object": "list", "data": data, "model": EMBEDDINGS.model, "usage": usage})


@cache
def stream(chunks: int, with_usage: bool) -> tuple[bytes, ...]:
    """The first piece has the head and the first text; the last all that ends the stream."""
    first = _event({"role": "assistant", "content": ""}) + _event({"content": f"{FIRST_TEXT.decode()} "})
    rest = [_event({"content": f"token {number} "}) for number in range(1, chunks)]
    end = [_event({}, "stop")]
    if with_usage:
        end.append(_chunk({**_head("chat.completion.chunk"), "choices": [], "usage": _usage(chunks)}))
    end.append(_framed(b"data: [DONE]\n\n") + _LAST_CHUNK)
    return _STREAM_HEAD + first, *rest, b"".join(end)


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _chunk({**_head("chat.completion.chunk"), "choices": [choice], "system_fingerprint": "fp_1"})


def _chunk(document: dict[str, object]) -> bytes:
    return _framed(b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_795_424_400, "model": CHAT.model}


def _usage(completion: int) -> dict[str, int]:
    return {"prompt_tokens": 20, "completion_tokens": completion, "total_tokens": 20 + completion}


async def serve(said: Callable[[int], None]) -> None:
    """Until SIGTERM or SIGINT; `said` is told the port."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    said(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()


def main() -> int:
    for in_base64 in (False, True):
        vectors(in_base64)
    asyncio.run(serve(lambda port: print(f"provider listening on http://127.0.0.1:{port}", flush=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
