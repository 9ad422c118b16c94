"""Streams arrive as they are made, and fail in the open."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.contract import check_stream

pytestmark = pytest.mark.stack
WIRES = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"]


def ask(text: str, model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, "max_tokens": 4000, **more}


def post(gateway: Gateway, body: dict[str, Any]) -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    return httpx.post(f"{gateway.http}/chat/completions", json=body, headers=headers, timeout=60)


@pytest.mark.parametrize("model", WIRES)
def test_the_first_byte_arrives_before_the_provider_sends_its_second_chunk(local: Gateway, model: str) -> None:
    """The simulator holds its second chunk until the gate opens, which happens after text has been read here."""
    gate = uuid.uuid4().hex
    headers = {"authorization": f"Bearer {local.api_key}"}
    with httpx.stream(
        "POST", f"{local.http}/chat/completions", json=ask(f"[[gate={gate}]] Hi", model), headers=headers, timeout=20
    ) as response:
        arriving = response.iter_bytes()
        received = b""
        while b'"content":"' not in received.replace(b'"content":""', b""):
            received += next(arriving)
        httpx.post(f"{local.simulators}/_sim/gates/{gate}").raise_for_status()
        received += b"".join(arriving)
    check_stream(received)


@pytest.mark.parametrize("model", WIRES)
@pytest.mark.parametrize("switch", ["[[cut=mid_event]]", "[[cut_after=3]]", "[[garbage]]", "[[error_after=2]]"])
def test_a_stream_that_the_provider_breaks_ends_with_an_error_event(local: Gateway, model: str, switch: str) -> None:
    response = post(local, ask(f"{switch} a b c d e f g h i j", model))
    assert response.status_code == 200
    check_stream(response.content)
    last = json.loads(response.text.strip().rsplit("data: ", 1)[1])
    assert last["error"]["code"] == "provider_error"


@pytest.mark.parametrize("model", WIRES)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("switch", "status", "code", "retryable"),
    [
        ("[[status=429 retry_after=2]]", 429, "rate_limited", True),
        ("[[status=500]]", 502, "provider_error", True),
        ("[[status=529]]", 502, "provider_error", True),
        ("[[status=401]]", 502, "provider_error", True),
        ("[[status=404]]", 404, "model_not_found", False),
        ("[[content_type=text/html]]", 502, "provider_error", False),  # nobody knows what it cost: docs/usage.md
    ],
)
def test_a_failure_before_the_first_byte_keeps_its_status(
    local: Gateway, model: str, stream: bool, switch: str, status: int, code: str, retryable: bool
) -> None:
    response = post(local, ask(f"{switch} Hi", model, stream=stream))
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["retryable"]) == (status, code, retryable)
    assert ("x-should-retry" in response.headers) is not retryable
    if "retry_after" in switch:
        assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize("model", WIRES)
def test_a_slow_first_byte_is_a_timeout_in_its_phase(local: Gateway, model: str) -> None:
    response = post(local, ask("[[first_byte_s=20]] Hi", model, timeouts={"ttft_ms": 200}))
    assert (response.status_code, response.json()["error"]["phase"]) == (504, "ttft")


def test_an_endless_stream_ends_at_its_total_limit(local: Gateway) -> None:
    response = post(local, ask("[[endless]] Hi", "openai/gpt-4o-mini", timeouts={"total_ms": 1500}))
    check_stream(response.content)
    assert json.loads(response.text.strip().rsplit("data: ", 1)[1])["error"]["phase"] == "total"


def test_a_long_stream_loses_nothing(local: Gateway) -> None:
    response = post(local, ask("[[chunks=2000]] Hi", "openai/gpt-4o-mini"))
    check_stream(response.content)
    assert response.text.count("data: ") >= 2000


def test_a_client_that_leaves_harms_nobody(local: Gateway) -> None:
    headers = {"authorization": f"Bearer {local.api_key}"}
    body = ask("[[chunks=200 chunk_delay_s=0.01]] Hi", "openai/gpt-4o-mini")
    for _ in range(3):
        with httpx.stream("POST", f"{local.http}/chat/completions", json=body, headers=headers, timeout=20) as response:
            next(response.iter_bytes())
    assert post(local, ask("Hi", "openai/gpt-4o-mini")).status_code == 200
