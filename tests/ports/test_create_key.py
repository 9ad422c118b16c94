"""A key that the script issues is one that the gateway takes."""

from __future__ import annotations

import hashlib

import boto3

from gateway.adapters.aws.access import DynamoAccess
from gateway.adapters.aws.api import AwsApi
from gateway.model.caller import Caller
from scripts.create_key import create_key
from tests.ports.conftest import REGION


async def test_an_issued_key_opens_and_a_tenant_is_not_made_twice(
    dynamodb_api: AwsApi, tenants_table: str, aws_url: str
) -> None:
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).Table(tenants_table)
    first = create_key(table, "acme", "alice", ["openai/*"])
    second = create_key(table, "acme", "bob", ["*"])
    access = DynamoAccess(dynamodb_api, tenants_table, timeout_s=5.0)
    callers = [Caller(key_hash=hashlib.sha256(key.encode()).hexdigest()) for key in (first, second)]
    found = [await access.read(caller) for caller in callers]
    assert [(holder.user.id, holder.tenant.approvals) for holder in found if holder] == [
        ("alice", ("openai/*",)),
        ("bob", ("openai/*",)),
    ]
    assert first not in str(table.scan()["Items"])
