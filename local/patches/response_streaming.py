"""REST integrations in response transfer mode STREAM pass each byte on as the function writes it.

MiniStack: does not parse the `/response-streaming-invocations` URI and answers 500.
AWS: invokes the function with InvokeWithResponseStream, takes status and headers from the JSON prelude, sends the rest
as it comes. A function that fails before its prelude is a 502; one that fails after it leaves the body cut off.
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from local import emulator
from local.exchange import mark_answered_by_function
from local.execution.prelude import NoPrelude, Prelude, read_prelude
from local.execution.reply import InvocationFailed, Reply
from local.patches import integration_timeout, proxy_failures
from local.patches.functions import FunctionRunner, event_bytes

URI_SUFFIX = "/response-streaming-invocations"

Send = Callable[[dict[str, Any]], Awaitable[None]]


def function_reference(uri: str) -> str | None:
    """The function that a streaming integration URI names, with version or alias; None for any other URI."""
    if not uri.endswith(URI_SUFFIX):
        return None
    return uri.removesuffix(URI_SUFFIX).partition("/functions/")[2]


def apply(runner: FunctionRunner) -> None:
    rest = emulator.rest_service()

    def invoke(stock: Callable[..., Any]) -> Callable[..., Any]:
        async def invoke_proxy(integration: dict[str, Any], *arguments: Any, **named: Any) -> Any:
            reference = function_reference(integration.get("uri", ""))
            if reference is None:
                return await stock(integration, *arguments, **named)
            owner = {"account_id": named.pop("owner_account_id", None), "region": named.pop("owner_region", None)}
            record = runner.find(reference, **owner)
            if record is None:
                return rest._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
            event = rest._build_lambda_event_v1(*arguments, **named)
            reply = runner.start_accounted(record, event_bytes(event))
            if isinstance(reply, dict):
                return proxy_failures.throttled()
            return await _answer(reply, integration_timeout.seconds(integration))

        return invoke_proxy

    emulator.replace(rest, "_invoke_lambda_proxy_v1", invoke)


async def _answer(reply: Reply, timeout_s: float) -> Any:
    """Status, headers and body for MiniStack's server; or the gateway error to render."""
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    chunks = reply.chunks()
    try:
        async with asyncio.timeout_at(deadline_s):
            prelude = await read_prelude(chunks)
    except TimeoutError:
        reply.discard()
        return integration_timeout.timed_out()
    except (InvocationFailed, NoPrelude):
        reply.discard()
        return proxy_failures.failed()
    mark_answered_by_function()
    body = _Body(reply, prelude, chunks, deadline_s)
    return prelude.status, prelude.headers, emulator.module("core.responses").StreamingResponse(body.send_all)


class _Body:
    def __init__(self, reply: Reply, prelude: Prelude, chunks: AsyncIterator[bytes], deadline_s: float) -> None:
        self._reply, self._prelude, self._chunks, self._deadline_s = reply, prelude, chunks, deadline_s

    async def send_all(self, send: Send, _receive: Any) -> None:
        """Send the body. Without a last message the server cuts the connection, which is how a failure shows."""
        try:
            async with asyncio.timeout_at(self._deadline_s):
                if self._prelude.body_start:
                    await send(_body(self._prelude.body_start))
                async for chunk in self._chunks:
                    await send(_body(chunk))
        except (InvocationFailed, TimeoutError):
            return
        finally:
            self._reply.discard()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _body(chunk: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": True}
