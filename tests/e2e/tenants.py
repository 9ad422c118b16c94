"""Tenants and keys that a test gives the local stack for itself, through its administration."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import boto3
import httpx

_administrations: dict[str, httpx.Client] = {}
"""By the AWS endpoint of their stack."""
_issued: dict[str, tuple[str, str]] = {}
"""By key: its tenant's id and its own."""


def administer(endpoint_url: str, origin: str, admin_key: str) -> None:
    """Tells whose administration the stack with that AWS endpoint has."""
    headers = {"authorization": f"Bearer {admin_key}"}
    _administrations[endpoint_url] = httpx.Client(base_url=f"{origin}/admin", headers=headers, timeout=60)


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
    """Makes the tenant, or replaces all its settings."""
    settings = {"id": tenant_id, "approvals": ["*"], **settings}
    made = _administrations[endpoint_url].post("/tenants", json=settings)
    if made.status_code == 409:
        made = _administrations[endpoint_url].put(f"/tenants/{tenant_id}", json=settings)
    made.raise_for_status()


def put_user(endpoint_url: str, tenant_id: str, user_id: str, **settings: Any) -> None:
    """Makes the user, or replaces all his settings."""
    path = f"/tenants/{tenant_id}/users/{quote(user_id, safe='')}"
    _administrations[endpoint_url].put(path, json=settings).raise_for_status()


def put_key(endpoint_url: str, tenant_id: str, user_id: str, key: str | None = None, **settings: Any) -> str:
    """Issues a key, or changes one that was issued here. `settings`: as of the API, and `status="revoked"`."""
    administration, keys = _administrations[endpoint_url], f"/tenants/{tenant_id}/keys"
    if key is None:
        issued = administration.post(keys, json={"user_id": user_id, **settings})
        issued.raise_for_status()
        key = issued.json()["key"]
        _issued[key] = (tenant_id, issued.json()["id"])
        return key
    one = f"{keys}/{_issued[key][1]}"
    if settings.pop("status", "active") == "revoked":
        administration.post(f"{one}/revoke").raise_for_status()
    if settings:
        administration.patch(one, json=settings).raise_for_status()
    return key
