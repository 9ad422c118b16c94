"""What a model cannot do is refused by name before anything is sent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.model.errors import CapabilityNotSupported, InvalidRequest
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
