"""`strict` on a tool, at the hosts that decode under constraints."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.providers.contract import Target
from gateway.providers.lookup import provider_named

Json = dict[str, Any]

APIS: dict[str, Any] = {"anthropic": "messages", "bedrock": "converse"}
CITY: Json = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}, "days": {"type": "integer", "maximum": 9}},
    "required": ["city"],
}
CLOSED: Json = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": 'Has to satisfy {"minLength":1}'},
        "days": {"type": "integer", "description": 'Has to satisfy {"maximum":9}'},
    },
    "required": ["city"],
    "additionalProperties": False,
}
ANY_MEMBERS: Json = {"type": "object", "properties": {"labels": {"type": "object"}}}
RECURSIVE: Json = {"type": "object", "properties": {"next": {"$ref": "#"}}}


def sent(provider: str, *schemas: Json | None, can: bool = True, strict: bool = True, **members: Any) -> list[Any]:
    """Schema and `strict` of each tool."""
    tools = [
        {"type": "function", "function": {"name": f"f{at}", "parameters": schema, "strict": strict}}
        for at, schema in enumerate(schemas)
    ]
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "tools": tools, **members}
    facts = ModelFacts(
        id="m", name="M", source="here", api=APIS[provider], capabilities=("structured_output",) if can else ()
    )
    target = Target(provider, facts, "https://host.example")
    body = json.loads(
        provider_named(provider).wires[APIS[provider]].render(msgspec.convert(asked, ChatCall), target).body
    )
    if provider == "bedrock":
        specs = [tool["toolSpec"] for tool in body["toolConfig"]["tools"]]
        return [(spec["inputSchema"]["json"], spec.get("strict")) for spec in specs]
    return [(tool["input_schema"], tool.get("strict")) for tool in body["tools"]]


@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (CITY, (CLOSED, True)),
        (None, ({"type": "object", "properties": {}, "additionalProperties": False}, True)),
        ({"type": "object"}, ({"type": "object", "properties": {}, "additionalProperties": False}, True)),
        (ANY_MEMBERS, (ANY_MEMBERS, None)),
        (RECURSIVE, (RECURSIVE, None)),
    ],
)
def test_a_schema_is_made_one_that_can_be_kept_to(provider: str, schema: Json | None, expected: Any) -> None:
    assert sent(provider, schema) == [expected]


@pytest.mark.parametrize("provider", APIS)
def test_a_model_without_constrained_decoding_is_not_asked_for_it(provider: str) -> None:
    assert sent(provider, CITY, can=False) == [(CITY, None)]
    assert sent(provider, CITY, strict=False) == [(CITY, None)]


@pytest.mark.parametrize("provider", APIS)
def test_one_request_has_twenty_of_them(provider: str) -> None:
    every = sent(provider, *[{**CITY, "required": ["city", "days"]}] * 21)
    assert [strict for _, strict in every] == [True] * 20 + [None]


@pytest.mark.parametrize("provider", APIS)
def test_what_is_optional_counts_in_all_schemas_together(provider: str) -> None:
    many = {"type": "object", "properties": {f"p{at}": {"type": "string"} for at in range(13)}}
    assert [strict for _, strict in sent(provider, many, many, CITY)] == [True, None, True]
    wanted: Json = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": many}}}
    assert [strict for _, strict in sent(provider, many, CITY, **wanted)] == [None, True]
