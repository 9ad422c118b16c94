"""The wire of OpenAI's Realtime API, held against event logs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.model.catalog import ModelFacts, Prices
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.http import Credential, HttpResponse
from gateway.model.money import cost_nano_usd
from gateway.model.provider_errors import ProviderError
from gateway.model.realtime import Audio, AudioInput, SessionConfig, Transcription
from gateway.model.secret import Secret
from gateway.providers.contract.realtime import Carried, Opening
from gateway.providers.lookup import provider_named
from tests.providers.realtime_exchange import SAMPLES_100_MS, Session, begin, target_of, wire_of

CREATED = {
    "type": "session.created",
    "event_id": "e",
    "session": {"id": "sess_theirs", "model": "m", "voice": "x", "expires_at": 1, "client_secret": {"value": "ek"}},
}
UPDATED = {"type": "session.updated", "event_id": "e", "session": {"id": "sess_theirs", "model": "m"}}
USAGE = {
    "total_tokens": 330,
    "input_tokens": 250,
    "output_tokens": 80,
    "input_token_details": {
        "text_tokens": 150,
        "audio_tokens": 100,
        "cached_tokens": 128,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 64},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 60},
}


def done(status: str = "completed", **members: Any) -> dict[str, Any]:
    return {"type": "response.done", "event_id": "e", "response": {"id": "r", "status": status, **members}}


def item(item_id: str, role: str, *content: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "status": status, "content": list(content)}


def added(what: dict[str, Any], previous: str | None = None) -> dict[str, Any]:
    return {"type": "conversation.item.added", "event_id": "e", "previous_item_id": previous, "item": what}


def finished(what: dict[str, Any], previous: str | None = None) -> dict[str, Any]:
    return {**added(what, previous), "type": "conversation.item.done"}


def test_where_it_is_reached() -> None:
    request = wire_of("openai").connect(target_of("openai", id="gpt-realtime-2.1"))
    assert (request.method, request.url) == ("GET", "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1")
    signed = provider_named("openai").authorize(request, Credential(api_key=Secret("k")), 0.0)
    assert signed.headers == {"authorization": "Bearer k"}


def test_the_session_goes_by_the_gateway_s_names() -> None:
    session = begin("openai")
    assert session.sent == []
    [created] = session.hears(CREATED)
    assert created["session"] == {"id": "sess_gw", "model": "voice", "voice": "x"}


def test_a_configuration_goes_through_and_is_said_again_to_another_connection() -> None:
    session = begin("openai")
    session.hears(CREATED)
    audio = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}, "output": {"voice": "cedar"}}
    session.says({"type": "session.update", "session": {"type": "realtime", "model": "voice", "audio": audio}})
    session.says({"type": "session.update", "session": {"audio": {"output": {"speed": 1.2}}, "instructions": "Hi"}})
    assert session.sent[0]["session"] == {"type": "realtime", "audio": audio}
    assert session.sent[1]["session"] == {
        "type": "realtime",
        "instructions": "Hi",
        "audio": {"output": {"speed": 1.2}},
    }
    again = begin("openai", carried=session.session.carried())
    merged = {"input": audio["input"], "output": {"voice": "cedar", "speed": 1.2}}
    assert again.sent == [
        {"type": "session.update", "session": {"type": "realtime", "instructions": "Hi", "audio": merged}}
    ]
    assert again.hears(CREATED, UPDATED) == []
    assert [event["type"] for event in again.hears(UPDATED)] == ["session.updated"]


def test_the_model_cannot_be_changed() -> None:
    session = begin("openai")
    with pytest.raises(InvalidRequest) as refused:
        session.says({"type": "session.update", "session": {"model": "other"}})
    assert refused.value.param == "session.model"
    assert session.sent == []


def test_the_model_that_writes_down_goes_by_the_gateway_s_name_too() -> None:
    session = begin("openai")
    written = {"model": "openai/whisper-1", "language": "en"}
    session.says({"type": "session.update", "session": {"audio": {"input": {"transcription": written}}}})
    said = {"model": "whisper-1", "language": "en"}
    assert session.sent[-1]["session"]["audio"]["input"]["transcription"] == said
    opening = SessionConfig(audio=Audio(input=AudioInput(transcription=Transcription(model="openai/whisper-1"))))
    assert wire_of("openai").also_used(opening) == ("whisper-1",)
    begun = wire_of("openai").session(Opening("sess_gw", "voice", opening), target_of("openai")).open()
    assert json.loads(begun.messages[0])["session"]["audio"]["input"] == {"transcription": {"model": "whisper-1"}}
    event = {"type": "conversation.item.input_audio_transcription.completed", "event_id": "e", "item_id": "u"}
    session.hears({**event, "content_index": 0, "transcript": "Hi", "usage": {"type": "duration", "seconds": 1}})
    assert session.steps[-1].used[0].model == "whisper-1"


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"audio": {"input": {"transcription": {"model": "groq/x"}}}}, "session.audio.input.transcription.model"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "session.audio.input.format.rate"),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}}, "session.audio.output.format.rate"),
        ({"audio": {"input": {"transcription": {"language": "en"}}}}, "session.audio.input.transcription.model"),
        ({"reasoning": {"effort": "low"}}, "session.reasoning"),
        ({"tools": [{"type": "reference", "schema_id": "gts.x"}]}, "session.tools[0].type"),
    ],
)
def test_what_cannot_be_honoured_is_refused_and_changes_nothing(members: dict[str, Any], param: str) -> None:
    session = begin("openai")
    with pytest.raises(InvalidRequest) as refused:
        session.says({"type": "session.update", "session": members})
    assert refused.value.param == param
    assert session.session.carried() == Carried()
    assert session.sent == []


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}}, "response.audio.output.format.rate"),
        ({"reasoning": {"effort": "low"}}, "response.reasoning"),
        ({"tools": [{"type": "reference", "schema_id": "gts.x"}]}, "response.tools[0].type"),
    ],
)
def test_the_same_holds_for_one_response(members: dict[str, Any], param: str) -> None:
    session = begin("openai")
    with pytest.raises(CapabilityNotSupported) as refused:
        session.says({"type": "response.create", "response": members})
    assert refused.value.param == param
    assert session.sent == []
    assert session.session.is_quiet


def test_events_of_the_client_go_through_as_they_are() -> None:
    session = begin("openai")
    events: list[dict[str, Any]] = [
        {"type": "input_audio_buffer.append", "audio": SAMPLES_100_MS},
        {"type": "input_audio_buffer.commit", "event_id": "mine"},
        {"type": "input_audio_buffer.clear"},
        {
            "type": "conversation.item.create",
            "previous_item_id": "root",
            "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        },
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 100},
        {"type": "conversation.item.retrieve", "item_id": "i"},
        {"type": "conversation.item.delete", "item_id": "i"},
        {"type": "response.create", "response": {"output_modalities": ["text"], "metadata": {"a": "b"}}},
        {"type": "response.cancel", "response_id": "r"},
    ]
    for event in events:
        session.says(event)
    assert session.sent == events


def test_usage_is_counted_by_class_and_priced_exactly() -> None:
    """150 text tokens of which 64 are cached, 100 of sound of which 64 are cached; 20 of text and 60 of sound said."""
    session = begin("openai")
    session.hears({"type": "response.created", "event_id": "e", "response": {"id": "r"}}, done(usage=USAGE))
    [used] = session.steps[-1].used
    facts = ModelFacts(
        id="m",
        name="M",
        prices=Prices(
            input=4_000_000,
            output=16_000_000,
            cache_read=400_000,
            cache_read_audio=300_000,
            input_audio=32_000_000,
            output_audio=64_000_000,
        ),
    )
    pico = 86 * 4_000_000 + 64 * 400_000 + 36 * 32_000_000 + 64 * 300_000 + 20 * 16_000_000 + 60 * 64_000_000
    assert cost_nano_usd(used.usage, facts) == -(-pico // 1000)
    assert (used.model, session.steps[-1].turn_ended, session.steps[-1].interrupted) == (None, True, False)


@pytest.mark.parametrize(
    ("usage", "tokens", "units"),
    [
        ({"type": "duration", "seconds": 1.25}, 0, {"audio_ms": 1250}),
        (
            {
                "type": "tokens",
                "input_tokens": 30,
                "output_tokens": 4,
                "total_tokens": 34,
                "input_token_details": {"audio_tokens": 26, "text_tokens": 4},
            },
            34,
            {},
        ),
    ],
)
def test_what_writes_down_is_charged_as_its_own_model(usage: Any, tokens: int, units: dict[str, int]) -> None:
    session = begin("openai")
    written = {"model": "gpt-4o-transcribe"}
    session.says({"type": "session.update", "session": {"audio": {"input": {"transcription": written}}}})
    event = {"type": "conversation.item.input_audio_transcription.completed", "event_id": "e", "item_id": "u"}
    session.hears({**event, "content_index": 0, "transcript": "Hi", "usage": usage})
    [used] = session.steps[-1].used
    assert (used.model, used.usage.total_tokens, used.usage.units) == ("gpt-4o-transcribe", tokens, units)
    assert wire_of("openai").also_used(session.session.carried().config) == ("gpt-4o-transcribe",)


def spoken_conversation() -> Session:
    """Somebody asks by voice, is answered by voice, and interrupts; then a function is called."""
    session = begin("openai")
    session.hears(CREATED)
    heard = item("item_u", "user", {"type": "input_audio", "transcript": None})
    said = {"type": "output_audio", "transcript": "One two three four"}
    call = {"id": "item_c", "type": "function_call", "status": "completed", "name": "f", "arguments": "{}"}
    session.hears(
        added(heard),
        finished(heard),
        {"type": "response.created", "event_id": "e", "response": {"id": "r"}},
        added(item("item_a", "assistant", status="in_progress"), "item_u"),
        *(
            {"type": "response.output_audio.delta", "event_id": "e", "item_id": "item_a", "delta": SAMPLES_100_MS}
            for _ in range(10)
        ),
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "event_id": "e",
            "item_id": "item_u",
            "transcript": "Count!",
        },
        finished(item("item_a", "assistant", said, status="incomplete"), "item_u"),
        done("cancelled", status_details={"type": "cancelled", "reason": "turn_detected"}),
        finished({**call, "call_id": "call_1"}, "item_a"),
    )
    assert session.steps[-2].interrupted
    session.says({"type": "conversation.item.truncate", "item_id": "item_a", "content_index": 0, "audio_end_ms": 500})
    return session


def test_a_new_connection_is_told_the_conversation_as_far_as_it_was_heard() -> None:
    carried = spoken_conversation().session.carried()
    again = begin("openai", carried=carried)
    assert [message["type"] for message in again.sent] == ["session.update"] + ["conversation.item.create"] * 3
    items = [message["item"] for message in again.sent[1:]]
    assert [one.get("content") for one in items] == [
        [{"type": "input_text", "text": "Count!"}],
        [{"type": "output_text", "text": "One two t"}],
        None,
    ]
    assert items[2] == {"id": "item_c", "type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
    assert not again.session.is_quiet
    assert again.hears(CREATED, UPDATED, *(e for one in items for e in (added(one), finished(one)))) == []
    assert again.session.is_quiet
    assert again.session.carried().items == carried.items


def test_an_item_that_cannot_be_told_again_is_no_error_of_the_client() -> None:
    again = begin("openai", carried=Carried(items=({"id": "item_1", "type": "message", "role": "user"},)))
    error = {"type": "invalid_request_error", "code": "x", "message": "No.", "event_id": again.sent[1]["event_id"]}
    assert again.hears({"type": "error", "event_id": "e", "error": error}) == []
    assert again.session.is_quiet


def test_what_has_no_transcript_is_said_to_have_been_said() -> None:
    session = begin("openai")
    session.hears(finished(item("item_u", "user", {"type": "input_audio", "transcript": None})))
    [told] = session.session.carried().items
    assert "no transcript" in told["content"][0]["text"]


def test_it_is_not_quiet_while_an_answer_beside_the_conversation_goes_on() -> None:
    """Of which there may be several, and one in the conversation."""
    session = begin("openai")
    session.hears(CREATED)
    for beside in ("none", "none", "auto"):
        session.says({"type": "response.create", "response": {"conversation": beside}})
    for name, conversation_id in (("b1", None), ("r", "conv"), ("b2", None)):
        assert not session.session.is_quiet
        response = {"id": name, "status": "in_progress", "conversation_id": conversation_id}
        session.hears({"type": "response.created", "event_id": "e", "response": response})
    for name, conversation_id in (("b2", None), ("r", "conv"), ("b1", None)):
        assert not session.session.is_quiet
        event = done(usage=USAGE, conversation_id=conversation_id)
        session.hears({**event, "response": {**event["response"], "id": name}})
    assert session.session.is_quiet


def test_when_it_is_quiet() -> None:
    session = begin("openai")
    assert session.session.is_quiet
    session.hears({"type": "input_audio_buffer.speech_started", "event_id": "e", "audio_start_ms": 0, "item_id": "i"})
    assert not session.session.is_quiet
    session.hears({"type": "input_audio_buffer.committed", "event_id": "e", "item_id": "i"})
    assert not session.session.is_quiet
    session.hears({"type": "response.created", "event_id": "e", "response": {"id": "r"}})
    assert not session.session.is_quiet
    session.hears(done())
    assert session.session.is_quiet
    manual = {"input": {"turn_detection": None}}
    session.says({"type": "session.update", "session": {"audio": manual}})
    session.says({"type": "input_audio_buffer.append", "audio": SAMPLES_100_MS})
    assert not session.session.is_quiet
    session.says({"type": "input_audio_buffer.commit"})
    assert session.session.is_quiet


def test_errors_are_told_without_what_is_private() -> None:
    session = begin("openai")
    wrong = {"type": "invalid_request_error", "code": "invalid_value", "message": "Bad voice", "param": "session.x"}
    ours = {"type": "server_error", "code": None, "message": "org-123456789 has no more of it at api.openai.com"}
    [told, failed] = session.hears(
        {"type": "error", "event_id": "e1", "error": {**wrong, "event_id": "mine"}},
        {"type": "error", "event_id": "e2", "error": ours},
    )
    assert (told["error"]["code"], told["error"]["event_id"]) == ("validation_error", "mine")
    assert "Bad voice" in told["error"]["message"]
    assert (failed["error"]["code"], "org-" in str(failed)) == ("provider_error", False)
    [event] = session.hears(done("failed", status_details={"type": "failed", "error": ours}))
    assert "org-" not in str(event)


def test_a_session_that_is_too_old_is_no_error_for_the_client() -> None:
    session = begin("openai")
    error = {"type": "invalid_request_error", "code": "session_expired", "message": "60 minutes"}
    assert session.hears({"type": "error", "event_id": "e", "error": error}) == []
    failure = session.steps[-1].failure
    assert failure is not None
    assert failure.retryable


@pytest.mark.parametrize("kind", ["rate_limits.updated", "mcp_list_tools.completed", "output_audio_buffer.started"])
def test_what_is_no_event_of_a_session_is_not_passed_on(kind: str) -> None:
    assert begin("openai").hears({"type": kind, "event_id": "e"}) == []


@pytest.mark.parametrize("message", ["[]", "nonsense", '{"type": "response.done"}', b"\xff"])
def test_nonsense_is_an_error_of_the_provider(message: str | bytes) -> None:
    session = begin("openai").session
    with pytest.raises(ProviderError):
        session.receive(message)


def test_what_a_refused_handshake_and_a_close_mean() -> None:
    wire, target = wire_of("openai"), target_of("openai")
    body = b'{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}'
    assert wire.fail(HttpResponse(401, {}, body), target).code == "provider_error"
    closed = wire.closed(1001, "org-secret", target)
    assert (closed.code, closed.retryable, "org-secret" in closed.message) == ("provider_error", True, False)
