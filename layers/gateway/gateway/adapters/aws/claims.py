"""Claims of Idempotency-Keys in DynamoDB, beside the jobs that they may stand for.

Item pk T#<tenant>, sk ~key#<hash of the key>: `document` (JSON text), `free_at_s`, from when on another may have the
key, and `ends_at_s`, when DynamoDB may remove it. A claim that is given up is overwritten, which takes no right to
delete.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.model.claim import Claim
from gateway.model.errors import StorageUnavailable

_REFUSED = "ConditionalCheckFailedException"
_PREFIX = "~key#"
"""After every job's id, so that lists of jobs end before it."""
_decode = msgspec.json.Decoder(Claim).decode


class DynamoClaims:
    """`claim_timeout_s`: what a request may wait that is being admitted; the rest has time."""

    def __init__(self, dynamodb: AwsApi, table: str, claim_timeout_s: float, timeout_s: float = 2.0) -> None:
        self._dynamodb, self._table = dynamodb, table
        self._claim_timeout_s, self._timeout_s = claim_timeout_s, timeout_s

    async def claim(self, tenant_id: str, key_hash: str, claim: Claim, now_s: float) -> Claim:
        request = self._put(tenant_id, key_hash, claim)
        request["ConditionExpression"] = "attribute_not_exists(pk) OR free_at_s <= :now"
        request["ExpressionAttributeValues"] = {":now": {"N": str(int(now_s))}}
        with _translated():
            return await self._written(request, self._claim_timeout_s) or claim

    async def find(self, tenant_id: str, key_hash: str, now_s: float) -> Claim | None:
        request = {"TableName": self._table, "Key": _key(tenant_id, key_hash), "ConsistentRead": True}
        with _translated():
            answer = await self._dynamodb.call("GetItem", request, self._timeout_s)
        found = _claim(answer.get("Item"))
        return found if found is not None and found.free_at_s > now_s else None

    async def change(self, tenant_id: str, key_hash: str, claim: Claim, changed: Claim) -> bool:
        request = self._put(tenant_id, key_hash, changed)
        request["ConditionExpression"] = "document = :last"
        request["ExpressionAttributeValues"] = {":last": {"S": _text(claim)}}
        with _translated():
            # A first try may have come through without an answer.
            return await self._written(request, self._timeout_s) in (None, changed)

    async def _written(self, request: dict[str, Any], timeout_s: float) -> Claim | None:
        """None, or the claim that stands in the way."""
        try:
            await self._dynamodb.call("PutItem", request, timeout_s)
        except AwsFailure as failure:
            if failure.code != _REFUSED:
                raise
            return _claim(failure.item) or _NOBODYS
        return None

    def _put(self, tenant_id: str, key_hash: str, claim: Claim) -> dict[str, Any]:
        item = {
            **_key(tenant_id, key_hash),
            "document": {"S": _text(claim)},
            "free_at_s": {"N": str(claim.free_at_s)},
            "ends_at_s": {"N": str(claim.ends_at_s)},
        }
        return {"TableName": self._table, "Item": item, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


_NOBODYS = Claim(request_hash="", request_id="", ends_at_s=0)
"""Where a claim was to be changed that is not there."""


def _key(tenant_id: str, key_hash: str) -> dict[str, Any]:
    return {"pk": {"S": f"T#{tenant_id}"}, "sk": {"S": f"{_PREFIX}{key_hash}"}}


def _text(claim: Claim) -> str:
    """The same claim always has the same text, so that a condition can compare it."""
    return msgspec.json.encode(claim).decode()


def _claim(item: dict[str, Any] | None) -> Claim | None:
    return _decode(item["document"]["S"]) if item else None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(f"Idempotency-Keys cannot be checked at the moment ({failure.code}).") from failure
