"""Functions in a Live session: Gemini answers their outputs by itself, OpenAI's clients ask for the answer."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.errors import InvalidRequest
from tests.providers.realtime_exchange import SAMPLES_100_MS, Session, begin

RESPOND = {"type": "response.create", "event_id": "asks"}
FUNCTION = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}


def text_item(text: str) -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return {"type": "conversation.item.create", "item": item}


def output(call_id: str) -> dict[str, Any]:
    item = {"type": "function_call_output", "call_id": call_id, "output": "Fog"}
    return {"type": "conversation.item.create", "item": item}


def spoken(text: str) -> dict[str, Any]:
    parts = [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": SAMPLES_100_MS}}]
    return {"serverContent": {"modelTurn": {"parts": parts}, "outputTranscription": {"text": text}}}


COMPLETE: dict[str, Any] = {"serverContent": {"turnComplete": True}}


def called(*call_ids: str) -> Session:
    session = begin("google")
    session.says({"type": "session.update", "session": {"type": "realtime", "tools": [FUNCTION]}})
    session.says(text_item("Weather?"))
    session.says(RESPOND)
    calls = [{"name": "get_weather", "args": {}, "id": call_id} for call_id in call_ids]
    session.hears({"setupComplete": {}}, {"toolCall": {"functionCalls": calls}})
    return session


def kinds(session: Session) -> list[str]:
    return [next(iter(message)) for message in session.sent]


def test_the_answer_may_have_begun_before_it_is_asked_for() -> None:
    session = called("fc_1")
    session.says(output("fc_1"))
    session.hears(spoken("Fog."))
    session.says(RESPOND)
    assert kinds(session)[-1] == "toolResponse"
    session.hears(COMPLETE)
    assert session.names.count("response.done") == 2


def test_the_answer_may_be_over_before_it_is_asked_for() -> None:
    """It is the one that was asked for, not another."""
    session = called("fc_1")
    session.says(output("fc_1"))
    session.hears(spoken("Fog."), COMPLETE)
    session.says(RESPOND)
    assert kinds(session)[-1] == "toolResponse"
    assert session.names.count("response.done") == 2


def test_what_is_asked_for_next_is_another_answer() -> None:
    session = called("fc_1")
    session.says(output("fc_1"))
    session.hears(spoken("Fog."))
    session.says(RESPOND)
    with pytest.raises(InvalidRequest):
        session.says(RESPOND)
    session.hears(COMPLETE)
    session.says(RESPOND)
    assert kinds(session)[-1] == "clientContent"


def test_who_never_asks_for_the_answer_is_heard_afterwards() -> None:
    session = called("fc_1")
    session.says(output("fc_1"))
    session.hears(spoken("Fog."), COMPLETE)
    session.says(text_item("And tomorrow?"))
    session.says(RESPOND)
    assert session.sent[-1]["clientContent"]["turnComplete"] is True


def test_an_answer_asked_for_after_each_output_waits_for_the_last() -> None:
    """So do clients that answer each call as it comes: Gemini goes on once it has all outputs."""
    session = called("fc_1", "fc_2")
    session.says(output("fc_1"))
    session.says(RESPOND)
    assert kinds(session)[-1] == "toolResponse"
    session.says(output("fc_2"))
    session.says(RESPOND)
    assert kinds(session)[-2:] == ["toolResponse", "toolResponse"]
    session.hears(spoken("Fog."), COMPLETE)
    assert session.names.count("response.done") == 2


def test_an_answer_without_any_output_is_not_to_be_had() -> None:
    session = called("fc_1")
    with pytest.raises(InvalidRequest, match="outputs of its calls"):
        session.says(RESPOND)
