"""The same model is asked again where its provider says when: through the deployed stack, with the official client."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.tenants import put_key, put_tenant

HELLO: dict[str, Any] = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
pytestmark = pytest.mark.stack


@pytest.fixture
def patient(local: Gateway) -> Iterator[openai.OpenAI]:
    """Of a tenant that has providers asked again."""
    tenant_id = f"patient-{uuid.uuid4().hex[:12]}"
    put_tenant(local.aws_endpoint_url, tenant_id, max_retries=1)
    key = put_key(local.aws_endpoint_url, tenant_id, "alice")
    with (
        httpx2.Client(timeout=60) as transport,
        openai.OpenAI(base_url=local.http, api_key=key, max_retries=0, http_client=transport) as client,
    ):
        yield client


def arm(local: Gateway, fault: str, count: int) -> None:
    order = {"provider": "openai", "model": "gpt-4o-mini", "fault": fault, "count": count}
    httpx2.post(f"{local.simulators}/_sim/faults", json=order).raise_for_status()


@pytest.mark.parametrize("status", [429, 503])
def test_who_says_when_is_asked_again_then(patient: openai.OpenAI, local: Gateway, status: int) -> None:
    arm(local, f"status={status} retry_after=1", count=1)
    reply: Any = patient.chat.completions.create(**HELLO)
    report = reply.model_extra["gateway"]
    assert reply.choices[0].message.content == "You said: Hello"
    assert [one["status"] for one in report["attempts"]] == ["error", "ok"]
    assert report["attempts"][0]["cost_estimate"] == 0
    assert report["latency_ms"] >= 1_000 > report["overhead_ms"]


def test_a_stream_too(patient: openai.OpenAI, local: Gateway) -> None:
    arm(local, "status=429 retry_after=1", count=1)
    chunks: list[Any] = list(patient.chat.completions.create(**HELLO, stream=True))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == "You said: Hello"
    assert [one["code"] for one in chunks[-1].model_extra["gateway"]["attempts"]] == ["rate_limited", None]


def test_and_no_more_often_than_the_tenant_wants(patient: openai.OpenAI, local: Gateway) -> None:
    arm(local, "status=429 retry_after=1", count=2)
    with pytest.raises(openai.RateLimitError) as refused:
        patient.chat.completions.create(**HELLO)
    assert refused.value.response.headers["retry-after"] == "1"
