"""A table's TimeToLiveSpecification takes effect when the template is deployed.

MiniStack: ignores the property; the table's TTL stays disabled until UpdateTimeToLive is called.
AWS: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-dynamodb-table-timetolivespecification.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local import emulator

_TABLE = "AWS::DynamoDB::Table"


def apply() -> None:
    handlers = emulator.provisioners()._RESOURCE_HANDLERS[_TABLE]
    handlers["create"] = _then_set_ttl(handlers["create"], properties_argument=1)
    handlers["update"] = _then_set_ttl(handlers["update"], properties_argument=2)


def _then_set_ttl(stock: Callable[..., Any], properties_argument: int) -> Callable[..., Any]:
    def provision(*arguments: Any, **named: Any) -> Any:
        result = stock(*arguments, **named)
        specification = arguments[properties_argument].get("TimeToLiveSpecification")
        if specification:
            _set_ttl(result[0], specification)
        return result

    return provision


def _set_ttl(table_name: str, specification: dict[str, Any]) -> None:
    """Raises ValueError, which fails the deployment."""
    enabled = str(specification.get("Enabled", "")).lower() == "true"
    request = {"TableName": table_name, "TimeToLiveSpecification": {**specification, "Enabled": enabled}}
    status, _headers, body = emulator.module("services.dynamodb")._update_ttl(request)
    if status >= 400:
        raise ValueError(f"TimeToLiveSpecification of {table_name}: {body!r}")
