"""API keys and their tenants in DynamoDB."""

from __future__ import annotations

from typing import Any

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.telemetry import log_trouble
from gateway.model.errors import AdmissionUnavailable
from gateway.model.tenant import Principal, Tenant

MAX_REMEMBERED = 10_000
Item = dict[str, Any]


class DynamoKeys:
    """Item K#<hash> names the tenant and the user, item T#<tenant> what the tenant may do.

    Which tenant a key belongs to never changes, so it is remembered; both items are then read together, always
    fresh, in one round trip.
    """

    def __init__(self, dynamodb: AwsApi, table: str, timeout_s: float) -> None:
        self._dynamodb, self._table, self._timeout_s = dynamodb, table, timeout_s
        self._tenant_of: dict[str, str] = {}

    async def find(self, key_hash: str) -> Principal | None:
        try:
            if (tenant_id := self._tenant_of.get(key_hash)) is None:
                found = await self._read(_key_address(key_hash))
                key = found.get(_key_address(key_hash)["pk"])
                if key is None:
                    return None
                tenant_id = self._remember(key_hash, key["tenant_id"]["S"])
            return await self._both(key_hash, tenant_id)
        except AwsFailure as failure:
            raise AdmissionUnavailable(f"API keys cannot be checked at the moment ({failure.code}).") from failure

    async def _both(self, key_hash: str, tenant_id: str) -> Principal | None:
        key_address, tenant_address = _key_address(key_hash), {"pk": f"T#{tenant_id}", "sk": "T"}
        found = await self._read(key_address, tenant_address)
        key, tenant = found.get(key_address["pk"]), found.get(tenant_address["pk"])
        if key is None or tenant is None:
            return None
        try:
            return principal_of(key, tenant)
        except (KeyError, ValueError) as error:
            log_trouble("tenants.malformed", tenant_id=tenant_id, kind=type(error).__name__)
            raise AdmissionUnavailable("This key's record is damaged; the operator has to mend it.") from error

    async def _read(self, *addresses: dict[str, str]) -> dict[str, Item]:
        """Items by `pk`. Raises AwsFailure, also when DynamoDB left one unread."""
        wanted = [{name: {"S": value} for name, value in address.items()} for address in addresses]
        request = {"RequestItems": {self._table: {"Keys": wanted, "ConsistentRead": True}}}
        answer = await self._dynamodb.call("BatchGetItem", request, self._timeout_s)
        if answer.get("UnprocessedKeys"):
            raise AwsFailure("UnprocessedKeys", is_fault=True)
        return {item["pk"]["S"]: item for item in answer["Responses"].get(self._table, [])}

    def _remember(self, key_hash: str, tenant_id: str) -> str:
        if len(self._tenant_of) >= MAX_REMEMBERED:
            self._tenant_of.clear()
        self._tenant_of[key_hash] = tenant_id
        return tenant_id


def _key_address(key_hash: str) -> dict[str, str]:
    return {"pk": f"K#{key_hash}", "sk": "K"}


def principal_of(key: Item, tenant: Item) -> Principal:
    """Raises KeyError for an item that lacks what it must have, ValueError for an expiry that is no number."""
    expires = key.get("expires_at", {}).get("N")
    return Principal(
        tenant=Tenant(
            id=key["tenant_id"]["S"],
            status="active" if tenant["status"]["S"] == "active" else "disabled",
            approvals=tuple(value["S"] for value in tenant.get("approvals", {}).get("L", [])),
            aliases={name: value["S"] for name, value in tenant.get("aliases", {}).get("M", {}).items()},
        ),
        user_id=key["user_id"]["S"],
        key_status="active" if key["status"]["S"] == "active" else "revoked",
        expires_at_s=None if expires is None else int(expires),
    )
