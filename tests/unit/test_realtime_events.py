"""What a client of a realtime session may say, and what the gateway itself says in one."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from openai.types.realtime import (
    ConversationItemCreateEvent,
    RealtimeClientEvent,
    RealtimeErrorEvent,
    RealtimeServerEvent,
    RealtimeSessionCreateRequest,
)
from openai.types.realtime.realtime_response_usage import RealtimeResponseUsage

from gateway.model.errors import BudgetExceeded, GatewayError, InvalidRequest
from gateway.model.realtime import (
    MAX_MESSAGE_BYTES,
    REFUSED_EVENTS,
    REFUSED_MEMBERS,
    Audio,
    ClientEvent,
    CloseSession,
    CreateResponse,
    Pcm,
    SessionConfig,
    SessionUpdate,
    updated,
)
from gateway.model.realtime_events import SERVER_EVENTS, error_event, summary_event
from gateway.model.usage import CompletionTokensDetails, PromptTokensDetails, TokenUsage
from gateway.pipeline.realtime_read import client_event_id, read_event


def read(event: Any) -> Any:
    return read_event(json.dumps(event).encode())


def kinds(union: Any) -> set[str]:
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0] for member in members}


def test_every_client_event_of_the_sdk_is_taken_or_refused_by_name() -> None:
    taken = {event.__struct_config__.tag for event in get_args(ClientEvent)}
    assert kinds(RealtimeClientEvent) == (taken - {"session.close"}) | (
        set(REFUSED_EVENTS) - {"transcription_session.update"}
    )


def test_every_server_event_that_is_passed_on_is_one_of_the_sdk() -> None:
    assert kinds(RealtimeServerEvent) >= SERVER_EVENTS
    of_others = ("mcp", "response.mcp", "output_audio_buffer", "rate_limits", "conversation.created")
    left = {kind for kind in kinds(RealtimeServerEvent) - SERVER_EVENTS if not kind.startswith(of_others)}
    assert left == {"input_audio_buffer.dtmf_event_received", "conversation.item.created"}


def test_every_member_of_a_session_is_taken_or_refused_by_name() -> None:
    theirs = set(RealtimeSessionCreateRequest.model_fields)
    assert theirs == set(SessionConfig.__struct_fields__) | (theirs & set(REFUSED_MEMBERS))


@pytest.mark.parametrize("name", ["prompt", "tracing"])
def test_what_is_switched_off_anyway_may_be_switched_off(name: str) -> None:
    """As OpenAI's agents do with traces; the null itself is not what is wrong beside another mistake."""
    off = read({"type": "session.update", "session": {"type": "realtime", name: None}})
    assert isinstance(off, SessionUpdate) and getattr(off.session, name) is None
    assert isinstance(read({"type": "response.create", "response": {"prompt": None}}), CreateResponse)
    with pytest.raises(InvalidRequest) as refused:
        read({"type": "session.update", "session": {name: None, "instructions": 5}})
    assert refused.value.param == "session.instructions"
    with pytest.raises(InvalidRequest) as refused:
        read({"type": "session.update", "session": {name: "auto"}})
    assert (refused.value.code, refused.value.param) == ("capability_not_supported", f"session.{name}")


def test_the_gateway_s_own_event() -> None:
    assert read({"type": "session.close", "event_id": "e"}) == CloseSession(event_id="e")


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "nonsense"}, "validation_error", "type"),
        ({"no": "type"}, "validation_error", "type"),
        ([], "validation_error", None),
        ({"type": "output_audio_buffer.clear"}, "capability_not_supported", "type"),
        ({"type": "transcription_session.update", "session": {}}, "capability_not_supported", "type"),
        ({"type": "session.update"}, "validation_error", "session"),
        ({"type": "session.update", "session": {"tracing": "auto"}}, "capability_not_supported", "session.tracing"),
        ({"type": "session.update", "session": {"voice": "x"}}, "capability_not_supported", "session.voice"),
        ({"type": "session.update", "session": {"what": 1}}, "validation_error", "session.what"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "capability_not_supported", "session.type"),
        (
            {"type": "session.update", "session": {"output_modalities": ["text", "audio"]}},
            "validation_error",
            "session.output_modalities",
        ),
        (
            {"type": "session.update", "session": {"tools": [{"type": "mcp", "server_label": "x"}]}},
            "capability_not_supported",
            "session.tools[0].type",
        ),
        ({"type": "response.create", "response": {"prompt": {}}}, "capability_not_supported", "response.prompt"),
        ({"type": "input_audio_buffer.append", "audio": 1}, "validation_error", "audio"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "x"}]},
            },
            "capability_not_supported",
            "item.content[0].type",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
            "validation_error",
            "audio_end_ms",
        ),
    ],
)
def test_a_wrong_event_is_refused_by_name(event: Any, code: str, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(event)
    assert (refused.value.code, refused.value.param) == (code, param)


@pytest.mark.parametrize("message", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_event(message)
    assert client_event_id(message) is None


def test_a_message_has_a_largest_size() -> None:
    frame = {"type": "input_audio_buffer.append", "audio": ""}
    room = MAX_MESSAGE_BYTES - len(json.dumps(frame))
    assert read({**frame, "audio": "A" * room}).audio == "A" * room
    with pytest.raises(GatewayError) as refused:
        read({**frame, "audio": "A" * (room + 1)})
    assert refused.value.code == "payload_too_large"


@pytest.mark.parametrize(
    ("event", "event_id"), [({"event_id": "mine"}, "mine"), ({"event_id": 1}, None), ({"event_id": "x" * 513}, None)]
)
def test_an_error_names_the_event_it_answers(event: Any, event_id: str | None) -> None:
    message = json.dumps(event).encode()
    assert client_event_id(message) == event_id
    refused = BudgetExceeded("tenant", "day", "*", limit=5, remaining=0, needed=1, resets_at_s=0)
    told = RealtimeErrorEvent.model_validate(error_event(refused, "event_1", cause=event_id))
    assert (told.error.code, told.error.event_id, told.error.type) == (
        "budget_exceeded",
        event_id,
        "insufficient_quota",
    )


def test_an_update_leaves_what_it_does_not_name() -> None:
    def config(**members: Any) -> SessionConfig:
        event: SessionUpdate = read({"type": "session.update", "session": members})
        return event.session

    first = config(
        instructions="A",
        audio={"input": {"turn_detection": {"type": "semantic_vad"}, "transcription": {"model": "w"}}},
    )
    second = config(audio={"input": {"turn_detection": None}, "output": {"format": {"type": "audio/pcm"}}})
    merged = updated(first, second)
    assert merged.instructions == "A"
    assert isinstance(merged.audio, Audio)
    assert msgspec.to_builtins(merged.audio.input) == {
        "turn_detection": None,
        "transcription": {"model": "w"},
    }
    assert updated(SessionConfig(), first) == first
    assert updated(first, SessionConfig()) == first
    assert merged.audio.output.format == Pcm(rate=24_000)  # type: ignore[union-attr]


def test_the_summary_counts_by_class() -> None:
    usage = TokenUsage(
        prompt_tokens=100,
        completion_tokens=50,
        prompt=PromptTokensDetails(audio_tokens=60, cached_tokens=20, cached_audio_tokens=5),
        completion=CompletionTokensDetails(audio_tokens=40, reasoning_tokens=3),
    )
    event = summary_event("event_1", "req_1", usage, seconds=61, cost_nano_usd=1_500)
    counted = event["usage"]
    assert (event["type"], event["request_id"], counted["seconds"]) == ("gateway.session.summary", "req_1", 61)
    assert counted["cost_estimate"] == 0.0000015
    read_back = RealtimeResponseUsage.model_validate(counted)
    assert read_back.input_token_details is not None
    assert (read_back.input_token_details.text_tokens, read_back.input_token_details.audio_tokens) == (40, 60)
    cached = read_back.input_token_details.cached_tokens_details
    assert cached is not None
    assert (cached.text_tokens, cached.audio_tokens) == (15, 5)
    assert summary_event("e", "r", usage, seconds=0, cost_nano_usd=None)["usage"]["cost_estimate"] is None


def test_what_the_sdk_writes_for_an_item_is_taken() -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    event = ConversationItemCreateEvent.model_validate({"type": "conversation.item.create", "item": item})
    assert read(event.to_dict()).item.content[0].text == "Hi"
