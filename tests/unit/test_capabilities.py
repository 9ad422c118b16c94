"""What a model cannot do is refused by name before anything is sent."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.tenant import Tenant
from tests.fakes import principal
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import HELLO, WHOLE

PLAIN = msgspec.structs.replace(FACTS, source="x", context_tokens=100, max_output_tokens=50)
TOOL = {"type": "function", "function": {"name": "f"}}


def parts(*media: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "See:"}, *media]}]}


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
ASKS = [
    ({"tools": [TOOL]}, "tools", CapabilityNotSupported),
    ({"stream": True}, "stream", CapabilityNotSupported),
    ({"reasoning_effort": "low"}, "reasoning_effort", CapabilityNotSupported),
    ({"modalities": ["audio"]}, "modalities", CapabilityNotSupported),
    (parts(IMAGE), "messages[0].content[1]", CapabilityNotSupported),
    (parts({"type": "audio", "url": "https://x/a.mp3"}), "messages[0].content[1]", CapabilityNotSupported),
    (parts({"type": "video", "url": "https://x/a.mp4"}), "messages[0].content[1]", CapabilityNotSupported),
    (parts({"type": "document", "url": "https://x/a.pdf"}), "messages[0].content[1]", CapabilityNotSupported),
    ({"max_tokens": 51}, "max_tokens", InvalidRequest),
    ({"max_completion_tokens": 51}, "max_completion_tokens", InvalidRequest),
    ({"messages": [{"role": "user", "content": "x " * 101}]}, "messages", InvalidRequest),
]


@pytest.mark.parametrize(("ask", "param", "error"), ASKS)
async def test_a_known_model_is_not_asked_for_what_it_cannot_do(
    gateway: Gateway, ask: dict[str, Any], param: str, error: type[InvalidRequest]
) -> None:
    gateway.world.catalog.held["openai"]["gpt-4o"] = PLAIN  # type: ignore[attr-defined]
    answer = await gateway.chat({**HELLO, **ask})
    said = answer.json["error"]
    assert (answer.status, said["code"], said["param"]) == (400, error.code, param)
    assert "openai/gpt-4o" in said["message"]
    assert gateway.outbound.sent == []


PROMPTED = {"response_schema": {"type": "array"}}
"""No tool can ask for it, and no provider's own words: a system message of the gateway's stands before the client's."""


@pytest.mark.parametrize(("ask", "param"), [(ask, param) for ask, param, _ in ASKS if param.startswith("messages[")])
async def test_a_message_is_named_as_the_client_numbered_it(gateway: Gateway, ask: dict[str, Any], param: str) -> None:
    gateway.world.catalog.held["openai"]["gpt-4o"] = PLAIN  # type: ignore[attr-defined]
    answer = await gateway.chat({**HELLO, **ask, **PROMPTED})
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


@pytest.mark.parametrize("stream", [False, True])
async def test_so_it_is_where_the_wire_refuses(gateway: Gateway, stream: bool) -> None:
    named = [{"role": "user", "content": "Hello"}, {"role": "user", "content": "Hi", "name": "ann"}]
    gateway.hold(principal(Tenant(id="acme", approvals=("groq/*",))))
    answer = await gateway.chat({"model": "groq/llama", "messages": named, "stream": stream, **PROMPTED})
    assert (answer.status, answer.json["error"]["param"]) == (400, "messages[1].name")
    assert gateway.outbound.sent == []


async def test_and_where_the_provider_does(gateway: Gateway) -> None:
    said = "Invalid type for 'messages[1].content'"
    refused = {"error": {"message": said, "type": "invalid_request_error", "param": "messages[1].content"}}
    gateway.answers(400, json.dumps(refused).encode())
    error = (await gateway.chat({**HELLO, **PROMPTED})).json["error"]
    assert error["param"] == "messages[0].content"
    assert "messages[1]" not in error["message"]


async def test_a_model_without_facts_is_not_judged(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    assert (await gateway.chat({**HELLO, "tools": [TOOL], "max_tokens": 10_000})).status == 200


REASONS = {"capabilities": ("tools", "reasoning", "streaming"), "max_output_tokens": None}
REQUIRED = {"tools": [TOOL], "tool_choice": "required"}
NAMED = {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}


@pytest.mark.parametrize(
    ("facts", "ask", "param"),
    [
        ({"reasons": "always"}, {"reasoning_effort": "none"}, "reasoning_effort"),
        ({"reasoning_efforts": ("low", "high")}, {"reasoning_effort": "medium"}, "reasoning_effort"),
        ({"reasoning_efforts": ("low", "high")}, {"reasoning_effort": "none"}, "reasoning_effort"),
        (
            {"reasoning_efforts": ("low",), "tools_api": "responses", "reasons": "unless_told"},
            {"tools": [TOOL], "reasoning_effort": "xhigh"},
            "reasoning_effort",
        ),
        ({"reasons": "always", "forced_tools": "without_reasoning"}, REQUIRED, "tool_choice"),
        ({"reasons": "always", "forced_tools": "without_reasoning"}, NAMED, "tool_choice"),
        ({"reasons": "unless_told", "forced_tools": "without_reasoning"}, REQUIRED, "tool_choice"),
        (
            {"reasons": "when_asked", "forced_tools": "without_reasoning"},
            {**REQUIRED, "reasoning_effort": "low"},
            "tool_choice",
        ),
        (
            {"reasons": "when_asked", "forced_tools": "without_reasoning"},
            {**REQUIRED, "provider_options": {"openai": {"thinking": {"type": "adaptive"}}}},
            "tool_choice",
        ),
    ],
)
async def test_what_cannot_go_with_reasoning_is_refused(
    gateway: Gateway, facts: dict[str, Any], ask: dict[str, Any], param: str
) -> None:
    gateway.world.catalog.held["openai"]["gpt-4o"] = msgspec.structs.replace(PLAIN, **REASONS, **facts)  # type: ignore[attr-defined]
    answer = await gateway.chat({**HELLO, **ask})
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert gateway.outbound.sent == []


@pytest.mark.parametrize(
    ("facts", "ask"),
    [
        ({"reasons": "always", "forced_tools": "always"}, REQUIRED),
        ({"reasons": "unless_told", "forced_tools": "without_reasoning"}, {**REQUIRED, "reasoning_effort": "none"}),
        ({"reasons": "when_asked", "forced_tools": "without_reasoning"}, REQUIRED),
        ({"reasons": "when_asked", "forced_tools": "without_reasoning"}, {"tools": [TOOL], "reasoning_effort": "low"}),
        (
            {"reasons": "unless_told", "forced_tools": "without_reasoning"},
            {**REQUIRED, "provider_options": {"openai": {"thinking": {"type": "disabled"}}}},
        ),
        ({}, {**REQUIRED, "reasoning_effort": "low"}),
        ({"reasoning_efforts": ("none", "high")}, {"reasoning_effort": "high"}),
        ({"reasoning_efforts": ("none", "high")}, {"reasoning_effort": "none"}),
        ({"reasons": "unless_told"}, REQUIRED),
    ],
)
async def test_what_may_go_is_sent(gateway: Gateway, facts: dict[str, Any], ask: dict[str, Any]) -> None:
    gateway.world.catalog.held["openai"]["gpt-4o"] = msgspec.structs.replace(PLAIN, **REASONS, **facts)  # type: ignore[attr-defined]
    gateway.answers(200, WHOLE)
    assert (await gateway.chat({**HELLO, **ask})).status == 200
