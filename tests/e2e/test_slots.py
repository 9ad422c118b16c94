"""A provider may be asked so many times at once: through the deployed stack."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import aws, eventually
from tests.e2e.tenants import put_key, put_tenant

MODEL, OTHER, MOST = "cerebras/zai-glm-4.7", "mistral/mistral-small-latest", 2
pytestmark = pytest.mark.stack


@pytest.fixture
def http(local: Gateway) -> Iterator[httpx.Client]:
    """Of a tenant whose own key is for so many calls at a time."""
    tenant_id = f"slots-{uuid.uuid4().hex[:12]}"
    put_tenant(local.aws_endpoint_url, tenant_id, own_keys=["cerebras"])
    secrets, name = aws(local, "secretsmanager"), f"llm-gateway/providers/cerebras/{tenant_id}"
    owners = json.loads(secrets.get_secret_value(SecretId="llm-gateway/providers/cerebras")["SecretString"])
    secrets.create_secret(Name=name, SecretString=json.dumps({**owners, "max_concurrent": MOST}))
    headers = {"authorization": f"Bearer {put_key(local.aws_endpoint_url, tenant_id, 'alice')}"}
    with httpx.Client(base_url=local.http, headers=headers, timeout=60) as client:
        yield client
    secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def chat(text: str, **members: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **members}


@pytest.mark.parametrize("stream", [False, True])
def test_one_call_too_many_is_refused_or_another_models(local: Gateway, http: httpx.Client, stream: bool) -> None:
    name = f"slots-{uuid.uuid4().hex}"
    gate = f"{local.simulators}/_sim/gates/{name}"
    held = chat(f"Hello [[gate={name}]]", stream=stream)
    with ThreadPoolExecutor(MOST) as threads:
        asking = [threads.submit(http.post, "/chat/completions", json=held) for _ in range(MOST)]
        eventually(lambda: httpx.get(gate).json()["waiting"] == MOST or None)
        refused = http.post("/chat/completions", json=chat("Hello"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        other = http.post("/chat/completions", json=chat("Hello", fallbacks=[OTHER]))
        assert (other.status_code, other.json()["model"]) == (200, OTHER)
        assert [one["code"] for one in other.json()["gateway"]["attempts"]] == ["overloaded", None]
        httpx.post(gate).raise_for_status()
        assert [one.result().status_code for one in asking] == [200] * MOST
    for _ in range(2 * MOST):  # a place is given back after the answer
        assert eventually(lambda: http.post("/chat/completions", json=chat("Hello")).status_code == 200 or None)
