"""An event larger than 6 MB does not reach the function: 413.

MiniStack: passes any size on.
AWS: Lambda refuses it, and API Gateway answers with the REQUEST_TOO_LARGE gateway response. What counts is the event,
so a binary body counts with its base64 growth and a text body with its JSON escapes.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local import emulator
from local.patches.functions import event_bytes

MAX_EVENT_BYTES = 6 * 1024 * 1024
_SURELY_SMALL_BODY_BYTES = MAX_EVENT_BYTES // 8
"""A body byte becomes at most six bytes of JSON, and headers and query are far below the rest."""


def apply() -> None:
    """Applied outermost: nothing else may see the request first."""
    rest = emulator.rest_service()

    def invoke(stock: Callable[..., Any]) -> Callable[..., Any]:
        async def invoke_proxy(integration: dict[str, Any], *arguments: Any, **named: Any) -> Any:
            body = arguments[_BODY_ARGUMENT]
            if len(body or b"") > _SURELY_SMALL_BODY_BYTES and _event_size(arguments, named) > MAX_EVENT_BYTES:
                return rest._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
            return await stock(integration, *arguments, **named)

        return invoke_proxy

    def _event_size(arguments: tuple[Any, ...], named: dict[str, Any]) -> int:
        of_the_call = {name: value for name, value in named.items() if not name.startswith("owner_")}
        return len(event_bytes(rest._build_lambda_event_v1(*arguments, **of_the_call)))

    emulator.replace(rest, "_invoke_lambda_proxy_v1", invoke)


_BODY_ARGUMENT = 7
"""Position after `integration`: api_id, stage_name, stage, resource, path, method, headers, body."""
