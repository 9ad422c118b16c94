"""The REST event says how the caller reached the API.

MiniStack: leaves out requestContext.domainName, has the stage in requestContext.path although the public URL has none,
takes the caller's address from a header that the caller may forge, and adds `version: "1.0"`, which an HTTP API has and
a REST API has not (Mangum tells the two apart by it).
AWS: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format
The front port is to its stage what a custom domain is on AWS: another host, no stage in the path. `domainName` keeps
the port, because a local URL is useless without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local import emulator
from local.exchange import CURRENT


def apply() -> None:
    def build(stock: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def build_event(*arguments: Any, **named: Any) -> dict[str, Any]:
            event = stock(*arguments, **named)
            event.pop("version", None)
            exchange = CURRENT.get()
            if exchange is not None:
                context = event["requestContext"]
                context["domainName"], context["path"] = exchange.host, event["path"]
                context["domainPrefix"] = exchange.host.partition(".")[0]
                context["identity"]["sourceIp"] = exchange.client_ip
                context["requestId"] = context["extendedRequestId"] = exchange.request_id
            return event

        return build_event

    emulator.replace(emulator.rest_service(), "_build_lambda_event_v1", build)
