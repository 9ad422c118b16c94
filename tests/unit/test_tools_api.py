"""A model that reasons gets its tools by the API that takes both, and anything else by its usual one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ProviderCatalog
from gateway.providers.lookup import provider_named
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import HELLO

CATALOG = Path(__file__).parents[2] / "shared" / "catalog"
TOOL = {"type": "function", "function": {"name": "f"}}
ASKED = msgspec.structs.replace(
    FACTS, source="x", capabilities=("tools", "reasoning", "structured_output"), reasons="when_asked"
)
TOLD = msgspec.structs.replace(ASKED, reasons="unless_told")
OURS: dict[str, Any] = {"provider_options": {"openai": {"reasoning_effort": "none"}}}
THEIRS: dict[str, Any] = {"provider_options": {"openai": {"reasoning": {"effort": "low"}}}}


@pytest.mark.parametrize(
    ("facts", "members", "path"),
    [
        (TOLD, {"tools": [TOOL]}, "responses"),
        (TOLD, {"tools": [TOOL], "reasoning_effort": "low"}, "responses"),
        (TOLD, {"tools": [TOOL], "reasoning_effort": "none"}, "chat/completions"),
        (TOLD, {"tools": [TOOL], **OURS}, "chat/completions"),
        (TOLD, {"tools": [TOOL], **THEIRS}, "responses"),
        (TOLD, {"tools": []}, "chat/completions"),
        (TOLD, {}, "chat/completions"),
        (ASKED, {"tools": [TOOL]}, "chat/completions"),
        (ASKED, {"tools": [TOOL], "reasoning_effort": "low"}, "responses"),
    ],
)
async def test_the_api_of_a_call(gateway: Gateway, facts: Any, members: dict[str, Any], path: str) -> None:
    gateway.world.catalog.held["openai"]["gpt-4o"] = msgspec.structs.replace(facts, tools_api="responses")  # type: ignore[attr-defined]
    output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}]
    message = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    whole = {"id": "a", "status": "completed", "output": output, "choices": [message]}
    gateway.answers(200, json.dumps(whole).encode())
    answer = await gateway.chat({**HELLO, **members})
    assert answer.json["choices"][0]["message"]["content"] == "Hi"
    assert [request.url for request in gateway.outbound.sent] == [f"https://api.openai.com/v1/{path}"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"tools_api": "responses"}, "beside tools while gpt-4o reasons: .* reasoning_effort 'none'"),
        ({"api": "responses"}, "for gpt-4o, which is spoken to through Responses"),
    ],
)
async def test_a_refusal_says_when_the_provider_lacks_it(gateway: Gateway, facts: dict[str, Any], said: str) -> None:
    gateway.world.catalog.held["openai"]["gpt-4o"] = msgspec.structs.replace(TOLD, **facts)  # type: ignore[attr-defined]
    error = (await gateway.chat({**HELLO, "tools": [TOOL], "seed": 1})).json["error"]
    assert (error["code"], error["param"]) == ("capability_not_supported", "seed")
    assert re.search(f"openai does not support 'seed' {said}", error["message"])
    error = (await gateway.chat({**HELLO, "tools": [TOOL], "top_k": 1})).json["error"]
    assert error["message"] == "openai does not support 'top_k'."


def test_every_api_that_the_catalog_names_is_spoken() -> None:
    for file in CATALOG.glob("*.json"):
        catalog = msgspec.json.decode(file.read_bytes(), type=ProviderCatalog)
        named = {facts.tools_api for facts in catalog.models if facts.tools_api}
        assert named <= provider_named(catalog.provider).wires.keys()
