"""Copies items of a table that was restored from a backup into the one that functions use, which has its name for good.

    .venv/bin/python -m scripts.restore_items --from llm-gateway-tenants-restored --to llm-gateway-tenants --tenant acme

With `--tenant` what belongs to that tenant, its API keys and its place in the list of tenants included, also where it
was deleted. Without, all items but those of tenants that were deleted, answers to Idempotency-Keys, and changes that
waited to be told and have been since. What is there already is left as it is, unless `--replace` says otherwise;
nothing is removed. It may be run again. AWS credentials and region come from the environment, as for the AWS CLI.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

WRITERS = 16
INDEX, ERASED, KEY_HASH = "TENANTS", "erased", "key_hash"
"""As `gateway/adapters/aws/directory_items.py` has them."""
LISTS = (INDEX, "T")
"""Partitions that have a tenant as sort key: of the tenants and of those with usage."""
OF_TENANTS = ("T", "U", "B", "D", "R", "TYPES")
"""What partition keys of a tenant's own items begin with, before `#<tenant>`, in all tables."""
PASSING = ("OUTBOX", "I#")

Item = dict[str, Any]


def copy(
    dynamodb: Any, source: str, target: str, tenant_id: str | None = None, *, replace: bool = False
) -> tuple[int, int]:
    """How many items were written, and how many were there already."""
    takes = _of_tenant(dynamodb, source, tenant_id) if tenant_id else _of_all(dynamodb, source, target)
    write = partial(_write, dynamodb, target, replace=replace)
    written = there = 0
    with ThreadPoolExecutor(WRITERS) as writers:
        for page in dynamodb.get_paginator("scan").paginate(TableName=source, ConsistentRead=True):
            done = list(writers.map(write, filter(takes, page["Items"])))
            written, there = written + sum(done), there + len(done) - sum(done)
    return written, there


def _of_tenant(dynamodb: Any, source: str, tenant_id: str) -> Any:
    hashes = set(_key_hashes(dynamodb, source, tenant_id))
    return lambda item: _belongs(item, (tenant_id,), hashes) and ERASED not in item


def _of_all(dynamodb: Any, source: str, target: str) -> Any:
    erased = {item["sk"]["S"] for item in _partition(dynamodb, target, INDEX) if ERASED in item}
    hashes = {key_hash for tenant_id in erased for key_hash in _key_hashes(dynamodb, source, tenant_id)}
    return lambda item: not (item["pk"]["S"].startswith(PASSING) or _belongs(item, erased, hashes))


def _belongs(item: Item, tenant_ids: Collection[str], hashes: Collection[str]) -> bool:
    """`hashes`: of the API keys of these tenants. An id has no `#`, so it ends where the next one is."""
    pk = item["pk"]["S"]
    kind, _, rest = pk.partition("#")
    if not rest:
        return pk in LISTS and item["sk"]["S"] in tenant_ids
    return rest in hashes if kind == "K" else kind in OF_TENANTS and rest.partition("#")[0] in tenant_ids


def _key_hashes(dynamodb: Any, table: str, tenant_id: str) -> Iterator[str]:
    return (item[KEY_HASH]["S"] for item in _partition(dynamodb, table, f"T#{tenant_id}") if KEY_HASH in item)


def _partition(dynamodb: Any, table: str, pk: str) -> Iterator[Item]:
    wanted = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": pk}}}
    for page in dynamodb.get_paginator("query").paginate(TableName=table, ConsistentRead=True, **wanted):
        yield from page["Items"]


def _write(dynamodb: Any, table: str, item: Item, *, replace: bool) -> bool:
    """False where it is there already. That a tenant was deleted is no more true once it is back."""
    is_free = "attribute_not_exists(pk)"
    if item["pk"]["S"] == INDEX:
        is_free += f" OR attribute_exists({ERASED})"
    try:
        dynamodb.put_item(TableName=table, Item=item, **({} if replace else {"ConditionExpression": is_free}))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", required=True, dest="source", help="the table that was restored")
    parser.add_argument("--to", required=True, dest="target", help="the table of the stack")
    parser.add_argument("--tenant", help="only what belongs to this tenant")
    parser.add_argument("--replace", action="store_true", help="write over what is there")
    given = parser.parse_args()
    dynamodb = boto3.client("dynamodb", config=Config(max_pool_connections=WRITERS))
    written, there = copy(dynamodb, given.source, given.target, given.tenant, replace=given.replace)
    print(f"{written} items written, {there} were there already")


if __name__ == "__main__":
    main()
