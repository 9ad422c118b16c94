"""Tenants with hooks on the local stack, and what their hooks need: receivers, secrets, functions."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx

from local import build
from local.build import SAM
from tests.e2e.conftest import Gateway
from tests.e2e.tenants import put_key, put_tenant, table

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "docs" / "hooks" / "house-rules"
STACK = "llm-gateway"
SECRET = f"whsec_{base64.b64encode(b'0123456789abcdef01234567').decode()}"


def client(local: Gateway, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=local.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the local stack takes any
    )


@dataclass(frozen=True)
class Tenant:
    id: str
    key: str


def tenant_with(local: Gateway, *hooks: dict[str, Any], **settings: Any) -> Tenant:
    """A tenant of its own, with a secret for each webhook."""
    tenant_id = f"hooks-{uuid.uuid4().hex[:12]}"
    put_tenant(local.aws_endpoint_url, tenant_id, hooks=hooks, **settings)
    for hook in hooks:
        if hook["kind"] == "webhook":
            name = f"{STACK}/hooks/{tenant_id}/{hook['id']}"
            client(local, "secretsmanager").create_secret(Name=name, SecretString=SECRET)
    return Tenant(tenant_id, put_key(local.aws_endpoint_url, tenant_id, "alice"))


def put_by_hand(local: Gateway, tenant: Tenant, *hooks: dict[str, Any]) -> None:
    """Past the administration, which would refuse them."""
    document = json.dumps({"id": tenant.id, "approvals": ["*"], "hooks": hooks})
    tenants = table(local.aws_endpoint_url, "-tenants")
    tenants.put_item(Item={"pk": f"T#{tenant.id}", "sk": "T", "document": document})


class Receiver:
    """A webhook receiver of the simulators, and the hook that leads there."""

    def __init__(self, local: Gateway, **behaviour: Any) -> None:
        self._local, self._name = local, uuid.uuid4().hex
        url = f"{local.simulators}/_sim/hooks/{self._name}"
        httpx.post(url, json={"secret": SECRET, **behaviour}).raise_for_status()

    def answer_at_once(self) -> None:
        """From now on; what was received is forgotten."""
        url = f"{self._local.simulators}/_sim/hooks/{self._name}"
        httpx.post(url, json={"secret": SECRET}).raise_for_status()

    def hook(self, **settings: Any) -> dict[str, Any]:
        url = f"{self._local.simulators}/_hooks/{self._name}"
        return {"kind": "webhook", "id": "moderation", "url": url, "timeout_ms": 5_000, **settings}

    @property
    def received(self) -> list[dict[str, Any]]:
        told = httpx.get(f"{self._local.simulators}/_sim/hooks/{self._name}").json()
        return list(told["received"])


def deploy_plugin(local: Gateway) -> str:
    """The documented example, by the command that its README names. The function's name."""
    bucket = "plugin-deployments"
    client(local, "s3").create_bucket(Bucket=bucket)
    command = [
        *(str(SAM), "deploy", "--template-file", "template.yaml", "--stack-name", "house-rules"),
        *("--s3-bucket", bucket, "--capabilities", "CAPABILITY_IAM", "--parameter-overrides", "Names=Initech,Globex"),
        *("--no-confirm-changeset", "--no-progressbar"),
    ]
    environment = {**build.sam_environment(), "AWS_ENDPOINT_URL": local.aws_endpoint_url, "SAM_CLI_POLL_DELAY": "0.2"}
    result = subprocess.run(  # noqa: S603 - our own environment
        command, cwd=PLUGIN, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    [stack] = client(local, "cloudformation").describe_stacks(StackName="house-rules")["Stacks"]
    [output] = [each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "FunctionName"]
    return str(output)
