"""Structured output by the official SDK's `parse`, on every provider, whichever way the gateway asks for it."""

from __future__ import annotations

import openai
import pytest
from pydantic import BaseModel

from tests.e2e.conftest import Gateway
from tests.e2e.test_chat import MODELS, PROVIDERS

pytestmark = pytest.mark.stack


class City(BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("provider", PROVIDERS)
def test_parse_gives_the_model(sdk: openai.OpenAI, provider: str) -> None:
    reply = sdk.chat.completions.parse(
        model=MODELS[provider],
        messages=[{"role": "user", "content": "Name a city."}],
        response_format=City,
        max_tokens=1000,
    )
    assert isinstance(reply.choices[0].message.parsed, City)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_streamed_reply_parses_too(sdk: openai.OpenAI, provider: str) -> None:
    with sdk.chat.completions.stream(
        model=MODELS[provider],
        messages=[{"role": "user", "content": "Name a city."}],
        response_format=City,
        max_tokens=1000,
    ) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City)


def test_an_invalid_reply_raises_with_every_violation(sdk: openai.OpenAI, local: Gateway) -> None:
    """The simulated model answers with the smallest instance of a schema, which this one's patterns refuse."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": "^never$"}, "people": {"type": "integer", "not": {}}},
        "required": ["name", "people"],
        "additionalProperties": False,
    }
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        sdk.chat.completions.create(
            model="openai/gpt-4o-mini",
            messages=[{"role": "user", "content": "Name a city."}],
            extra_body={"response_schema": schema},
        )
    error = caught.value.body
    assert isinstance(error, dict)
    assert {detail["pointer"] for detail in error["details"]} == {"/name", "/people"}
    assert error["usage"]["total_tokens"] > 0
