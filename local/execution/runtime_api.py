"""The Lambda Runtime API: one connection of a runtime to its execution environment.

Contract: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and, for the streaming response mode with its
error trailers, https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming

MiniStack's own server reads a response to its end before it hands it over; this one forwards each chunk as it arrives.
asyncio sets TCP_NODELAY on its sockets, without which every small chunk would wait for an acknowledgement (40 ms).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from typing import Any, Protocol

import h11

from local.execution.reply import Failure, Invocation, Reply

MAX_BUFFERED_RESPONSE_BYTES = 6_291_556
"""Invoke payload limit. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

_NEXT = "/2018-06-01/runtime/invocation/next"
_INIT_ERROR = "/2018-06-01/runtime/init/error"
_RESULT = re.compile(r"^/2018-06-01/runtime/invocation/([^/]+)/(response|error)$")
_ERROR_TYPE_TRAILER = b"lambda-runtime-function-error-type"
_ERROR_BODY_TRAILER = b"lambda-runtime-function-error-body"


class RuntimeHost(Protocol):
    """The execution environment as its runtime sees it."""

    def poll(self, connection: RuntimeConnection) -> None:
        """The runtime waits for its next invocation, to be handed over by `connection.deliver`."""

    def connected(self, connection: RuntimeConnection) -> None:
        """A new connection."""

    def disconnected(self, connection: RuntimeConnection) -> None:
        """It closed, waiting or not; everything that came over it has been handled."""

    def reply_of(self, request_id: str) -> Reply | None:
        """The reply to write into, if that invocation is still in flight."""

    def answered(self, request_id: str, failure: Failure | None) -> None:
        """The runtime has answered the invocation completely."""

    def init_failed(self, failure: Failure) -> None:
        """The runtime could not start."""


class RuntimeConnection(asyncio.Protocol):
    """Speaks HTTP/1.1 with the runtime; every request of the runtime is handled as its bytes come in."""

    def __init__(self, host: RuntimeHost) -> None:
        self._host = host
        self._http = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport
        self._target = ""
        self._body: list[bytes] = []
        self._reply: Reply | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server only makes these
        self._transport = transport
        self._host.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        result = _RESULT.match(self._target)
        if result and self._reply is not None and not self._reply.finished:
            truncated = Failure.of("Runtime.TruncatedResponse", "the runtime closed the connection within its response")
            self._host.answered(result.group(1), truncated)
        self._host.disconnected(self)

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        self._http.receive_data(b"")
        self._advance()
        return False

    def deliver(self, invocation: Invocation, deadline_ms: int) -> None:
        """Answer the waiting poll with an invocation."""
        headers = [
            ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", invocation.function_arn),
        ]
        if invocation.trace_id:
            headers.append(("Lambda-Runtime-Trace-Id", invocation.trace_id))
        self._respond(200, invocation.payload, headers)
        self._advance()

    def _advance(self) -> None:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                self._transport.close()
                return
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.ConnectionClosed):
                self._transport.close()
                return
            self._take(event)

    def _take(self, event: Any) -> None:
        if isinstance(event, h11.Request):
            self._begin(event)
        elif isinstance(event, h11.Data):
            self._data(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            self._end(dict(event.headers))

    def _begin(self, request: h11.Request) -> None:
        self._target = request.target.decode("ascii")
        self._body, self._reply = [], None
        result = _RESULT.match(self._target)
        if result and result.group(2) == "response":
            self._reply = self._host.reply_of(result.group(1))
            if self._reply is not None:
                mode = dict(request.headers).get(b"lambda-runtime-function-response-mode", b"")
                self._reply.streamed = mode.lower() == b"streaming"

    def _data(self, chunk: bytes) -> None:
        if self._reply is None:
            self._body.append(chunk)
        elif not self._reply.feed(chunk, self._transport.resume_reading):
            self._transport.pause_reading()

    def _end(self, trailers: dict[bytes, bytes]) -> None:
        if self._target == _NEXT:
            self._host.poll(self)
        elif self._target == _INIT_ERROR:
            self._host.init_failed(Failure(_json_or_text(b"".join(self._body))))
            self._respond(202)
        elif result := _RESULT.match(self._target):
            self._end_result(result.group(1), result.group(2), trailers)
        else:
            self._respond(404)

    def _end_result(self, request_id: str, kind: str, trailers: dict[bytes, bytes]) -> None:
        if kind == "error":
            if self._host.reply_of(request_id) is None:
                self._refuse_request_id()
                return
            self._host.answered(request_id, Failure(_json_or_text(b"".join(self._body))))
        elif self._reply is None:
            self._refuse_request_id()
            return
        else:
            failure = _trailer_failure(trailers) or _size_failure(self._reply)
            self._host.answered(request_id, failure)
        self._respond(202)

    def _refuse_request_id(self) -> None:
        body = {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}
        self._respond(400, json.dumps(body).encode())

    def _respond(self, status: int, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> None:
        framing = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        response = h11.Response(status_code=status, headers=[*(headers or []), *framing])
        wire = [self._http.send(response), self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage())]
        self._transport.write(b"".join(part for part in wire if part))
        if self._http.our_state is h11.MUST_CLOSE:
            self._transport.close()
        elif self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()


def _trailer_failure(trailers: dict[bytes, bytes]) -> Failure | None:
    """The error a streaming runtime reports after its first byte: type in clear, body in base64 JSON."""
    error_type = trailers.get(_ERROR_TYPE_TRAILER)
    if error_type is None:
        return None
    try:
        body = json.loads(base64.b64decode(trailers.get(_ERROR_BODY_TRAILER, b""), validate=True))
    except (binascii.Error, ValueError):
        body = None
    if isinstance(body, dict):
        return Failure({"errorType": error_type.decode("latin-1"), **body})
    return Failure.of(error_type.decode("latin-1"), "the response stream ended with an error")


def _size_failure(reply: Reply) -> Failure | None:
    if reply.streamed or reply.size_bytes <= MAX_BUFFERED_RESPONSE_BYTES:
        return None
    return Failure.of(
        "Function.ResponseSizeTooLarge",
        f"Response payload size exceeded maximum allowed payload size ({MAX_BUFFERED_RESPONSE_BYTES} bytes).",
    )


def _json_or_text(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", errors="replace")
