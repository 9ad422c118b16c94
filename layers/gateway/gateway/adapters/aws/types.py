"""Types that tenants register, in DynamoDB beside what else is known of the tenant; those of the gateway on disk.

Item pk TYPES#<tenant>, sk TYPE#<id>: `document` (JSON text) and `depends_on` (the ids it needs).
Item pk TYPES#<tenant>, sk ONCE#<hash of an Idempotency-Key>: `document`, `free_at_s` and `expires_at_s` of its claim.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from gateway.adapters.aws.access import types_partition
from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.types import DeployedTypes
from gateway.gts.ids import minor_prefix, newest_minor, parse
from gateway.model.chat import Json
from gateway.model.claim import KEPT_S, Claim, Claimed
from gateway.model.errors import StorageUnavailable
from gateway.ports import Origin

KEYS_PER_READ = 100
READS_OF_THE_REST = 5
_SORT_KEY = "TYPE#"
_decode = msgspec.json.Decoder(Json).decode
_decode_claim = msgspec.json.Decoder(Claim).decode


class DynamoTypes:
    def __init__(self, dynamodb: AwsApi, table: str, deployed: DeployedTypes, timeout_s: float) -> None:
        self._dynamodb, self._table = dynamodb, table
        self._deployed, self._timeout_s = deployed, timeout_s

    async def find(self, tenant_id: str, ids: Collection[str]) -> dict[str, Json]:
        with _translated():
            found = await self._exact(tenant_id, ids)
            newer = [await self._newest(tenant_id, wanted) for wanted in ids if wanted not in found]
            return found | await self._exact(tenant_id, {type_id for type_id in newer if type_id is not None})

    async def ids(self, tenant_id: str, prefix: str) -> dict[str, Origin]:
        with _translated():
            own: dict[str, Origin] = dict.fromkeys(await self._own_ids(tenant_id, prefix), "tenant")
        deployed: dict[str, Origin] = dict.fromkeys(self._deployed.ids(prefix), "gateway")
        return dict(sorted({**own, **deployed}.items()))

    async def dependents(self, tenant_id: str, type_id: str) -> list[str]:
        with _translated():
            return await self._own_ids(tenant_id, "", dependency=type_id)

    async def put(
        self,
        tenant_id: str,
        documents: Mapping[str, Json],
        depends_on: Mapping[str, Collection[str]],
        claimed: Claimed | None = None,
    ) -> Claim | None:
        items = [_item(tenant_id, type_id, held, depends_on.get(type_id, ())) for type_id, held in documents.items()]
        puts = [{"Put": {"TableName": self._table, "Item": item}} for item in items]
        claims = [] if claimed is None else [_claiming(self._table, claimed)]
        with _translated():
            try:
                await self._dynamodb.call("TransactWriteItems", {"TransactItems": [*claims, *puts]}, self._timeout_s)
            except AwsFailure as failure:
                if claimed is None or failure.reasons[:1] != ("ConditionalCheckFailed",):
                    raise
                stands = await self._claim(tenant_id, claimed.key_hash)
                return None if stands == claimed.claim else stands  # a first try came through without an answer
        return None

    async def claimed(self, tenant_id: str, key_hash: str, now_s: float) -> Claim | None:
        with _translated():
            claim = await self._claim(tenant_id, key_hash)
        return claim if claim is not None and claim.free_at_s > now_s else None

    async def _claim(self, tenant_id: str, key_hash: str) -> Claim | None:
        request = {"TableName": self._table, "Key": _claim_key(tenant_id, key_hash), "ConsistentRead": True}
        answer = await self._dynamodb.call("GetItem", request, self._timeout_s)
        return _decode_claim(answer["Item"]["document"]["S"]) if "Item" in answer else None

    async def delete(self, tenant_id: str, type_id: str) -> None:
        with _translated():
            request = {"TableName": self._table, "Key": _key(tenant_id, type_id)}
            await self._dynamodb.call("DeleteItem", request, self._timeout_s)

    async def _exact(self, tenant_id: str, ids: Collection[str]) -> dict[str, Json]:
        deployed = {type_id: self._deployed.find(type_id) for type_id in ids}
        found = {type_id: document for type_id, document in deployed.items() if document is not None}
        keys = [_key(tenant_id, type_id) for type_id in sorted(set(ids) - found.keys())]
        for first in range(0, len(keys), KEYS_PER_READ):
            found |= await self._read(keys[first : first + KEYS_PER_READ])
        return found

    async def _read(self, keys: list[Json]) -> dict[str, Json]:
        """At most KEYS_PER_READ of them. DynamoDB leaves some for another time when there is more than 16 MB."""
        found: dict[str, Json] = {}
        waiting: Json = {self._table: {"Keys": keys, "ConsistentRead": True}}
        for _ in range(READS_OF_THE_REST):
            answer = await self._dynamodb.call("BatchGetItem", {"RequestItems": waiting}, self._timeout_s)
            for item in answer["Responses"].get(self._table, ()):
                found[_id_of(item)] = _decode(item["document"]["S"])
            if not (waiting := answer.get("UnprocessedKeys", {})):
                return found
        raise AwsFailure("UnprocessedKeys", is_fault=True)

    async def _newest(self, tenant_id: str, wanted: str) -> str | None:
        gts_id = parse(wanted)
        if (prefix := minor_prefix(gts_id)) is None:
            return None
        return newest_minor(gts_id, [*self._deployed.ids(prefix), *await self._own_ids(tenant_id, prefix)])

    async def _own_ids(self, tenant_id: str, prefix: str, dependency: str | None = None) -> list[str]:
        request: Json = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": {":pk": {"S": types_partition(tenant_id)}, ":sk": {"S": _SORT_KEY + prefix}},
            "ProjectionExpression": "sk",
            "ConsistentRead": True,
        }
        if dependency is not None:
            request["FilterExpression"] = "contains(depends_on, :dependency)"
            request["ExpressionAttributeValues"][":dependency"] = {"S": dependency}
        ids: list[str] = []
        while True:
            answer = await self._dynamodb.call("Query", request, self._timeout_s)
            ids += [_id_of(item) for item in answer["Items"]]
            if (last := answer.get("LastEvaluatedKey")) is None:
                return ids
            request["ExclusiveStartKey"] = last


def _key(tenant_id: str, type_id: str) -> Json:
    return {"pk": {"S": types_partition(tenant_id)}, "sk": {"S": _SORT_KEY + type_id}}


def _id_of(item: dict[str, Any]) -> str:
    sort_key: str = item["sk"]["S"]
    return sort_key.removeprefix(_SORT_KEY)


def _item(tenant_id: str, type_id: str, document: Json, depends_on: Collection[str]) -> Json:
    item = {**_key(tenant_id, type_id), "document": {"S": msgspec.json.encode(document).decode()}}
    return {**item, "depends_on": {"SS": sorted(depends_on)}} if depends_on else item  # a set is never empty


def _claim_key(tenant_id: str, key_hash: str) -> Json:
    return {"pk": {"S": types_partition(tenant_id)}, "sk": {"S": f"ONCE#{key_hash}"}}


def _claiming(table: str, claimed: Claimed) -> Json:
    claim = claimed.claim
    item = {
        **_claim_key(claimed.tenant_id, claimed.key_hash),
        "document": {"S": msgspec.json.encode(claim).decode()},
        "free_at_s": {"N": str(claim.free_at_s)},
        "expires_at_s": {"N": str(claim.ends_at_s)},
    }
    condition = "attribute_not_exists(pk) OR free_at_s <= :now"
    now = {":now": {"N": str(claim.ends_at_s - KEPT_S)}}
    put = {"TableName": table, "Item": item, "ConditionExpression": condition, "ExpressionAttributeValues": now}
    return {"Put": put}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(f"Types cannot be read or stored at the moment ({failure.code}).") from failure
