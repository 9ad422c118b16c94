"""Providers fail, and another one answers: through the deployed stack, with the official client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import openai
import pytest

from tests.e2e.conftest import Gateway, check_response
from tests.e2e.contract import check_stream
from tests.e2e.customer import Customer, customer_of, eventually
from tests.e2e.tenants import put_tenant

FIRST, SECOND, THIRD = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "mistral/mistral-small-latest"
HELLO: dict[str, Any] = {"model": FIRST, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
BEFORE = ["garbage", "content_type=text/html", "cut=reset cut_after=0"]
STATUSES = ["status=401", "status=403", "status=408", "status=429", "status=429 retry_after=2"]
STATUSES += ["status=500", "status=503", "status=529"]
pytestmark = pytest.mark.stack


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    with customer_of(local, "fallback", check_response) as customer:
        yield customer


@pytest.fixture
def client(customer: Customer) -> Iterator[openai.OpenAI]:
    with (
        httpx2.Client(timeout=60) as transport,
        openai.OpenAI(
            base_url=customer.local.http, api_key=customer.key, max_retries=0, http_client=transport
        ) as client,
    ):
        yield client


@contextmanager
def armed(local: Gateway, model: str, fault: str, count: int = 1) -> Iterator[None]:
    """Of a model whose provider fails for the next requests."""
    provider, _, name = model.partition("/")
    fault = {"provider": provider, "model": name, "fault": fault, "count": count}  # type: ignore[assignment]
    httpx.post(f"{local.simulators}/_sim/faults", json=fault).raise_for_status()
    try:
        yield
    finally:
        httpx.delete(f"{local.simulators}/_sim/faults")


def report_of(reply: Any) -> Any:
    return reply.model_extra["gateway"]


@pytest.mark.parametrize("fault", [*STATUSES, "cut=before_headers", *BEFORE])
def test_another_model_answers(client: openai.OpenAI, customer: Customer, fault: str) -> None:
    with armed(customer.local, FIRST, fault, count=2):  # a kept connection that is dead is asked once more
        reply = client.chat.completions.create(**HELLO, extra_body={"fallback": {"models": [SECOND]}})
    report = report_of(reply)
    assert (reply.model, report["fallback_used"]) == (SECOND, True)
    assert reply.choices[0].message.content == "You said: Hello"
    assert [one["status"] for one in report["attempts"]] == ["error", "ok"]


@pytest.mark.parametrize("fault", [*STATUSES, "cut=before_headers", "cut_after=0", "error_after=0", "first_byte_s=5"])
def test_another_model_streams(client: openai.OpenAI, customer: Customer, fault: str) -> None:
    with armed(customer.local, FIRST, fault, count=2):
        stream = client.chat.completions.create(
            **HELLO, stream=True, extra_body={"fallbacks": [SECOND], "timeouts": {"ttft_ms": 1_500}}
        )
        chunks = list(stream)
    assert {chunk.model for chunk in chunks} == {SECOND}
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == "You said: Hello"
    assert [one["status"] for one in chunks[-1].model_extra["gateway"]["attempts"]] == ["error", "ok"]


def test_a_stream_that_has_begun_is_not_begun_anew(customer: Customer) -> None:
    body = {**HELLO, "stream": True, "fallbacks": [SECOND]}
    with armed(customer.local, FIRST, "cut_after=1"):
        answer = customer.http.post("/chat/completions", json=body)
    assert answer.status_code == 200
    check_stream(answer.content)
    assert '"provider_error"' in answer.text.strip().rsplit("data: ", 1)[1]
    assert SECOND not in answer.text


def test_a_provider_that_does_not_answer_in_time(client: openai.OpenAI, customer: Customer) -> None:
    more = {"fallbacks": [SECOND], "timeouts": {"total_ms": 700}}
    with armed(customer.local, FIRST, "first_byte_s=5"):
        report = report_of(client.chat.completions.create(**HELLO, extra_body=more))
    assert [one["code"] for one in report["attempts"]] == ["provider_timeout", None]
    assert 700 <= report["latency_ms"] < 5_000


def test_a_request_that_is_wrong_is_nobody_elses(client: openai.OpenAI, customer: Customer) -> None:
    with armed(customer.local, FIRST, "status=400"), pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**HELLO, extra_body={"models": [FIRST, SECOND]})


def test_the_first_of_several_answers_counts(client: openai.OpenAI, customer: Customer) -> None:
    more = {"fallback": {"models": [SECOND, THIRD], "strategy": "parallel"}}
    with armed(customer.local, FIRST, "first_byte_s=20"), armed(customer.local, THIRD, "status=500"):
        report = report_of(client.chat.completions.create(**HELLO, extra_body=more))
    assert report["model_used"] == SECOND
    assert report["latency_ms"] < 15_000
    shown = {one["model"]: one["status"] for one in report["attempts"]}
    assert shown.pop(THIRD) in ("error", "cancelled")
    assert shown == {FIRST: "cancelled", SECOND: "ok"}


def test_a_tenants_rule_holds_and_everything_is_told(client: openai.OpenAI, customer: Customer) -> None:
    rule = {"models": "openai/*", "fallback": [SECOND]}
    put_tenant(customer.local.aws_endpoint_url, customer.tenant_id, fallbacks=[rule])
    with armed(customer.local, FIRST, "status=500"):
        report = report_of(client.chat.completions.create(**HELLO))
    assert report["model_used"] == SECOND
    audit = eventually(lambda: found if len(found := customer.audit()) == 3 else None)
    [switch] = [line for line in audit if line["event"] == "fallback.triggered"]
    assert switch["facts"] == {"from": FIRST, "to": SECOND, "code": "provider_error"}
    assert [line["event"] for line in audit].count("request.completed") == 1
    usage = customer.http.get(f"/usage/requests/{report['request_id']}").json()
    assert [(one["model"], one["code"]) for one in usage["attempts"]] == [(FIRST, "provider_error"), (SECOND, None)]


def test_a_job_falls_back(customer: Customer) -> None:
    with armed(customer.local, FIRST, "status=503"):
        job = customer.http.post("/chat/completions", json={**HELLO, "fallbacks": [SECOND], "async": True}).json()

        def look() -> Any:
            found = customer.http.get(f"/jobs/{job['id']}").json()
            return found if found["status"] in ("completed", "failed") else None

        ended = eventually(look, 60)
    assert (ended["status"], ended["result"]["body"]["gateway"]["model_used"]) == ("completed", SECOND)


def test_vectors_by_another_provider(client: openai.OpenAI, customer: Customer) -> None:
    first, second = "openai/text-embedding-3-small", "azure/text-embedding-3-small"
    with armed(customer.local, first, "status=503"):
        made = client.embeddings.create(model=first, input="Hello", extra_body={"fallbacks": [second]})
    assert (made.model, len(made.data[0].embedding)) == (second, 1536)


def test_speech_by_another_model(client: openai.OpenAI, customer: Customer) -> None:
    with armed(customer.local, "openai/tts-1", "status=503"):
        spoken = client.audio.speech.create(
            model="openai/tts-1", input="Hello", voice="alloy", extra_body={"fallbacks": ["openai/gpt-4o-mini-tts"]}
        )
    assert spoken.content[:3] in (b"ID3", b"\xff\xfb", b"\xff\xf3") or len(spoken.content) > 100
