"""How each speaker is asked, what its answer means whole and cut anywhere, and what its refusals mean.

Sources: the wires'. What providers really sent is in `test_speech_recordings.py`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.catalog import ModelFacts
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import Credential, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRejected
from gateway.model.secret import Secret
from gateway.model.speech import OwnVoice, SpeechCall, SpeechChunk
from gateway.model.usage import CompletionTokensDetails, TokenUsage
from gateway.model.wav import wav_header
from gateway.providers.contract import SpeechWire, Target
from gateway.providers.lookup import provider_named

TOKENS = ("speech", "streaming")


def setting(provider: str, **facts: Any) -> tuple[SpeechWire, Target]:
    known = provider_named(provider)
    api, wire = next(iter(known.speech.items()))
    model = ModelFacts(**{"id": "m", "name": "", "api": api, "source": "x", "capabilities": ("speech",), **facts})
    assert known.base_url is not None
    return wire, Target(provider, model, known.base_url)


def call(**members: Any) -> SpeechCall:
    return SpeechCall(**{"model": "m", "input": "Hello", "voice": "v", "response_format": "mp3", **members})


SAID: list[tuple[str, dict[str, Any], dict[str, Any], str, dict[str, Any]]] = [
    (
        "openai",
        {},
        {},
        "https://api.openai.com/v1/audio/speech",
        {"model": "m", "input": "Hello", "voice": "v", "response_format": "mp3"},
    ),
    (
        "openai",
        {"capabilities": TOKENS},
        {"speed": 1.5, "instructions": "Whisper.", "voice": OwnVoice(id="voice_1"), "response_format": "flac"},
        "https://api.openai.com/v1/audio/speech",
        {"model": "m", "input": "Hello", "voice": {"id": "voice_1"}, "response_format": "flac"}
        | {"speed": 1.5, "instructions": "Whisper.", "stream_format": "sse"},
    ),
    ("deepgram", {}, {}, "https://api.deepgram.com/v1/speak?model=m-v&encoding=mp3", {"text": "Hello"}),
    (
        "deepgram",
        {},
        {"speed": 1.2, "response_format": "wav", "provider_options": {"deepgram": {"mip_opt_out": True}}},
        "https://api.deepgram.com/v1/speak?model=m-v&encoding=linear16&container=wav&sample_rate=24000&speed=1.2"
        "&mip_opt_out=true",
        {"text": "Hello"},
    ),
    (
        "elevenlabs",
        {},
        {"voice": "a/b"},
        "https://api.elevenlabs.io/v1/text-to-speech/a%2Fb/stream?output_format=mp3_44100_128",
        {"text": "Hello", "model_id": "m"},
    ),
    (
        "elevenlabs",
        {},
        {
            "speed": 0.9,
            "response_format": "pcm",
            "provider_options": {"elevenlabs": {"voice_settings": {"stability": 0.4}}},
        },
        "https://api.elevenlabs.io/v1/text-to-speech/v/stream?output_format=pcm_24000",
        {"text": "Hello", "model_id": "m", "voice_settings": {"speed": 0.9, "stability": 0.4}},
    ),
    (
        "google",
        {"max_output_tokens": 300},
        {"response_format": "wav", "instructions": "Say cheerfully"},
        "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse",
        {
            "contents": [{"role": "user", "parts": [{"text": "Say cheerfully: Hello"}]}],
            "generationConfig": {
                "responseModalities": ["AUDIO"],
                "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "v"}}},
                "maxOutputTokens": 300,
            },
        },
    ),
]


@pytest.mark.parametrize(("provider", "facts", "members", "url", "body"), SAID)
def test_what_is_asked(
    provider: str, facts: dict[str, Any], members: dict[str, Any], url: str, body: dict[str, Any]
) -> None:
    wire, target = setting(provider, **facts)
    request = wire.render(call(**members), target)
    assert (request.method, request.url, msgspec.json.decode(request.body)) == ("POST", url, body)


@pytest.mark.parametrize(
    ("provider", "option"),
    [
        ("openai", "input"),
        ("openai", "stream_format"),
        ("deepgram", "callback"),
        ("elevenlabs", "model_id"),
        ("google", "contents"),
    ],
)
def test_options_that_would_lead_around_the_gateway_are_refused(provider: str, option: str) -> None:
    wire, target = setting(provider)
    with pytest.raises(CapabilityNotSupported) as refused:
        wire.render(call(response_format="wav", provider_options={provider: {option: "x"}}), target)
    assert refused.value.param == f"provider_options.{provider}.{option}"


def test_vertex_is_asked_at_the_project_s_own_address() -> None:
    wire, target = setting("vertex")
    target = replace(target, settings={"project": "p", "location": "europe-west4"})
    request = wire.render(call(response_format="wav"), target)
    host = "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p/locations/europe-west4/publishers/google"
    assert request.url == f"{host}/models/m:streamGenerateContent?alt=sse"
    assert wire.parser(call(response_format="wav"), "text/event-stream", target) is not None


@pytest.mark.parametrize(("provider", "kind"), [("google", "mp3"), ("elevenlabs", "flac"), ("elevenlabs", "aac")])
def test_a_format_that_nobody_has_is_refused_by_name(provider: str, kind: str) -> None:
    wire, target = setting(provider)
    with pytest.raises(CapabilityNotSupported) as refused:
        wire.render(call(response_format=kind), target)
    assert refused.value.param == "response_format"


@pytest.mark.parametrize(
    ("provider", "header", "value"),
    [
        ("openai", "authorization", "Bearer k"),
        ("deepgram", "authorization", "Token k"),
        ("elevenlabs", "xi-api-key", "k"),
        ("google", "x-goog-api-key", "k"),
    ],
)
def test_the_key_is_where_the_provider_looks_for_it(provider: str, header: str, value: str) -> None:
    wire, target = setting(provider)
    request = wire.render(call(response_format="wav"), target)
    authorize = provider_named(provider).authorize
    assert authorize(request, Credential(Secret("k")), 0.0).headers[header] == value
    assert header not in authorize(request, Credential(Secret("")), 0.0).headers


def heard(provider: str, data: bytes, content_type: str, kind: str = "mp3") -> list[SpeechChunk]:
    """In one piece and byte by byte, which is the same."""
    wire, target = setting(provider)
    found: list[tuple[bytes, list[TokenUsage | None]]] = []
    for size in (len(data) or 1, 1):
        parser = wire.parser(call(response_format=kind), content_type, target)
        chunks = [chunk for at in range(0, len(data), size) for chunk in parser.feed(data[at : at + size])]
        chunks += parser.close()
        found.append((b"".join(chunk.audio for chunk in chunks), [chunk.usage for chunk in chunks if chunk.usage]))
    assert found[0] == found[1]
    return [SpeechChunk(found[0][0]), *(SpeechChunk(usage=usage) for usage in found[0][1])]


def events(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def spoken(samples: bytes, **members: Any) -> dict[str, Any]:
    part = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=16000", "data": b64encode(samples).decode()}}
    return {"candidates": [{"content": {"parts": [part]}, "index": 0}], **members}


@pytest.mark.parametrize("provider", ["openai", "deepgram", "elevenlabs"])
def test_bytes_are_the_recording(provider: str) -> None:
    assert heard(provider, b"ID3 sound", "audio/mpeg") == [SpeechChunk(b"ID3 sound")]


def test_openais_events_end_with_what_it_took() -> None:
    delta = {"type": "speech.audio.delta", "audio": b64encode(b"abc").decode()}
    done = {"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12}}
    usage = TokenUsage(prompt_tokens=3, completion_tokens=9, completion=CompletionTokensDetails(audio_tokens=9))
    data = events(delta, delta, done) + b"data: [DONE]\n\n"
    assert heard("openai", data, "text/event-stream") == [SpeechChunk(b"abcabc"), SpeechChunk(usage=usage)]


def test_geminis_samples_get_a_header_with_their_own_rate() -> None:
    figures = {"promptTokenCount": 2, "candidatesTokenCount": 5, "totalTokenCount": 7}
    end = {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": figures}
    data = events(spoken(b"\1\2"), spoken(b"\3\4"), end)
    audio, usage = heard("google", data, "text/event-stream", "wav")
    assert audio.audio == wav_header(16_000) + b"\1\2\3\4"
    assert usage.usage is not None
    assert (usage.usage.prompt_tokens, usage.usage.completion_tokens) == (2, 5)
    assert heard("google", data, "text/event-stream", "pcm")[0].audio == b"\1\2\3\4"


STOP = {"candidates": [{"finishReason": "STOP", "index": 0}]}


@pytest.mark.parametrize(
    ("provider", "data", "content_type", "kind", "code"),
    [
        ("openai", b"", "audio/mpeg", ProviderError, None),
        ("openai", b"<html>", "text/html", ProviderError, None),
        ("deepgram", b"{}", "application/json", ProviderError, None),
        ("elevenlabs", b"", "audio/mpeg", ProviderError, None),
        ("openai", events({"type": "speech.audio.done"}), "text/event-stream", ProviderError, None),
        ("openai", events({"type": "speech.audio.delta", "audio": "YQ=="}), "text/event-stream", ProviderError, None),
        ("openai", events({"type": "speech.audio.delta", "audio": "?"}), "text/event-stream", ProviderError, None),
        ("openai", b"data: {\n\n", "text/event-stream", ProviderError, None),
        (
            "openai",
            events({"error": {"message": "no", "code": "server_error"}}),
            "text/event-stream",
            ProviderError,
            "server_error",
        ),
        ("google", events(STOP), "text/event-stream", ProviderError, None),
        ("google", events(spoken(b"\1\2")), "text/event-stream", ProviderError, None),
        ("google", events({"candidates": [{"finishReason": "OTHER"}]}), "text/event-stream", ProviderRejected, "OTHER"),
        (
            "google",
            events({"candidates": [{"finishReason": "MAX_TOKENS"}]}),
            "text/event-stream",
            ProviderError,
            "MAX_TOKENS",
        ),
        (
            "google",
            events({"promptFeedback": {"blockReason": "SAFETY"}}),
            "text/event-stream",
            ProviderRejected,
            "SAFETY",
        ),
        (
            "google",
            events({"error": {"code": 500, "status": "INTERNAL"}}),
            "text/event-stream",
            ProviderError,
            "INTERNAL",
        ),
        ("google", b"data: {\n\n", "text/event-stream", ProviderError, None),
        ("google", b"{}", "text/html", ProviderError, None),
    ],
)
def test_what_is_no_recording(
    provider: str, data: bytes, content_type: str, kind: type[ProviderFailure], code: str | None
) -> None:
    with pytest.raises(ProviderFailure) as failed:
        heard(provider, data, content_type, "wav")
    assert (type(failed.value), failed.value.provider_code) == (kind, code)


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "OTHER", "RECITATION", "NEW"])
def test_geminis_recording_that_was_cut_is_none_and_says_what_it_took(reason: str) -> None:
    figures = {"promptTokenCount": 2, "candidatesTokenCount": 512}
    end = {"candidates": [{"finishReason": reason}], "usageMetadata": figures}
    with pytest.raises(ProviderError) as failed:
        heard("google", events(spoken(b"\1\2"), end), "text/event-stream", "wav")
    assert failed.value.provider_code == reason
    assert failed.value.charged is not None
    assert (failed.value.charged.prompt_tokens, failed.value.charged.completion_tokens) == (2, 512)


@pytest.mark.parametrize(
    ("provider", "status", "body", "code", "param", "provider_code"),
    [
        ("deepgram", 401, {"err_code": "INVALID_AUTH", "err_msg": "no"}, "provider_error", None, "INVALID_AUTH"),
        ("deepgram", 400, {"err_code": "Bad Request", "err_msg": "no"}, "validation_error", None, None),
        ("deepgram", 429, {"category": "TOO_MANY_REQUESTS"}, "rate_limited", None, "TOO_MANY_REQUESTS"),
        ("deepgram", 500, "<html>", "provider_error", None, None),
        (
            "elevenlabs",
            401,
            {"detail": {"status": "quota_exceeded", "message": "no"}},
            "provider_error",
            None,
            "quota_exceeded",
        ),
        (
            "elevenlabs",
            404,
            {"detail": {"status": "voice_not_found", "message": "no"}},
            "validation_error",
            "voice",
            "voice_not_found",
        ),
        (
            "elevenlabs",
            422,
            {"detail": [{"loc": ["body", "text"], "msg": "Field required"}]},
            "validation_error",
            "text",
            "validation_error",
        ),
        ("elevenlabs", 404, {"detail": "Not Found"}, "model_not_found", "model", None),
        ("elevenlabs", 500, "oops", "provider_error", None, None),
        (
            "openai",
            400,
            {"error": {"message": "no", "param": "voice", "code": "invalid_value"}},
            "validation_error",
            "voice",
            "invalid_value",
        ),
        (
            "google",
            400,
            {"error": {"code": 400, "status": "INVALID_ARGUMENT"}},
            "validation_error",
            None,
            "INVALID_ARGUMENT",
        ),
    ],
)
def test_refusals(
    provider: str, status: int, body: Any, code: str, param: str | None, provider_code: str | None
) -> None:
    wire, target = setting(provider)
    raw = body if isinstance(body, str) else json.dumps(body)
    failure = wire.fail(HttpResponse(status, {}, raw.encode()), target)
    assert (failure.code, failure.param, failure.provider_code) == (code, param, provider_code)
