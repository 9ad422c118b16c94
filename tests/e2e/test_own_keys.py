"""A tenant has a key of its own at a provider, in Secrets Manager: through the deployed stack."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import aws
from tests.e2e.tenants import put_key, put_tenant

HELLO: dict[str, Any] = {"model": "cerebras/zai-glm-4.7", "messages": [{"role": "user", "content": "Hello"}]}
pytestmark = pytest.mark.stack


def test_it_is_used_and_nothing_in_its_place(local: Gateway) -> None:
    tenant_id, own = f"own-{uuid.uuid4().hex[:12]}", f"sim-own-{uuid.uuid4().hex}"
    put_tenant(local.aws_endpoint_url, tenant_id, own_keys=["cerebras"])
    headers = {"authorization": f"Bearer {put_key(local.aws_endpoint_url, tenant_id, 'alice')}"}
    secrets, withdrawn = aws(local, "secretsmanager"), f"{local.simulators}/_sim/keys/{own}"
    with httpx.Client(base_url=local.http, headers=headers, timeout=60) as http:
        missing = http.post("/chat/completions", json=HELLO)
        assert (missing.status_code, missing.json()["error"]["code"]) == (502, "provider_error")
        assert f"cerebras/{tenant_id}" in missing.json()["error"]["message"]
        owners = json.loads(secrets.get_secret_value(SecretId="llm-gateway/providers/cerebras")["SecretString"])
        name = f"llm-gateway/providers/cerebras/{tenant_id}"
        secrets.create_secret(Name=name, SecretString=json.dumps({**owners, "api_key": own}))
        assert http.post("/chat/completions", json=HELLO).status_code == 200
        httpx.post(withdrawn).raise_for_status()
        refused = http.post("/chat/completions", json=HELLO)
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, "provider_error")
        httpx.delete(withdrawn).raise_for_status()
        assert http.post("/chat/completions", json=HELLO).status_code == 200
    secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
