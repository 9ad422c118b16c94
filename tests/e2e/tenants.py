"""Tenants and keys that a test gives the local stack for itself."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

import boto3


def resource(endpoint_url: str) -> Any:
    return boto3.resource(
        "dynamodb",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the local stack takes any
    )


def table(endpoint_url: str, ending: str) -> Any:
    (found,) = [table for table in resource(endpoint_url).tables.all() if table.name.endswith(ending)]
    return found


def put_tenant(endpoint_url: str, tenant_id: str, **settings: Any) -> None:
    document = {"id": tenant_id, "approvals": ["*"], **settings}
    item = {"pk": f"T#{tenant_id}", "sk": "T", "document": json.dumps(document)}
    table(endpoint_url, "-tenants").put_item(Item=item)


def put_key(endpoint_url: str, tenant_id: str, user_id: str, key: str | None = None, **settings: Any) -> str:
    key = key or f"gwk_{uuid.uuid4().hex}"
    document = {"id": "key_test", "tenant_id": tenant_id, "user_id": user_id, **settings}
    hashed = hashlib.sha256(key.encode()).hexdigest()
    table(endpoint_url, "-tenants").put_item(Item={"pk": f"K#{hashed}", "sk": "K", "document": json.dumps(document)})
    return key
