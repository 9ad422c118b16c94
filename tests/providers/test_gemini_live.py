"""The wire of Gemini Live, held against event logs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.http import Credential, HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.model.secret import Secret
from gateway.providers.contract.realtime import Carried, Step
from gateway.providers.lookup import provider_named
from tests.providers.realtime_exchange import SAMPLES_100_MS, Session, begin, target_of, wire_of

APPEND = {"type": "input_audio_buffer.append", "audio": SAMPLES_100_MS}
RESPOND = {"type": "response.create"}
READY: dict[str, Any] = {"setupComplete": {}}
FUNCTION = {"type": "function", "name": "get_weather", "description": "Look up", "parameters": {"type": "object"}}


def sound(text: str | None = None, data: str = SAMPLES_100_MS) -> dict[str, Any]:
    parts = [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}]
    said = {"outputTranscription": {"text": text}} if text else {}
    return {"serverContent": {"modelTurn": {"parts": parts}, **said}}


def complete(**usage: Any) -> dict[str, Any]:
    return {"serverContent": {"turnComplete": True}, **({"usageMetadata": usage} if usage else {})}


def heard(text: str) -> dict[str, Any]:
    return {"serverContent": {"inputTranscription": {"text": text}}}


def configure(**session: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def text_item(text: str, role: str = "user") -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    return {"type": "conversation.item.create", "item": item}


def talking(**audio_input: Any) -> Session:
    """Set up, with transcripts, and some sound heard."""
    session = begin("google")
    session.says(configure(audio={"input": {"transcription": {}, **audio_input}}))
    session.says(APPEND)
    session.hears(READY)
    return session


def test_where_it_is_reached() -> None:
    request = wire_of("google").connect(target_of("google"))
    service = "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    assert request.url == f"wss://generativelanguage.googleapis.com/ws/{service}"
    signed = provider_named("google").authorize(request, Credential(api_key=Secret("k")), 0.0)
    assert signed.headers == {"x-goog-api-key": "k"}


def test_a_session_is_there_before_its_provider_knows_of_it() -> None:
    session = begin("google")
    assert (session.names, session.sent) == (["session.created"], [])
    created = session.events[0]["session"]
    assert created["id"] == "sess_gw"
    assert (created["instructions"], created["tools"], created["tool_choice"]) == ("", [], "auto")
    assert created["max_output_tokens"] == "inf"


def test_the_configuration_goes_out_with_the_first_word_and_nothing_before_it_is_confirmed() -> None:
    session = begin("google")
    vad = {"type": "server_vad", "prefix_padding_ms": 20, "silence_duration_ms": 100, "interrupt_response": False}
    session.says(
        configure(
            model="voice",
            instructions="Be brief",
            max_output_tokens=500,
            tools=[FUNCTION],
            audio={
                "input": {"turn_detection": vad, "transcription": {"language": "de-DE"}},
                "output": {"voice": "Kore"},
            },
        )
    )
    assert session.sent == []
    assert session.events[-1]["session"]["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "Kore",
    }
    session.says(APPEND)
    assert session.sent == [
        {
            "setup": {
                "model": "models/m",
                "generationConfig": {
                    "responseModalities": ["AUDIO"],
                    "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
                    "maxOutputTokens": 500,
                },
                "sessionResumption": {},
                "realtimeInputConfig": {
                    "automaticActivityDetection": {"prefixPaddingMs": 20, "silenceDurationMs": 100},
                    "activityHandling": "NO_INTERRUPTION",
                },
                "systemInstruction": {"parts": [{"text": "Be brief"}]},
                "tools": [
                    {
                        "functionDeclarations": [
                            {
                                "name": "get_weather",
                                "description": "Look up",
                                "parametersJsonSchema": {"type": "object"},
                            }
                        ]
                    }
                ],
                "inputAudioTranscription": {"languageCodes": ["de-DE"]},
                "outputAudioTranscription": {},
                "contextWindowCompression": {"slidingWindow": {}},
            }
        }
    ]
    session.says(APPEND)
    assert len(session.sent) == 1
    session.hears(READY)
    frame = {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=24000", "data": SAMPLES_100_MS}}}
    assert session.sent[1:] == [frame, frame]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"output_modalities": ["text"]}, "output_modalities"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"truncation": {"type": "retention_ratio"}}, "truncation"),
        ({"include": ["item.input_audio_transcription.logprobs"]}, "include"),
        ({"reasoning": {"effort": "xhigh"}}, "reasoning.effort"),
        ({"tools": [{"type": "reference", "schema_id": "gts.x"}]}, "tools[0].type"),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "audio.input.format.type"),
        ({"audio": {"input": {"noise_reduction": {"type": "near_field"}}}}, "audio.input.noise_reduction"),
        ({"audio": {"input": {"transcription": {"model": "w"}}}}, "audio.input.transcription.model"),
        ({"audio": {"input": {"transcription": {"prompt": "w"}}}}, "audio.input.transcription.prompt"),
        ({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}, "audio.input.turn_detection.type"),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.5}}}},
            "audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}},
            "audio.input.turn_detection.create_response",
        ),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "audio.output.format"),
        ({"audio": {"output": {"speed": 1.2}}}, "audio.output.speed"),
        ({"model": "another"}, "model"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name_and_changes_nothing(members: dict[str, Any], param: str) -> None:
    session = begin("google")
    with pytest.raises(InvalidRequest) as refused:
        session.says(configure(**members))
    assert refused.value.param == f"session.{param}"
    assert session.session.carried().config == Carried().config


def test_a_spoken_turn_in_openai_s_events() -> None:
    session = talking()
    session.hears(heard("What is"), heard(" the time?"))
    before = len(session.events)
    session.hears(
        {"serverContent": {"modelTurn": {"parts": [{"text": "Thinking", "thought": True}]}}},
        sound("It is"),
        sound(" noon."),
        {"serverContent": {"generationComplete": True}},
        complete(
            promptTokenCount=100,
            responseTokenCount=26,
            totalTokenCount=126,
            thoughtsTokenCount=24,
            promptTokensDetails=[{"modality": "AUDIO", "tokenCount": 60}, {"modality": "TEXT", "tokenCount": 40}],
            responseTokensDetails=[{"modality": "AUDIO", "tokenCount": 26}],
        ),
    )
    assert [event["type"] for event in session.events[2:before]] == [
        "input_audio_buffer.speech_started",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.delta",
    ]
    assert [event["type"] for event in session.events[before:]] == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "conversation.item.input_audio_transcription.completed",
    ]
    response = session.events[-2]["response"]
    assert (response["status"], response["output"][0]["content"]) == (
        "completed",
        [{"type": "output_audio", "transcript": "It is noon."}],
    )
    assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (100, 50)
    assert session.events[-1]["transcript"] == "What is the time?"
    [used] = session.steps[-1].used
    usage = used.usage
    assert (usage.prompt.audio_tokens, usage.completion.audio_tokens) == (60, 26)
    assert (usage.completion.reasoning_tokens, session.steps[-1].turn_ended) == (24, True)
    ids = [event["event_id"] for event in session.events]
    assert len(ids) == len(set(ids))


def test_a_text_is_held_until_an_answer_is_asked_for() -> None:
    session = begin("google")
    session.says(text_item("My name is Ada.", "user"))
    session.says(text_item("Hello Ada.", "assistant"))
    assert session.sent == []
    session.says(RESPOND)
    session.hears(READY)
    assert session.sent[1:] == [
        {
            "clientContent": {
                "turns": [
                    {"role": "user", "parts": [{"text": "My name is Ada."}]},
                    {"role": "model", "parts": [{"text": "Hello Ada."}]},
                ],
                "turnComplete": True,
            }
        }
    ]
    assert not session.session.is_quiet
    names = [event["type"] for event in session.hears(complete())]
    assert names == ["response.created", "response.done"]
    session.says(RESPOND)
    assert session.sent[-1] == {"clientContent": {"turnComplete": True}}


def test_a_text_before_sound_goes_out_before_it() -> None:
    session = begin("google")
    session.says(text_item("Listen:"))
    session.says(APPEND)
    session.hears(READY)
    assert [next(iter(message)) for message in session.sent] == ["setup", "clientContent", "realtimeInput"]
    assert session.sent[1]["clientContent"]["turnComplete"] is False


def test_turns_that_the_client_tells_apart() -> None:
    session = begin("google")
    session.says(configure(audio={"input": {"turn_detection": None}}))
    session.says(APPEND)
    session.says(APPEND)
    session.says({"type": "input_audio_buffer.commit"})
    session.says(RESPOND)
    session.hears(READY, sound("Yes."), complete())
    assert session.sent[0]["setup"]["realtimeInputConfig"] == {"automaticActivityDetection": {"disabled": True}}
    kinds = [next(iter(message["realtimeInput"])) for message in session.sent[1:]]
    assert kinds == ["activityStart", "audio", "audio", "activityEnd"]
    assert session.names[2:5] == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert "input_audio_buffer.speech_started" not in session.names
    with pytest.raises(InvalidRequest):
        session.says({"type": "input_audio_buffer.commit"})


def test_a_function_is_called_and_its_output_goes_back() -> None:
    """As recorded: Gemini sends no end of its turn between the two."""
    session = begin("google")
    session.says(configure(tools=[FUNCTION]))
    session.says(text_item("Weather?"))
    session.says(RESPOND)
    session.hears(READY)
    call = {"name": "get_weather", "args": {"city": "London"}, "id": "fc_1"}
    called = session.hears({"toolCall": {"functionCalls": [call]}})
    assert [event["type"] for event in called] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert (called[4]["call_id"], called[4]["name"], called[4]["arguments"]) == (
        "fc_1",
        "get_weather",
        '{"city":"London"}',
    )
    assert session.steps[-1].turn_ended
    assert not session.session.is_quiet
    output = {"type": "function_call_output", "call_id": "fc_1", "output": "Fog"}
    session.says({"type": "conversation.item.create", "item": output})
    sent = len(session.sent)
    session.says(RESPOND)
    assert len(session.sent) == sent
    response = {"id": "fc_1", "name": "get_weather", "response": {"output": "Fog"}}
    assert session.sent[-1] == {"toolResponse": {"functionResponses": [response]}}
    session.hears(sound("Fog."), complete())
    assert session.names.count("response.done") == 2
    with pytest.raises(InvalidRequest):
        session.says({"type": "conversation.item.create", "item": output})


def test_the_output_of_a_call_that_is_not_wanted_any_more_goes_nowhere() -> None:
    session = begin("google")
    session.says(RESPOND)
    session.hears(READY, {"toolCall": {"functionCalls": [{"name": "f", "id": "fc_1"}]}})
    session.hears({"toolCallCancellation": {"ids": ["fc_1"]}})
    sent = len(session.sent)
    output = {"type": "function_call_output", "call_id": "fc_1", "output": "Late"}
    session.says({"type": "conversation.item.create", "item": output})
    assert len(session.sent) == sent


def test_the_user_interrupts() -> None:
    session = talking()
    session.hears(heard("Count."), *(sound("One two three four" if not n else None) for n in range(10)))
    events = session.hears({"serverContent": {"interrupted": True}})
    assert session.steps[-1].interrupted
    kinds = [event["type"] for event in events]
    assert kinds[:2] == [
        "conversation.item.input_audio_transcription.completed",
        "input_audio_buffer.speech_started",
    ]
    assert events[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert session.hears(sound("late"), complete(promptTokenCount=5, responseTokenCount=7)) == []
    assert session.steps[-1].used[0].usage.total_tokens == 12
    item_id = events[-1]["response"]["output"][0]["id"]
    session.says({"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": 500})
    assert session.events[-1]["type"] == "conversation.item.truncated"
    assert session.session.carried().items[-1]["content"] == [{"type": "output_text", "text": "One two t"}]
    session.hears(heard("Stop."), sound("OK."), complete())
    assert session.events[-1]["transcript"] == "Stop."


def test_an_interruption_of_nothing_is_none() -> None:
    """It was seen right after the end of a turn: https://github.com/googleapis/python-genai/issues/2333"""
    session = talking()
    session.hears(sound("Hi."), complete())
    assert session.hears({"serverContent": {"interrupted": True}}) == []
    assert not session.steps[-1].interrupted
    assert session.hears(sound("And?"))


def test_a_response_is_cancelled() -> None:
    session = begin("google")
    session.says(RESPOND)
    session.hears(READY, sound("One"))
    step = session.says({"type": "response.cancel"})
    assert step.turn_ended
    assert session.events[-1]["response"]["status_details"]["reason"] == "client_cancelled"
    assert not session.session.is_quiet
    assert session.hears(sound("two"), complete()) == []
    assert not session.session.is_quiet
    session.hears({"sessionResumptionUpdate": {"newHandle": "h", "resumable": True}})
    assert session.session.is_quiet
    with pytest.raises(InvalidRequest):
        session.says({"type": "response.cancel"})


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({"type": "conversation.item.delete", "item_id": "i"}, "type"),
        ({"type": "conversation.item.retrieve", "item_id": "i"}, "type"),
        ({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1}, "item_id"),
        ({"type": "input_audio_buffer.clear"}, "type"),
        ({"type": "input_audio_buffer.append", "audio": "%%%"}, "audio"),
        ({"type": "response.create", "response": {"instructions": "x"}}, "response.instructions"),
        ({"type": "response.create", "response": {"conversation": "none"}}, "response.conversation"),
        ({**text_item("x"), "previous_item_id": "root"}, "previous_item_id"),
        (text_item("x", "system"), "item.role"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]},
            },
            "item.content[0].type",
        ),
    ],
)
def test_what_gemini_has_no_word_for_is_refused(event: dict[str, Any], param: str) -> None:
    session = talking()
    carried, sent = session.session.carried(), len(session.sent)
    with pytest.raises(InvalidRequest) as refused:
        session.says(event)
    assert refused.value.param == param
    assert (session.session.carried(), len(session.sent)) == (carried, sent)


def test_a_response_may_repeat_what_the_session_has() -> None:
    session = begin("google")
    options = {"output_modalities": ["audio"], "conversation": "auto", "metadata": {"a": "b"}}
    session.says({"type": "response.create", "response": options})
    session.hears(READY, sound("Hi."), complete())
    assert session.events[-1]["response"]["metadata"] == {"a": "b"}
    with pytest.raises(CapabilityNotSupported):
        session.says({"type": "response.create", "response": {"output_modalities": ["text"]}})


def test_a_changed_configuration_takes_another_connection() -> None:
    session = talking()
    assert not session.says(configure(audio={"input": {"transcription": {}}})).reconnect
    assert session.says(configure(instructions="Be loud")).reconnect
    again = begin("google", carried=session.session.carried())
    assert again.sent[0]["setup"]["systemInstruction"] == {"parts": [{"text": "Be loud"}]}


def test_gemini_remembers_the_session_by_its_handle() -> None:
    session = talking()
    session.hears(heard("I am Ada."), sound("Hello Ada."), complete())
    session.hears({"sessionResumptionUpdate": {"newHandle": "h1", "resumable": True}})
    session.hears({"sessionResumptionUpdate": {"resumable": False}})
    assert not session.session.is_quiet
    session.hears({"sessionResumptionUpdate": {"newHandle": "h2", "resumable": True}})
    assert session.session.is_quiet
    carried = session.session.carried()
    assert carried.handle == "h2"
    again = begin("google", carried=carried)
    assert again.sent == [{"setup": {**session.sent[0]["setup"], "sessionResumption": {"handle": "h2"}}}]
    assert again.events == []
    again.says(APPEND)
    again.hears(READY)
    assert list(again.sent[1]) == ["realtimeInput"]
    known = {event["event_id"] for event in session.events}
    assert not known & {event["event_id"] for event in again.hears(sound("Yes."), complete())}
    without = begin("google", carried=carried.without_handle())
    without.hears(READY)
    assert without.sent[1] == {
        "clientContent": {
            "turns": [
                {"role": "user", "parts": [{"text": "I am Ada."}]},
                {"role": "model", "parts": [{"text": "Hello Ada."}]},
            ],
            "turnComplete": False,
        }
    }


@pytest.mark.parametrize(("said", "seconds"), [("10s", 10.0), ("9.5s", 9.5), ("", 0.0), ("soon", 0.0)])
def test_gemini_says_that_it_will_go_away(said: str, seconds: float) -> None:
    session = begin("google")
    session.hears({"goAway": {"timeLeft": said}})
    assert session.steps[-1].go_away_s == seconds


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("NEED_MORE_INPUT", "completed"),
        ("MALFORMED_FUNCTION_CALL", "failed"),
        ("RESPONSE_REJECTED", "incomplete"),
        ("PROHIBITED_INPUT_CONTENT", "incomplete"),
    ],
)
def test_why_a_turn_is_over(reason: str, status: str) -> None:
    session = talking()
    session.hears(sound("Hm"), {"serverContent": {"turnComplete": True, "turnCompleteReason": reason}})
    assert session.events[-1]["response"]["status"] == status


def test_a_model_of_text_answers_in_text() -> None:
    session = begin("google", target=target_of("google", output=("text",)))
    session.says(configure(output_modalities=["text"]))
    session.says(RESPOND)
    session.hears(READY, {"serverContent": {"modelTurn": {"parts": [{"text": "Hi"}, {"text": " you"}]}}}, complete())
    assert session.sent[0]["setup"]["generationConfig"] == {"responseModalities": ["TEXT"]}
    assert "outputAudioTranscription" not in session.sent[0]["setup"]
    assert session.events[-1]["response"]["output"][0]["content"] == [{"type": "output_text", "text": "Hi you"}]


@pytest.mark.parametrize("message", ["[]", "nonsense", '{"serverContent": 1}', b"\xff"])
def test_nonsense_is_an_error_of_the_provider(message: str | bytes) -> None:
    with pytest.raises(ProviderError):
        begin("google").session.receive(message)


def test_what_is_not_known_is_passed_over() -> None:
    message = json.dumps({"voiceActivity": {"x": 1}, "serverContent": {"waitingForInput": True}})
    assert begin("google").session.receive(message.encode()) == Step()


def test_what_a_refused_handshake_and_a_close_mean() -> None:
    wire, target = wire_of("google"), target_of("google")
    assert wire.fail(HttpResponse(429, {}), target).code == "rate_limited"
    wrong = wire.closed(1007, "Request contains an invalid argument. projects/secret", target)
    assert (wrong.code, "invalid argument" in wrong.message, "secret" in wrong.message) == (
        "validation_error",
        True,
        False,
    )
    gone = wire.closed(1011, "quota of projects/secret", target)
    assert (gone.code, gone.retryable, "secret" in gone.message) == ("provider_error", True, False)
