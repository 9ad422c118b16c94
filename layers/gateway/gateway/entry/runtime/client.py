"""The endpoints of the Lambda Runtime API, version 2018-06-01.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import time
from typing import Any

from msgspec import Struct

from gateway.entry.runtime.connection import Connection, Endpoint, Reply, RuntimeApiError

_ROOT = "/2018-06-01/runtime"
_LONGEST_INVOCATION_S = 900.0


class Invocation(Struct, frozen=True):
    """One delivery of an event.

    `deadline_s` is epoch seconds: Lambda gives the invocation up then. `attempt_id` names this delivery, where
    `request_id` may come again in a retry; it is echoed so that a late answer cannot reach the retry
    (https://github.com/aws/aws-lambda-python-runtime-interface-client/pull/214). `trace_id` is an X-Ray header value.
    """

    request_id: str
    deadline_s: float
    function_arn: str = ""
    trace_id: str = ""
    attempt_id: str = ""

    def path(self, endpoint: str) -> str:
        return f"{_ROOT}/invocation/{self.request_id}/{endpoint}"

    def echo(self) -> str:
        """Header lines for every answer to this delivery."""
        return f"Lambda-Runtime-Invocation-Id: {self.attempt_id}\r\n" if self.attempt_id else ""


class RuntimeApi:
    """One poller's view of the Runtime API. Every method raises RuntimeApiError when the API is gone."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._connection = Connection(endpoint)

    async def next_invocation(self) -> tuple[Invocation, bytes]:
        """Wait for the next event; its JSON comes undecoded. Waiting is what lets Lambda freeze the process."""
        reply = await self._connection.request("GET", f"{_ROOT}/invocation/next")
        if reply.status != 200:
            raise RuntimeApiError(f"next invocation: status {reply.status}")
        return _invocation(reply), reply.body

    async def respond(self, invocation: Invocation, result: bytes) -> int:
        """Answer with one finished JSON document; the status tells whether it was taken (202)."""
        headers = f"Content-Type: application/json\r\n{invocation.echo()}"
        return (await self._connection.request("POST", invocation.path("response"), result, headers)).status

    async def fail(self, invocation: Invocation, document: dict[str, Any]) -> int:
        """Report that an invocation failed before its answer began."""
        return await self._report(invocation.path("error"), document, invocation.echo())

    async def fail_init(self, document: dict[str, Any], category_reason: str = "") -> int:
        """Report that the function cannot start; the process must exit next."""
        return await self._report(f"{_ROOT}/init/error", document, category_reason=category_reason)

    async def await_restore(self) -> None:
        """SnapStart: the snapshot is taken while this waits, and it returns in each environment made from it.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-custom.html
        """
        reply = await self._connection.request("GET", f"{_ROOT}/restore/next")
        self._connection.close()  # what follows starts on a connection that no snapshot has seen
        if reply.status != 200:
            raise RuntimeApiError(f"restore: status {reply.status}")

    async def fail_restore(self, document: dict[str, Any], category_reason: str = "") -> int:
        """Report that a hook failed after the restore; the process must exit next."""
        return await self._report(f"{_ROOT}/restore/error", document, category_reason=category_reason)

    def close(self) -> None:
        self._connection.close()

    async def _report(self, path: str, document: dict[str, Any], headers: str = "", category_reason: str = "") -> int:
        headers = (
            "Content-Type: application/json\r\n"
            f"Lambda-Runtime-Function-Error-Type: {category_reason or function_error(document)}\r\n{headers}"
        )
        return (await self._connection.request("POST", path, json.dumps(document).encode(), headers)).status


def function_error(document: dict[str, Any]) -> str:
    """Lambda's `category.reason` of an error document; it counts what is not Function.X or Runtime.X as unknown."""
    return f"Function.{document['errorType']}"


def _invocation(reply: Reply) -> Invocation:
    headers = reply.headers
    deadline_ms = headers.get("lambda-runtime-deadline-ms")
    return Invocation(
        request_id=headers["lambda-runtime-aws-request-id"],
        deadline_s=int(deadline_ms) / 1000 if deadline_ms else time.time() + _LONGEST_INVOCATION_S,
        function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
        trace_id=headers.get("lambda-runtime-trace-id", ""),
        attempt_id=headers.get("lambda-runtime-invocation-id", ""),
    )
