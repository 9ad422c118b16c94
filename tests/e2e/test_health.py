"""Providers that fail are left alone for a while, and models are asked by their health: through the deployed stack.

The stack counts failures of one provider only, whose circuit these tests leave closed, and they ask a model of it that
no other test asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import openai
import pytest

from local.testing import OPEN_S, WATCHED
from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, eventually
from tests.e2e.tenants import put_key, put_tenant
from tests.e2e.test_fallback import armed, report_of

MODEL, SECOND = f"{WATCHED}/zai-glm-4.7", "anthropic/claude-haiku-4-5"
HELLO: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
ALIAS = "steady"
WITHIN_S = 60.0
pytestmark = pytest.mark.stack


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    put_tenant(local.aws_endpoint_url, "health", aliases={ALIAS: MODEL})
    key = put_key(local.aws_endpoint_url, "health", "alice")
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=local.http, headers=headers, timeout=60) as http:
        customer = Customer(local, "health", key, http)
        yield customer
        eventually(lambda: True if all(is_answered(customer) for _ in range(10)) else None, WITHIN_S)


@pytest.fixture
def client(customer: Customer) -> Iterator[openai.OpenAI]:
    base_url, key = customer.local.http, customer.key
    with (
        httpx2.Client(timeout=60) as transport,
        openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=transport) as client,
    ):
        yield client


def is_answered(customer: Customer) -> bool:
    return "choices" in customer.ask(MODEL)


def facts_of(client: openai.OpenAI, model: str = MODEL) -> Any:
    return client.models.retrieve(model).model_extra["gateway"]  # type: ignore[index]


def test_a_provider_that_fails_is_left_alone_until_it_is_well(client: openai.OpenAI, customer: Customer) -> None:
    def asked() -> Any:
        return report_of(client.chat.completions.create(**HELLO, extra_body={"fallbacks": [SECOND]}))

    def left_alone() -> Any:
        report = asked()
        return report if report["attempts"][0]["code"] == "circuit_open" else None

    def shown_elsewhere() -> Any:
        asked()
        facts = [facts_of(client, name) for name in (MODEL, ALIAS)]
        return facts if all(each["circuit"] == "open" for each in facts) else None

    with armed(customer.local, MODEL, "status=503", count=10_000):
        assert asked()["attempts"][0]["code"] == "provider_error"
        report = eventually(left_alone, WITHIN_S)
        first, second = report["attempts"]
        assert (first["model"], first["cost_estimate"]) == (MODEL, 0)
        assert (second["model"], second["status"], report["fallback_used"]) == (SECOND, "ok", True)
        eventually(shown_elsewhere, WITHIN_S)
        eventually(left_alone, WITHIN_S)
        refused = eventually(lambda: _refused(client), WITHIN_S)
        assert 1 <= int(refused.response.headers["retry-after"]) <= OPEN_S
        assert refused.body["retryable"] is True  # type: ignore[index]
    report = eventually(lambda: found if (found := asked())["model_used"] == MODEL else None, WITHIN_S)
    assert [one["status"] for one in report["attempts"]] == ["ok"]
    eventually(lambda: facts_of(client)["circuit"] == "closed" or None, WITHIN_S)


def _refused(client: openai.OpenAI) -> openai.APIStatusError | None:
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(**HELLO)
    return raised.value if (raised.value.status_code, raised.value.code) == (503, "circuit_open") else None


def test_models_are_asked_by_their_health_wherever_it_was_seen(client: openai.OpenAI, customer: Customer) -> None:
    """429 fails a model, and opens no circuit."""

    def failed() -> bool:
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(**HELLO)
        return bool(facts_of(client, ALIAS)["health"] == "unhealthy")

    def job_elsewhere() -> Any:
        body = {**HELLO, "fallbacks": [SECOND], "async": True}
        job = customer.http.post("/chat/completions", json=body).json()

        def look() -> Any:
            found = customer.http.get(f"/jobs/{job['id']}").json()
            return found if found["status"] in ("completed", "failed") else None

        report = eventually(look, WITHIN_S)["result"]["body"]["gateway"]
        return report if report["attempts"][0]["model"] == SECOND else None

    def is_well() -> bool:
        assert all(is_answered(customer) for _ in range(25))
        return bool(facts_of(client)["health"] == "healthy")

    with armed(customer.local, MODEL, "status=429", count=10_000):
        eventually(lambda: failed() or None, WITHIN_S)
        report = eventually(job_elsewhere, WITHIN_S)
        assert len(report["attempts"]) == 1
    eventually(lambda: is_well() or None, WITHIN_S)
    assert facts_of(client)["p95_ms"] > 0
