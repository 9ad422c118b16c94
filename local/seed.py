"""What a fresh gateway needs before its first request: provider credentials, and a demo tenant with two users."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from local.aws import Aws
from local.deploy import STACK_NAME
from local.settings import Credential
from local.simulators.app import APIS

TENANT = "demo"
USERS = ("alice", "bob")


@dataclass(frozen=True)
class DemoKeys:
    """The API keys of the demo tenant's two users."""

    alice: str
    bob: str


def demo_keys(memory: Path) -> DemoKeys:
    """Generated once and kept in `memory`, so that a client's configuration outlives a restart."""
    if memory.exists():
        return DemoKeys(**json.loads(memory.read_text()))
    keys = DemoKeys(*(f"gwk_{secrets.token_urlsafe(32)}" for _ in USERS))
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.touch(mode=0o600)
    memory.write_text(json.dumps(asdict(keys)))
    return keys


def credentials(real: Mapping[str, Credential], simulators_url: str) -> dict[str, Credential]:
    """Every provider's credential: the real one where there is one, else the simulator's."""
    simulated = {api.name: Credential(f"sim-{api.name}", f"{simulators_url}{api.prefix}", api.settings) for api in APIS}
    return {**simulated, **real}


def store_credentials(aws: Aws, wanted: Mapping[str, Credential]) -> None:
    """Make Secrets Manager say exactly this, also of providers that were real at the last start and are not now."""
    client = aws.client("secretsmanager")
    prefix = f"{STACK_NAME}/providers/"
    pages = client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}])
    stored = {secret["Name"] for page in pages for secret in page["SecretList"]}
    for provider, credential in wanted.items():
        name, value = prefix + provider, json.dumps(credential.as_secret())
        if name in stored:
            client.put_secret_value(SecretId=name, SecretString=value)
        else:
            client.create_secret(Name=name, SecretString=value)
    for name in stored - {prefix + provider for provider in wanted}:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def store_tenant(aws: Aws, table: str, keys: DemoKeys) -> None:
    """Put the demo tenant and its keys where they are missing; what an administrator changed since stays."""
    client = aws.client("dynamodb")
    tenant = {"id": TENANT, "name": "Demo", "approvals": ["*"]}
    _put_if_absent(client, table, {"pk": f"T#{TENANT}", "sk": "T", "document": json.dumps(tenant)})
    for user, key in asdict(keys).items():
        document = {
            "id": f"key_demo_{user}",
            "tenant_id": TENANT,
            "user_id": user,
            "label": f"demo key of {user}",
            "hint": key[:8],
            "created_at_s": int(time.time()),
        }
        hashed = hashlib.sha256(key.encode()).hexdigest()
        _put_if_absent(client, table, {"pk": f"K#{hashed}", "sk": "K", "document": json.dumps(document)})


def admin_key(aws: Aws, name: str) -> str:
    secret: str = aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    return secret


def _put_if_absent(client: Any, table: str, item: Mapping[str, Any]) -> None:
    serializer = TypeSerializer()
    try:
        client.put_item(
            TableName=table,
            Item={name: serializer.serialize(value) for name, value in item.items()},
            ConditionExpression="attribute_not_exists(pk)",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
