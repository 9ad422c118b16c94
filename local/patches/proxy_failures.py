"""A REST proxy integration that fails answers with a gateway response, and never with the function's own words.

MiniStack: an exception's text is the body of the 502; a result without a statusCode is a 200; Lambda's own 429, where
it has no environment left for the function, reaches the client.
AWS: the first two are a 502 `Internal server error`, subject to the DEFAULT_5XX gateway response; the last one is a
500, subject to the INTEGRATION_FAILURE one.
https://stackoverflow.com/questions/36363280/map-aws-lambda-429-errors-to-api-gateway-2xx-response
https://repost.aws/questions/QUfI6bsdd0SOiPeyimzxSkfQ
https://docs.aws.amazon.com/apigateway/latest/developerguide/handle-errors-in-lambda-integration.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local import emulator
from local.exchange import mark_answered_by_function

BAD_GATEWAY, FAILURE = 502, 500
_MESSAGE = "Internal server error"
_NO_RESULT, _NO_CAPACITY = "no valid proxy result", "no environment left"


def failed() -> Any:
    """The gateway error of a failed integration: 502, unless DEFAULT_5XX names another status."""
    error = emulator.rest_service()._gw_error("DEFAULT_5XX", _MESSAGE)
    error.default_status = BAD_GATEWAY
    return error


def throttled() -> Any:
    """The gateway error of a function that has no environment left: 500, unless INTEGRATION_FAILURE names another."""
    error = emulator.rest_service()._gw_error("INTEGRATION_FAILURE", _MESSAGE)
    error.default_status = FAILURE
    return error


def _failure_in(answer: Any) -> Any:
    """None in one that is the function's."""
    if not isinstance(answer, tuple) or answer[0] != BAD_GATEWAY:
        return None
    if _NO_CAPACITY.encode() in answer[2]:
        return throttled()
    return failed() if _NO_RESULT.encode() in answer[2] else None


def apply() -> None:
    rest = emulator.rest_service()

    def shape(stock: Callable[[Any], tuple[Any, Any]]) -> Callable[[Any], tuple[Any, Any]]:
        def proxy_response(result: dict[str, Any]) -> tuple[Any, Any]:
            if result.get("throttle"):
                return None, _NO_CAPACITY
            body = result.get("body")
            if result.get("error") or not isinstance(body, dict) or "statusCode" not in body:
                return None, _NO_RESULT
            mark_answered_by_function()
            return stock(result)

        return proxy_response

    def invoke(stock: Callable[..., Any]) -> Callable[..., Any]:
        async def invoke_proxy(*arguments: Any, **named: Any) -> Any:
            answer = await stock(*arguments, **named)
            return _failure_in(answer) or answer

        return invoke_proxy

    def render(stock: Callable[..., Any]) -> Callable[..., Any]:
        def render_error(error: Any, request: dict[str, Any]) -> Any:
            status, headers, body = stock(error, request)
            default_status = getattr(error, "default_status", None)
            if default_status and not _customized_status(rest, error.response_type, request):
                status = default_status
            return status, headers, body

        return render_error

    emulator.replace(rest, "_lambda_proxy_response", shape)
    emulator.replace(rest, "_invoke_lambda_proxy_v1", invoke)
    emulator.replace(rest, "_gateway_error_response", render)


def _customized_status(rest: Any, response_type: str, request: dict[str, Any]) -> Any:
    deployed = rest._deployed_gateway_responses.get(request["api_id"], {})
    customized = deployed.get(request["stage"].get("deploymentId")) or {}
    return (customized.get(response_type) or {}).get("statusCode")
