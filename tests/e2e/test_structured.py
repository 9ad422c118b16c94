"""Structured output by the official SDK's `parse`, on every provider, whichever way the gateway asks for it."""

from __future__ import annotations

import json
import os

import openai
import pytest
from pydantic import BaseModel, Field

from tests.e2e.conftest import Gateway
from tests.e2e.test_chat import MODELS, PROVIDERS

pytestmark = pytest.mark.stack
BEDROCK = {"bedrock": "bedrock/anthropic.claude-sonnet-4-6", "bedrock-nova": "bedrock/amazon.nova-2-lite-v1:0"}
EVERY_MODEL = {name: MODELS[name] for name in PROVIDERS} | ({} if "SMOKE_PROVIDERS" in os.environ else BEDROCK)
every_model = pytest.mark.parametrize("model", EVERY_MODEL.values(), ids=EVERY_MODEL)


class City(BaseModel):
    name: str
    people: int


class Unheard(BaseModel):
    """The simulated models answer with the smallest instance of a schema, which these patterns refuse."""

    name: str = Field(pattern="^never$")
    country: str = Field(pattern="^nowhere$")


@every_model
def test_parse_gives_the_model(sdk: openai.OpenAI, model: str) -> None:
    reply = sdk.chat.completions.parse(
        model=model,
        messages=[{"role": "user", "content": "Name a city."}],
        response_format=City,
        max_tokens=1000,
    )
    assert isinstance(reply.choices[0].message.parsed, City)


@every_model
def test_a_streamed_reply_parses_too(sdk: openai.OpenAI, model: str) -> None:
    with sdk.chat.completions.stream(
        model=model,
        messages=[{"role": "user", "content": "Name a city."}],
        response_format=City,
        max_tokens=1000,
    ) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City)


@every_model
def test_an_invalid_reply_raises_with_every_violation(sdk: openai.OpenAI, local: Gateway, model: str) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        sdk.chat.completions.parse(
            model=model,
            messages=[{"role": "user", "content": "Name a city."}],
            response_format=Unheard,
            max_tokens=1000,
        )
    check_violations(caught.value)


@every_model
def test_so_does_an_invalid_stream(sdk: openai.OpenAI, local: Gateway, model: str) -> None:
    stream = sdk.chat.completions.stream(
        model=model,
        messages=[{"role": "user", "content": "Name a city."}],
        response_format=Unheard,
        max_tokens=1000,
    )
    with stream as events, pytest.raises(openai.APIError) as caught:
        events.until_done()
    check_violations(caught.value)


def check_violations(error: openai.APIError) -> None:
    assert isinstance(error.body, dict)
    assert error.code == "validation_error"
    assert {detail["pointer"] for detail in error.body["details"]} == {"/name", "/country"}
    assert json.loads(error.body["raw_text"]).keys() == {"name", "country"}
    assert error.body["usage"]["total_tokens"] > 0
