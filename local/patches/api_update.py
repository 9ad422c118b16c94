"""A changed OpenAPI body updates its REST API in place.

MiniStack: imports the new body as a new API under a new id and deletes the old one, so that every URL with the id
changes with every deployment, and requests fail until the last of them is known everywhere.
AWS: CloudFormation overwrites the API's definition (PutRestApi); the id, the stages and the deployments stay.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigateway-restapi.html
https://docs.aws.amazon.com/apigateway/latest/api/API_PutRestApi.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local import emulator

_REST_API = "AWS::ApiGateway::RestApi"
_DEFINITION_STORES = ("_resources", "_authorizers_v1", "_models", "_gateway_responses", "_request_validators")


def apply() -> None:
    provisioners = emulator.provisioners()
    handlers = provisioners._RESOURCE_HANDLERS[_REST_API]
    stock: Callable[..., tuple[str, dict[str, Any]]] = handlers["update"]

    def update(
        api_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        if new.get("Body") == old.get("Body") or api_id not in emulator.rest_service()._rest_apis:
            return stock(api_id, old, new, stack_name, logical_id)
        draft_id, _attributes = provisioners._apigw_rest_api_create(logical_id or api_id, new, stack_name)
        _overwrite(api_id, draft_id)
        return api_id, provisioners._apigw_rest_api_attrs(api_id)

    handlers["update"] = update


def _overwrite(api_id: str, draft_id: str) -> None:
    """Give the API the draft's definition, and drop the draft."""
    rest = emulator.rest_service()
    kept = {"id": api_id, "createdDate": rest._rest_apis[api_id].get("createdDate")}
    rest._rest_apis[api_id] = {**rest._rest_apis[draft_id], **kept}
    for name in _DEFINITION_STORES:
        store = getattr(rest, name)
        store[api_id] = store.get(draft_id, {})
    rest._delete_rest_api(draft_id)
