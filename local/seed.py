"""What a fresh gateway needs before its first request: provider credentials, and a demo tenant with two users."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.admin_client import AdminClient
from local.aws import Aws
from local.deploy import STACK_NAME
from local.settings import Credential
from local.simulators.app import APIS

TENANT = "demo"
USERS = ("alice", "bob")
KEYS = f"/tenants/{TENANT}/keys"
CALLBACK_SECRETS = {"google": "whsec_c2ltdWxhdGVkLXByb3ZpZGVycy1zaWduLXNvIQ=="}


@dataclass(frozen=True)
class DemoKeys:
    """The API keys of the demo tenant's two users."""

    alice: str
    bob: str


def demo_keys(admin: AdminClient, memory: Path) -> DemoKeys:
    """Issued once and kept in `memory`, so that a client's configuration outlives a restart; again where they are lost.

    What an administrator changed since stays changed: a key that he revoked, also a tenant that he deleted.
    """
    kept = _remembered(memory)
    admin.post("/tenants", {"id": TENANT, "name": "Demo", "approvals": ["*"]}, expected=(201, 409))
    status, _ = admin.get(f"/tenants/{TENANT}", expected=(200, 404))
    if status == 200:
        for user in USERS:
            if user not in kept or not _is_there(kept[user]["id"], admin):
                _, kept[user] = admin.post(KEYS, {"user_id": user, "label": f"demo key of {user}"})
        _remember(kept, memory)
    return DemoKeys(**{user: kept[user]["key"] if user in kept else "" for user in USERS})


def _is_there(key_id: str, admin: AdminClient) -> bool:
    status, _ = admin.get(f"{KEYS}/{key_id}", expected=(200, 404))
    return status == 200


def _remembered(memory: Path) -> dict[str, Any]:
    """Answers of the administration, by user."""
    kept = json.loads(memory.read_text()) if memory.exists() else {}
    return {user: key for user, key in kept.items() if isinstance(key, dict)}


def _remember(keys: Mapping[str, Any], memory: Path) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.touch(mode=0o600)
    memory.write_text(json.dumps({user: {name: key[name] for name in ("id", "key")} for user, key in keys.items()}))


def credentials(real: Mapping[str, Credential], simulators_url: str) -> dict[str, Credential]:
    """Every provider's credential: the real one where there is one, else the simulator's."""
    simulated = {api.name: Credential(f"sim-{api.name}", f"{simulators_url}{api.prefix}", api.settings) for api in APIS}
    return {**simulated, **real}


def store_credentials(aws: Aws, wanted: Mapping[str, Credential]) -> None:
    """Make Secrets Manager say exactly this, also of providers that were real at the last start and are not now."""
    client = aws.client("secretsmanager")
    prefix = f"{STACK_NAME}/providers/"
    pages = client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}])
    names = {secret["Name"] for page in pages for secret in page["SecretList"]}
    stored = {name for name in names if "/" not in name.removeprefix(prefix)}  # not what tenants have of their own
    for provider, credential in wanted.items():
        name, value = prefix + provider, json.dumps(credential.as_secret())
        if name in stored:
            client.put_secret_value(SecretId=name, SecretString=value)
        else:
            client.create_secret(Name=name, SecretString=value)
    for name in stored - {prefix + provider for provider in wanted}:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def store_callback_secrets(aws: Aws, real: Mapping[str, Credential]) -> None:
    """What simulated providers sign with that call back: of a real one only its owner knows that."""
    client = aws.client("secretsmanager")
    for provider, secret in CALLBACK_SECRETS.items():
        if provider in real:
            continue
        name = f"{STACK_NAME}/callbacks/{provider}"
        try:
            client.create_secret(Name=name, SecretString=secret)
        except client.exceptions.ResourceExistsException:
            client.put_secret_value(SecretId=name, SecretString=secret)


def admin_key(aws: Aws, name: str) -> str:
    secret: str = aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    return secret
