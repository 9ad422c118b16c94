"""Bad input: the right status, the field's name, no 500, no call to a provider."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.tenants import put_key

HELLO: dict[str, Any] = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
JSON = {"content-type": "application/json"}
pytestmark = pytest.mark.stack


def provider_calls(gateway: Gateway) -> int:
    return len(httpx.get(f"{gateway.simulators}/_sim/requests").json()["requests"])


@pytest.fixture
def no_provider_call(gateway: Gateway) -> Any:
    """Nothing reaches a provider during the test."""
    if not gateway.simulators:
        yield
        return
    httpx.delete(f"{gateway.simulators}/_sim/requests")
    yield
    assert provider_calls(gateway) == 0


@pytest.mark.usefixtures("no_provider_call")
class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "param"),
        [
            ({"temperature": "hot"}, "temperature"),
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "user"}]}, "messages[0].content"),
            ({"made_up": 1}, "made_up"),
            ({"max_tokens": -5}, "max_tokens"),
            ({"async": "now"}, "async"),
        ],
    )
    def test_an_invalid_field_is_named(self, http: httpx.Client, changes: dict[str, Any], param: str) -> None:
        response = http.post("/chat/completions", json={**HELLO, **changes})
        assert (response.status_code, response.json()["error"]["param"]) == (400, param)
        assert response.headers["x-should-retry"] == "false"

    @pytest.mark.parametrize("body", [b"", b"{", b'{"model": "\xff"}', b"[]", b"null", b"[" * 200_000])
    def test_a_body_that_is_not_a_json_object(self, http: httpx.Client, body: bytes) -> None:
        response = http.post("/chat/completions", content=body, headers=JSON)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_error")

    def test_an_unknown_model(self, http: httpx.Client) -> None:
        response = http.post("/chat/completions", json={**HELLO, "model": "openai/gpt-99"})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")

    def test_another_content_type(self, http: httpx.Client) -> None:
        response = http.post("/chat/completions", content=b"model=x", headers={"content-type": "text/plain"})
        assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")

    @pytest.mark.parametrize("megabytes", [7, 20])
    def test_a_body_that_is_too_large(self, gateway: Gateway, megabytes: int) -> None:
        body = b'{"model": "m", "messages": [{"role": "user", "content": "' + b"x" * (megabytes << 20) + b'"}]}'
        headers = {**JSON, "authorization": f"Bearer {gateway.api_key}"}
        response = httpx.post(f"{gateway.http}/chat/completions", content=body, headers=headers, timeout=60)
        assert (response.status_code, response.json()["error"]["code"]) == (413, "payload_too_large")

    @pytest.mark.parametrize("key", ["", "Bearer gwk_unknown", "Basic abc"])
    def test_no_good_key(self, http: httpx.Client, key: str) -> None:
        response = http.post("/chat/completions", json=HELLO, headers={"authorization": key})
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
        assert http.get("/models", headers={"authorization": key}).status_code == 401

    def test_an_unknown_route(self, gateway: Gateway, http: httpx.Client) -> None:
        response = http.get(f"{gateway.origin}/v2/nothing")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")

    def test_the_sdk_raises_its_typed_errors(self, sdk: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as invalid:
            sdk.chat.completions.create(model="gpt-4o-mini", messages=[])
        assert invalid.value.param == "messages"
        with pytest.raises(openai.NotFoundError):
            sdk.chat.completions.create(model="openai/gpt-99", messages=[{"role": "user", "content": "Hi"}])
        with pytest.raises(openai.AuthenticationError):
            sdk.with_options(api_key="gwk_wrong").models.list()


def test_a_revoked_key_is_refused_at_its_next_request(local: Gateway, http: httpx.Client) -> None:
    key = put_key(local.aws_endpoint_url, "demo", "alice")
    headers = {"authorization": f"Bearer {key}"}
    assert http.post("/chat/completions", json=HELLO, headers=headers).status_code == 200
    put_key(local.aws_endpoint_url, "demo", "alice", key, status="revoked")
    assert http.post("/chat/completions", json=HELLO, headers=headers).status_code == 401
