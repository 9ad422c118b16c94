"""How each writer is asked, what its answer means, and what its refusals mean.

Sources: the wires'. What providers really sent is in `test_transcription_recordings.py`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRejected
from gateway.model.transcription import Segment, Sound, Transcript, TranscriptionCall, Word
from gateway.model.usage import PromptTokensDetails, TokenUsage
from gateway.providers.contract import Target, TranscriptionWire
from gateway.providers.lookup import provider_named
from gateway.providers.wire.elevenlabs_transcript import LONGEST_CHARACTERS, segments_of

SOUND = Sound(b"RIFF sound\r\n--", "audio/wav", 1500)


def setting(provider: str, **facts: Any) -> tuple[TranscriptionWire, Target]:
    known = provider_named(provider)
    api, wire = next(iter(known.transcriptions.items()))
    assert known.base_url is not None
    return wire, Target(provider, ModelFacts(**{"id": "m", "name": "", "api": api, **facts}), known.base_url)


def asked(provider: str, **members: Any) -> HttpRequest:
    wire, target = setting(provider)
    return wire.render(TranscriptionCall(**{"model": "m", **members}), SOUND, target)


def fields(request: HttpRequest) -> list[tuple[str, str]]:
    """Names and contents; the file's name with its type and its bytes."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    before, *parts, after = (b"\r\n" + request.body).split(b"\r\n--" + boundary)
    assert (before, after) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        found.append((head.decode().strip().removeprefix('Content-Disposition: form-data; name="'), content.decode()))
    return found


FILE = ('file"; filename="audio.wav"\r\nContent-Type: audio/wav', "RIFF sound\r\n--")


def test_openai_is_asked_by_a_form() -> None:
    request = asked("openai", language="en", prompt="Lighthouse", temperature=0.5, include=["logprobs"], stream=True)
    assert request.url == "https://api.openai.com/v1/audio/transcriptions"
    assert fields(request) == [
        ('model"', "m"),
        ('response_format"', "json"),
        ('language"', "en"),
        ('prompt"', "Lighthouse"),
        ('temperature"', "0.5"),
        ('include[]"', "logprobs"),
        ('stream"', "true"),
        FILE,
    ]


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({"response_format": "srt"}, ["segment"]),
        ({"response_format": "vtt"}, ["segment"]),
        ({"response_format": "verbose_json"}, ["segment"]),
        ({"response_format": "verbose_json", "timestamp_granularities": ["word"]}, ["word"]),
    ],
)
def test_openai_is_asked_for_times_only_where_they_are_given(members: dict[str, Any], wanted: list[str]) -> None:
    said = fields(asked("openai", **members))
    assert ('response_format"', "verbose_json") in said
    assert [value for name, value in said if name.startswith("timestamp_granularities[]")] == wanted


def test_groq_says_how_long_a_recording_is_only_when_it_is_verbose() -> None:
    request = asked("groq")
    assert request.url == "https://api.groq.com/openai/v1/audio/transcriptions"
    assert fields(request) == [('model"', "m"), ('response_format"', "verbose_json"), FILE]


def test_options_go_into_the_form() -> None:
    options = {"openai": {"chunking_strategy": {"type": "server_vad"}, "known": [1, 2], "flag": True}}
    said = fields(asked("openai", provider_options=options))
    assert said[2:6] == [
        ('chunking_strategy[type]"', "server_vad"),
        ('known[]"', "1"),
        ('known[]"', "2"),
        ('flag"', "true"),
    ]


def test_deepgram_gets_the_bytes_and_the_rest_in_the_url() -> None:
    request = asked("deepgram", provider_options={"deepgram": {"replace": ["a:b c", "d"]}})
    query = "model=m&smart_format=true&detect_language=true&replace=a%3Ab+c&replace=d"
    assert request.url == f"https://api.deepgram.com/v1/listen?{query}"
    assert (request.body, request.headers) == (SOUND.data, {"content-type": "audio/wav"})
    request = asked("deepgram", language="de", response_format="vtt")
    assert request.url.partition("?")[2] == "model=m&smart_format=true&utterances=true&language=de"


def test_elevenlabs_is_asked_for_words_where_times_are_needed() -> None:
    request = asked("elevenlabs", language="de", temperature=0, response_format="srt")
    assert request.url == "https://api.elevenlabs.io/v1/speech-to-text"
    assert fields(request) == [
        ('model_id"', "m"),
        ('timestamps_granularity"', "word"),
        ('tag_audio_events"', "false"),
        ('language_code"', "de"),
        ('temperature"', "0"),
        FILE,
    ]
    assert ('timestamps_granularity"', "none") in fields(asked("elevenlabs"))


@pytest.mark.parametrize(("stream", "verb"), [(False, "generateContent"), (True, "streamGenerateContent?alt=sse")])
def test_gemini_is_told_what_to_do(stream: bool, verb: str) -> None:
    request = asked("google", language="de", prompt="Leuchtturm", temperature=0.1, stream=stream)
    assert request.url == f"https://generativelanguage.googleapis.com/v1beta/models/m:{verb}"
    body = msgspec.json.decode(request.body)
    blob, task = body["contents"][0]["parts"]
    assert blob == {"inlineData": {"mimeType": "audio/wav", "data": b64encode(SOUND.data).decode()}}
    assert "de" in task["text"]
    assert "Leuchtturm" in task["text"]
    assert body["generationConfig"] == {"maxOutputTokens": 8192 + 2 * 20, "temperature": 0.1}


@pytest.mark.parametrize(
    ("provider", "option"),
    [
        ("openai", "file"),
        ("openai", "response_format"),
        ("groq", "url"),
        ("deepgram", "callback"),
        ("deepgram", "multichannel"),
        ("deepgram", "keyterm"),
        ("elevenlabs", "keyterms"),
        ("elevenlabs", "cloud_storage_url"),
        ("elevenlabs", "webhook"),
        ("google", "contents"),
    ],
)
def test_options_that_would_lead_around_the_gateway_are_refused(provider: str, option: str) -> None:
    with pytest.raises(CapabilityNotSupported) as refused:
        asked(provider, provider_options={provider: {option: "x"}})
    assert refused.value.param == f"provider_options.{provider}.{option}"


@pytest.mark.parametrize(
    ("config", "refusal", "param"),
    [
        (None, InvalidRequest, "generationConfig"),
        ({"maxOutputTokens": 9}, CapabilityNotSupported, "generationConfig.maxOutputTokens"),
        ({"candidate_count": 8}, CapabilityNotSupported, "generationConfig.candidate_count"),
        ({"responseModalities": ["AUDIO"]}, CapabilityNotSupported, "generationConfig.responseModalities"),
    ],
)
def test_geminis_configuration_is_judged_member_by_member(config: Any, refusal: Any, param: str) -> None:
    with pytest.raises(refusal) as refused:
        asked("google", provider_options={"google": {"generationConfig": config}})
    assert refused.value.param == f"provider_options.google.{param}"
    body = json.loads(asked("google", provider_options={"google": {"generationConfig": {"topK": 3}}}).body)
    assert body["generationConfig"]["topK"] == 3
    assert body["generationConfig"]["maxOutputTokens"] > 0


def read(provider: str, body: Any) -> Transcript:
    wire, target = setting(provider)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return wire.parse(HttpResponse(200, {}, raw), target)


SPOKEN = (Word(word="Good", start=0.1, end=0.4), Word(word="evening.", start=0.4, end=1.1))


def test_openais_answers() -> None:
    details = {"input_tokens": 7, "output_tokens": 3, "input_token_details": {"text_tokens": 2, "audio_tokens": 5}}
    usage = TokenUsage(prompt_tokens=7, completion_tokens=3, prompt=PromptTokensDetails(audio_tokens=5))
    assert read("openai", {"text": "Good evening.", "usage": details}) == Transcript("Good evening.", usage=usage)
    told = {
        "text": "Good evening.",
        "duration": 1.2,
        "language": "english",
        "usage": {"type": "duration", "seconds": 2},
    }
    told |= {"segments": [{"id": 7, "start": 0.0, "end": 1.2, "text": "Good evening.", "avg_logprob": -0.5}]}
    told |= {"words": [{"word": "Good", "start": 0.1, "end": 0.4}, {"word": "evening.", "start": 0.4, "end": 1.1}]}
    assert read("openai", told) == Transcript(
        "Good evening.",
        language="english",
        duration_ms=1200,
        billed_ms=2000,
        segments=(Segment(id=0, start=0.0, end=1.2, text="Good evening.", avg_logprob=-0.5),),
        words=SPOKEN,
    )


def test_deepgrams_answers() -> None:
    words = [{"word": "good", "start": 0.1, "end": 0.4, "punctuated_word": "Good"}]
    words.append({"word": "evening.", "start": 0.4, "end": 1.1})
    channel = {"alternatives": [{"transcript": "Good evening.", "words": words}], "detected_language": "en"}
    spoken = [{"start": 0.1, "end": 1.1, "transcript": "Good evening."}]
    told = {"metadata": {"duration": 1.2001}, "results": {"channels": [channel], "utterances": spoken}}
    assert read("deepgram", told) == Transcript(
        "Good evening.",
        language="en",
        duration_ms=1201,
        segments=(Segment(id=0, start=0.1, end=1.1, text="Good evening."),),
        words=SPOKEN,
    )


def test_elevenlabs_answers() -> None:
    words = [{"text": "Good", "start": 0.1, "end": 0.4, "type": "word"}, {"text": " ", "type": "spacing"}]
    words.append({"text": "evening.", "start": 0.4, "end": 1.1, "type": "word"})
    told = {"text": "Good evening.", "language_code": "eng", "words": words, "audio_duration_secs": 1.2}
    assert read("elevenlabs", told) == Transcript(
        "Good evening.",
        language="eng",
        duration_ms=1200,
        segments=(Segment(id=0, start=0.1, end=1.1, text="Good evening."),),
        words=SPOKEN,
    )


def test_segments_end_with_sentences_at_pauses_and_when_they_are_long() -> None:
    def words(*spoken: tuple[str, float]) -> list[Word]:
        return [Word(word=word, start=start, end=start + 0.5) for word, start in spoken]

    made = segments_of(words(("One", 0), ("two.", 0.5), ("Three", 1), ("four", 3), ("five", 3.5)))
    assert [(one.id, one.text, one.start, one.end) for one in made] == [
        (0, "One two.", 0, 1.0),
        (1, "Three", 1, 1.5),
        (2, "four five", 3, 4.0),
    ]
    long = [*segments_of(words(*((f"word{at}", at / 2) for at in range(60))))]
    assert all(len(one.text) <= LONGEST_CHARACTERS for one in long)
    assert " ".join(one.text for one in long) == " ".join(f"word{at}" for at in range(60))
    assert [*segments_of([])] == []


FIGURES = {
    "promptTokenCount": 40,
    "candidatesTokenCount": 4,
    "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 32}],
}


def said(text: str, **members: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **members}]}


def test_geminis_answers() -> None:
    usage = TokenUsage(prompt_tokens=40, completion_tokens=4, prompt=PromptTokensDetails(audio_tokens=32))
    told = said(" Good evening.\n", finishReason="STOP") | {"usageMetadata": FIGURES}
    assert read("google", told) == Transcript("Good evening.", usage=usage)


@pytest.mark.parametrize("reason", ["SAFETY", "MAX_TOKENS"])
def test_what_gemini_withholds_is_charged(reason: str) -> None:
    with pytest.raises(ProviderRejected) as refused:
        read("google", said("Good", finishReason=reason) | {"usageMetadata": FIGURES})
    assert refused.value.charged is not None
    assert (refused.value.charged.prompt_tokens, refused.value.charged.completion_tokens) == (40, 4)


@pytest.mark.parametrize(
    ("provider", "body", "kind", "code"),
    [
        ("openai", b"{", ProviderError, None),
        ("openai", {"words": []}, ProviderError, None),
        ("openai", {"error": {"message": "no", "code": "server_error"}}, ProviderError, "server_error"),
        ("groq", b"<html>", ProviderError, None),
        ("deepgram", {"results": {"channels": []}}, ProviderError, None),
        ("deepgram", b"\xff", ProviderError, None),
        ("elevenlabs", {}, ProviderError, None),
        ("google", {"candidates": []}, ProviderError, None),
        ("google", said("a"), ProviderError, None),
        ("google", said("a", finishReason="SAFETY"), ProviderRejected, "SAFETY"),
        ("google", {"promptFeedback": {"blockReason": "OTHER"}}, ProviderRejected, "OTHER"),
        ("google", {"error": {"code": 500, "status": "INTERNAL"}}, ProviderError, "INTERNAL"),
        ("google", b"[", ProviderError, None),
    ],
)
def test_what_is_no_transcript(provider: str, body: Any, kind: type[ProviderFailure], code: str | None) -> None:
    with pytest.raises(ProviderFailure) as failed:
        read(provider, body)
    assert (type(failed.value), failed.value.provider_code) == (kind, code)


def streamed(provider: str, *events: Any) -> tuple[list[str], Transcript | None]:
    """In one piece and byte by byte, which is the same."""
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b""
    found = []
    for size in (len(data) or 1, 1):
        wire, target = setting(provider)
        parser = wire.stream(target)
        chunks = [chunk for at in range(0, len(data), size) for chunk in parser.feed(data[at : at + size])]
        chunks += parser.close()
        whole = next((chunk.whole for chunk in chunks if chunk.whole), None)
        found.append(([chunk.delta for chunk in chunks if chunk.delta], whole))
    assert found[0] == found[1]
    return found[0]


def test_streams() -> None:
    deltas = [{"type": "transcript.text.delta", "delta": text} for text in ("Good", " evening.")]
    done = {"type": "transcript.text.done", "text": "Good evening."}
    assert streamed("openai", *deltas, done) == (["Good", " evening."], Transcript("Good evening."))
    assert streamed("google", said("Good"), said(" evening.", finishReason="STOP")) == (
        ["Good", " evening."],
        Transcript("Good evening."),
    )


@pytest.mark.parametrize(
    ("provider", "events"),
    [
        ("openai", []),
        ("openai", [{"type": "transcript.text.delta", "delta": "Good"}]),
        ("openai", [{"error": {"message": "no"}}]),
        ("openai", ["?"]),
        ("google", []),
        ("google", [said("Good")]),
        ("google", ["?"]),
    ],
)
def test_streams_that_end_early_or_fail(provider: str, events: list[Any]) -> None:
    with pytest.raises(ProviderError):
        streamed(provider, *events)


@pytest.mark.parametrize("provider", ["deepgram", "elevenlabs"])
def test_who_does_not_stream_says_so(provider: str) -> None:
    wire, target = setting(provider)
    with pytest.raises(ProviderError):
        wire.stream(target)


@pytest.mark.parametrize(
    ("provider", "body", "code"),
    [
        ("openai", {"error": {"code": "invalid_value", "message": "no"}}, "invalid_value"),
        ("groq", {"error": {"code": "bad", "message": "no"}}, "bad"),
        ("deepgram", {"err_code": "INVALID_QUERY", "err_msg": "no"}, "INVALID_QUERY"),
        ("elevenlabs", {"detail": {"status": "invalid_content", "message": "no"}}, "invalid_content"),
        ("google", {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "no"}}, "INVALID_ARGUMENT"),
    ],
)
def test_refusals(provider: str, body: Any, code: str) -> None:
    wire, target = setting(provider)
    failure = wire.fail(HttpResponse(400, {}, json.dumps(body).encode()), target)
    assert (failure.code, failure.provider_code) == ("validation_error", code)
