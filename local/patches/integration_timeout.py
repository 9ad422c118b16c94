"""A REST integration that takes longer than its timeout is a 504; the function runs on.

MiniStack: keeps `timeoutInMillis` and never looks at it.
AWS: 29 s unless the integration says otherwise, up to 15 minutes when it streams.
https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from local import emulator

DEFAULT_TIMEOUT_S = 29.0


def seconds(integration: dict[str, Any]) -> float:
    timeout_ms = integration.get("timeoutInMillis")
    return float(timeout_ms) / 1000 if timeout_ms else DEFAULT_TIMEOUT_S


def timed_out() -> Any:
    return emulator.rest_service()._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")


def apply() -> None:
    """Applied innermost: it bounds the buffered call; a streaming one watches its own deadline."""

    def invoke(stock: Callable[..., Any]) -> Callable[..., Any]:
        async def invoke_proxy(integration: dict[str, Any], *arguments: Any, **named: Any) -> Any:
            call = asyncio.ensure_future(stock(integration, *arguments, **named))
            done, _pending = await asyncio.wait([call], timeout=seconds(integration))
            return call.result() if done else timed_out()

        return invoke_proxy

    emulator.replace(emulator.rest_service(), "_invoke_lambda_proxy_v1", invoke)
