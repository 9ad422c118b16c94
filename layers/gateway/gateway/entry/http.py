"""HTTP as ASGI sees it: reading one request, writing one answer, every error in one shape."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any, TypeAlias

import msgspec

from gateway.entry.limit_headers import BUDGET_REMAINING, UNITS
from gateway.model.errors import GatewayError, PayloadTooLarge
from gateway.model.trace import Trace

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

USAGE_HEADER = "x-gateway-usage"
"""Of replies that are not JSON: their usage as JSON."""

# Lambda takes 6 MB of event; the rest is for what JSON escapes of a body in it, and for the event's own members:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_BODY_BYTES = 5 * 1024 * 1024
_CALLERS_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Arrival(msgspec.Struct, frozen=True):
    """`request_id`: the gateway's own. `echoed_id`: the caller's x-request-id; the gateway's own without one.

    `lambda_request_id`: of the invocation, by which the runtime's own log lines are found.
    """

    request_id: str
    echoed_id: str
    headers: dict[str, str]
    trace: Trace
    lambda_request_id: str | None
    path: str = ""

    @classmethod
    def of(cls, scope: Scope) -> Arrival:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = f"req_{uuid.uuid4().hex}"
        given = headers.get("x-request-id", "")
        aws = scope.get("extensions", {}).get("aws") or _of_managed_runtime(scope)
        return cls(
            request_id=request_id,
            echoed_id=given if _CALLERS_ID.fullmatch(given) else request_id,
            headers=headers,
            trace=Trace.of(headers.get("traceparent", ""), aws.get("trace_id", ""), headers.get("tracestate", "")),
            lambda_request_id=aws.get("request_id"),
            path=scope.get("path", ""),
        )

    @property
    def ids(self) -> dict[str, str]:
        """By which everything that is told of the request is found."""
        own = {"request_id": self.request_id, "trace_id": self.trace.id}
        return own if self.lambda_request_id is None else {**own, "lambda_request_id": self.lambda_request_id}


def _of_managed_runtime(scope: Scope) -> dict[str, str]:
    """What Lambda's own runtime says of the invocation, of which Mangum passes on the context."""
    context = scope.get("aws.context")
    request_id: str | None = getattr(context, "aws_request_id", None)
    return {"request_id": request_id, "trace_id": os.environ.get("_X_AMZN_TRACE_ID", "")} if request_id else {}


async def read_body(receive: Receive) -> bytes:
    """Raises PayloadTooLarge (413)."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body"):
            return bytes(body)


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """There is nothing to start or stop."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


@cache
def cors_headers() -> dict[str, str]:
    """For the one browser origin that the owner allows; API Gateway adds them to preflights and its own errors only."""
    origin = os.environ.get("GATEWAY_ALLOWED_ORIGIN", "")
    if not origin:
        return {}
    limits = ", ".join(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in UNITS)
    ours = f"x-gateway-request-id, {USAGE_HEADER}, x-request-id, x-should-retry"
    exposed = f"location, preference-applied, retry-after, {ours}, {BUDGET_REMAINING}, {limits}"
    return {"access-control-allow-origin": origin, "access-control-expose-headers": exposed}


class Responder:
    """Writes the one answer of a request. `status`: the one that is on its way to the client, None before that.

    `takes_events`: whether more of it can be server-sent events.
    """

    def __init__(self, arrival: Arrival, send: Send) -> None:
        self.arrival, self._send = arrival, send
        self.status: int | None = None
        self.takes_events = False

    async def start(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.takes_events = headers.get("content-type", "").startswith("text/event-stream")
        ids = {"x-request-id": self.arrival.echoed_id, "x-gateway-request-id": self.arrival.request_id}
        everywhere = {**ids, **cors_headers()}
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in {**headers, **everywhere}.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, body: bytes, *, last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        body = msgspec.json.encode(value)
        basics = {"content-type": "application/json", "content-length": str(len(body))}
        await self.start(status, {**basics, **(headers or {})})
        await self.write(body, last=True)

    async def error(self, error: GatewayError, headers: dict[str, str] | None = None) -> None:
        await self.json(error.status, error_body(error, self.arrival), {**(headers or {}), **error_headers(error)})


def error_body(error: GatewayError, arrival: Arrival) -> dict[str, Any]:
    body = error.wire(arrival.request_id)
    body["error"]["trace_id"] = arrival.trace.id
    return body


def error_headers(error: GatewayError) -> dict[str, str]:
    """Official SDKs obey x-should-retry before their own rules, and Retry-After after it."""
    headers = {} if error.retryable else {"x-should-retry": "false"}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    return headers
