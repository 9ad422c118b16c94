"""Importing an OpenAPI body keeps all of it that the template relies on.

MiniStack: reads only type, method, URI and security. It drops `x-amazon-apigateway-any-method`, an integration's
timeout, transfer mode, request templates and responses (so a CORS mock has no headers), the gateway responses and the
binary media types.
AWS: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from local import emulator

ANY_METHOD = "x-amazon-apigateway-any-method"
_INTEGRATION = "x-amazon-apigateway-integration"
_GATEWAY_RESPONSES = "x-amazon-apigateway-gateway-responses"
_BINARY_MEDIA_TYPES = "x-amazon-apigateway-binary-media-types"
_KEPT = (
    "contentHandling",
    "credentials",
    "passthroughBehavior",
    "requestParameters",
    "requestTemplates",
    "responseTransferMode",
    "timeoutInMillis",
)


def apply() -> None:
    rest = emulator.rest_service()
    rest._OPENAPI_HTTP_METHODS.add(ANY_METHOD)

    def operation(stock: Callable[..., None]) -> Callable[..., None]:
        def import_operation(api_id: str, resource_id: str, method: str, spec: Any, *arguments: Any) -> None:
            name = "ANY" if method.lower() == ANY_METHOD else method
            stock(api_id, resource_id, name, spec, *arguments)
            integration = (spec or {}).get(_INTEGRATION)
            if integration:
                imported = rest._resources[api_id][resource_id]["resourceMethods"][name]["methodIntegration"]
                imported.update({key: integration[key] for key in _KEPT if key in integration})
                imported["integrationResponses"] = _integration_responses(integration)

        return import_operation

    def api(stock: Callable[..., str]) -> Callable[..., str]:
        def import_api(spec: dict[str, Any], base_data: dict[str, Any] | None = None) -> str:
            data = dict(base_data or {})
            data["binaryMediaTypes"] = data.get("binaryMediaTypes") or spec.get(_BINARY_MEDIA_TYPES) or []
            api_id = stock(spec, data)
            _import_gateway_responses(rest, api_id, spec)
            return api_id

        return import_api

    emulator.replace(rest, "_import_operation", operation)
    emulator.replace(rest, "_import_rest_api", api)


def _integration_responses(integration: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By status, as PutIntegrationResponse stores them; OpenAPI has them by selection pattern."""
    responses: dict[str, dict[str, Any]] = {}
    for pattern, response in (integration.get("responses") or {}).items():
        status = str(response.get("statusCode", 200))
        responses[status] = {
            "statusCode": status,
            "selectionPattern": "" if pattern == "default" else pattern,
            "responseParameters": response.get("responseParameters") or {},
            "responseTemplates": response.get("responseTemplates") or {},
        }
    return responses


def _import_gateway_responses(rest: ModuleType, api_id: str, spec: dict[str, Any]) -> None:
    """Raises ValueError for a response type that API Gateway has not, which fails the deployment as on AWS."""
    for response_type, response in (spec.get(_GATEWAY_RESPONSES) or {}).items():
        status, _headers, body = rest._put_gateway_response(api_id, response_type, response)
        if status >= 400:
            raise ValueError(f"gateway response {response_type}: {body!r}")
