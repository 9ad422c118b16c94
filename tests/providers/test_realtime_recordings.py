"""Recorded sessions: what the provider sent is read, and what the gateway would send is what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from tests.providers import replay
from tests.providers.realtime_exchange import begin
from tests.providers.recorded import Recorded, ids, recorded
from tests.unit.facts.sockets import check

FOUND = recorded(
    lambda row: (
        row["api"] == "realtime" and row["file"].startswith(("openai/", "gemini/")) and "websocket" in row["features"]
    )
)
if not FOUND:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)
EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def frames(one: Recorded) -> list[tuple[str, dict[str, Any]]]:
    log = one.load()["response"]["frames"]
    return [(frame["dir"], _object(frame["data"])) for frame in log if frame["dir"] in ("sent", "received")]


def _object(data: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(data) if isinstance(data, str) else data
    return read


OPENAI = [one for one in FOUND if one.provider == "openai"]
GEMINI = [one for one in FOUND if one.provider == "gemini"]


@pytest.mark.parametrize("one", OPENAI, ids=ids(OPENAI))
def test_openai_s_sessions_go_through(one: Recorded) -> None:
    session = begin("openai")
    tokens = 0
    for direction, frame in frames(one):
        if direction == "sent":
            session.says(frame)
            assert session.sent[-1] == frame
        else:
            session.hears(frame)
            tokens += (frame.get("response") or {}).get("usage", {}).get("total_tokens", 0) if _is_done(frame) else 0
    received = [frame["type"] for direction, frame in frames(one) if direction == "received"]
    assert session.names == [kind for kind in received if kind != "rate_limits.updated"]
    for event in session.events:
        check({**event, "request_id": "req_1"})  # which the gateway adds to the first
    assert tokens == sum(used.usage.total_tokens for step in session.steps for used in step.used) > 0
    assert session.session.is_quiet
    kinds = [item["type"] for item in session.session.carried().items]
    assert kinds[0] == "message"
    assert kinds[-3:] == ["function_call", "function_call_output", "message"]


def _is_done(frame: dict[str, Any]) -> bool:
    return bool(frame["type"] == "response.done")


@pytest.mark.parametrize("one", GEMINI, ids=ids(GEMINI))
def test_gemini_s_sessions_become_openai_s_events(one: Recorded) -> None:
    """Read by OpenAI's own types."""
    session = begin("google")
    tokens = 0
    for direction, frame in frames(one):
        if direction == "sent":
            _say(session, frame)
            continue
        figures = frame.get("usageMetadata") or {}
        tokens += figures.get("totalTokenCount", 0) + figures.get("thoughtsTokenCount", 0)
        session.hears(frame)
    for event in session.events:
        EVENT.validate_python(event)
        check({**event, "request_id": "req_1"})  # which the gateway adds to the first
    assert tokens == sum(used.usage.total_tokens for step in session.steps for used in step.used) > 0
    assert session.names[-1] == "response.done"
    assert session.session.carried().items[-1]["role"] == "assistant"
    assert len(session.session.carried().items[-1]["content"][0]["text"]) > 10


def _say(session: Any, frame: dict[str, Any]) -> None:
    """The same by OpenAI's events: what goes out is what was sent."""
    if setup := frame.get("setup"):
        tools = [
            {"type": "function", "name": one["name"], "description": one["description"]}
            for tool in setup.get("tools", ())
            for one in tool["functionDeclarations"]
        ]
        instructions = (setup.get("systemInstruction") or {"parts": [{"text": ""}]})["parts"][0]["text"]
        session.says({"type": "session.update", "session": {"instructions": instructions, "tools": tools}})
        return
    if response := frame.get("tool_response"):
        [one] = response["functionResponses"]
        output = {"type": "function_call_output", "call_id": one["id"], "output": one["response"]["output"]}
        session.says({"type": "conversation.item.create", "item": output})
        assert session.sent[-1]["toolResponse"] == response
        return
    content = frame["client_content"]
    for turn in content["turns"]:
        role = "assistant" if turn["role"] == "model" else "user"
        kind = "output_text" if role == "assistant" else "input_text"
        parts = [{"type": kind, "text": part["text"]} for part in turn["parts"]]
        item = {"type": "message", "role": role, "content": parts}
        session.says({"type": "conversation.item.create", "item": item})
    if content["turnComplete"]:
        session.says({"type": "response.create"})
