"""Keys of providers are replaced in Secrets Manager while the gateway keeps the old ones."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import aws
from tests.e2e.simulated import posts

pytestmark = pytest.mark.stack
ENVIRONMENTS = 8
"""As many of one function may be there by then; who answers the second request may have read the new key by itself."""


@contextmanager
def rotated(local: Gateway, provider: str) -> Iterator[None]:
    """Stores a new key of a provider, which stays, and which does not take the old one any more."""
    secrets, name = aws(local, "secretsmanager"), f"llm-gateway/providers/{provider}"
    stored = secrets.get_secret_value(SecretId=name)["SecretString"]
    old = f"{local.simulators}/_sim/keys/{json.loads(stored)['api_key']}"
    new = {**json.loads(stored), "api_key": f"sim-{uuid.uuid4().hex}"}
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(new))
    httpx.post(old).raise_for_status()
    try:
        yield
    finally:
        httpx.delete(old).raise_for_status()


def statuses(local: Gateway, provider: str) -> list[int]:
    """What the provider said last."""
    return [entry["status"] for entry in posts(local, provider=provider, limit=2)]


@pytest.mark.parametrize(
    ("provider", "name", "refusal", "stream"),
    [("cerebras", "gpt-oss-120b", 401, False), ("xai", "grok-4.3", 400, True)],
)
def test_a_new_key_works_at_once(
    sdk: openai.OpenAI, local: Gateway, provider: str, name: str, refusal: int, stream: bool
) -> None:
    """One test for each provider: a key is read anew once in half a minute."""
    hello: Any = {"model": f"{provider}/{name}", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}

    def ask() -> None:
        said: Any = sdk.chat.completions.create(**hello)
        if stream:
            assert "".join(chunk.choices[0].delta.content or "" for chunk in said if chunk.choices) == "You said: Hello"
        else:
            assert said.choices[0].message.content == "You said: Hello"
            assert [one["status"] for one in said.model_extra["gateway"]["attempts"]] == ["ok"]

    for _ in range(ENVIRONMENTS):
        ask()
        with rotated(local, provider):
            ask()
            if statuses(local, provider) == [refusal, 200]:
                return
    raise AssertionError("nobody had kept the old key")
