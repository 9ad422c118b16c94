"""The receive and send of one ASGI call, and what the client gets when the app does not finish its answer."""

from __future__ import annotations

import asyncio
import base64
import json

from gateway.entry.runtime.client import function_error
from gateway.entry.runtime.event import prelude
from gateway.entry.runtime.failure import error_document
from gateway.entry.runtime.handler import Message
from gateway.entry.runtime.stream import ResponseStream
from gateway.model.errors import InternalError

_FAILED = "The gateway failed to handle the request; its log has the cause under the request id."


class HttpExchange:
    """Turns the app's messages into a streamed response. The answer ends with the last body message, not the call."""

    def __init__(self, stream: ResponseStream, body: bytes) -> None:
        self.started = False
        self.complete = False
        self._stream = stream
        self._body: bytes | None = body
        self._completed = asyncio.Event()

    @property
    def phase(self) -> str:
        """How much of the answer the client can have: before_answer, in_answer or after_answer."""
        if self.complete:
            return "after_answer"
        return "in_answer" if self._stream.begun else "before_answer"

    async def receive(self) -> Message:
        """The whole body once; then nothing until the response is complete. Lambda never tells of a client gone."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._completed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Raises RuntimeError for a message out of order, never for a broken connection."""
        kind = message["type"]
        if kind == "http.response.start" and not self.started:
            self.started = True
            self._stream.write(prelude(message["status"], message.get("headers", ())))
        elif kind == "http.response.body" and self.started and not self.complete:
            self._stream.write(message.get("body", b""))
            if message.get("more_body", False):
                await self._stream.drain()
            else:
                self._finish()
        else:
            raise RuntimeError(f"{kind} is out of order")

    def fail(self, request_id: str, error: BaseException) -> None:
        """End an unfinished answer: with status 500 if nothing has left yet, else with the error trailers."""
        if self.complete:
            return
        if self._stream.discard():
            body = json.dumps(InternalError(_FAILED).wire(request_id)).encode()
            headers = (
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"x-gateway-request-id", request_id.encode()),
            )
            self._stream.write(prelude(InternalError.status, headers) + body)
            self._finish()
        else:
            document = error_document(error, "The response broke off.")
            encoded = base64.b64encode(json.dumps(document).encode()).decode()
            self._finish(
                f"Lambda-Runtime-Function-Error-Type: {function_error(document)}\r\n"
                f"Lambda-Runtime-Function-Error-Body: {encoded}\r\n"
            )

    def _finish(self, trailers: str = "") -> None:
        self.complete = True
        self._stream.finish(trailers.encode("latin-1", "replace"))
        self._completed.set()
