"""Recordings in writing through the unmodified OpenAI SDK: every format, streams, files and URLs, what is refused."""

from __future__ import annotations

import json
import os
import uuid
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.model.money import usd_text
from local.simulators.media import SITE
from local.simulators.providers.transcriptions import seconds_of, text_of, timed_sentences, timed_words
from local.simulators.sounds import recording, wav_of
from tests.e2e.conftest import Gateway
from tests.e2e.simulated import posted
from tests.e2e.tenants import put_key, put_tenant
from tests.e2e.test_governance import number, settled

MODELS = {
    "openai": "openai/gpt-4o-mini-transcribe",
    "listed": "openai/gpt-transcribe",
    "whisper": "openai/whisper-1",
    "groq": "groq/whisper-large-v3-turbo",
    "deepgram": "deepgram/nova-3",
    "elevenlabs": "elevenlabs/scribe_v2",
    "google": "google/gemini-2.5-flash",
}
TIMED = ("whisper", "groq", "deepgram", "elevenlabs")
STREAMS = ("openai", "listed", "google")
SOUND = recording("What was said at the lighthouse", "wav")
SECONDS = seconds_of(SOUND)
MS = round(SECONDS * 1000)
COSTS_NANO_USD = {
    "openai": round(SECONDS * 10) * 1_250 + 8 * 5_000,
    "listed": -(-MS // 1000) * 75_000,
    "whisper": -(-MS // 1000) * 100_000,
    "groq": -(-10_000 * 40_000_000 // 3_600_000),
    "deepgram": -(-MS * 7_700_000 // 60_000),
    "elevenlabs": -(-MS * 220_000_000 // 3_600_000),
}
"""By the printed prices: OpenAI bills whole seconds, Groq ten of them at least."""
OWN = os.environ.get("SMOKE_TRANSCRIPTIONS", ",".join(MODELS)).split(",")
pytestmark = pytest.mark.stack


def nano(usage: dict[str, Any]) -> int:
    cost: float = usage["cost_estimate"]
    return round(cost * 1e9)


def directed(directive: str) -> bytes:
    """A recording with a directive to the simulator among its samples."""
    text = f"[[{directive}]]".encode()
    return wav_of(bytes(4800) + text + bytes(len(text) % 2))


@pytest.mark.parametrize("provider", OWN)
def test_the_text(sdk: openai.OpenAI, gateway: Gateway, provider: str, tmp_path: Path) -> None:
    (tmp_path / "said.wav").write_bytes(SOUND)
    with (tmp_path / "said.wav").open("rb") as file:
        made: Any = sdk.audio.transcriptions.create(model=MODELS[provider], file=file)
    assert made.model == MODELS[provider]
    usage = made.to_dict()["usage"]
    assert nano(usage) > 0
    if gateway.simulators and provider in COSTS_NANO_USD:
        assert made.text == text_of(SOUND)
        assert nano(usage) == COSTS_NANO_USD[provider]
        assert usage["type"] == ("tokens" if provider == "openai" else "duration")
    else:
        assert made.text


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "aac", "opus"])
def test_every_kind_of_recording(sdk: openai.OpenAI, local: Gateway, kind: str) -> None:
    """The name that the client gives it does not count."""
    sound = recording("any", kind)
    for provider in ("whisper", "deepgram"):
        assert sdk.audio.transcriptions.create(model=MODELS[provider], file=("x.txt", sound)).text == text_of(sound)


@pytest.mark.parametrize("provider", [name for name in OWN if name in TIMED])
def test_times_of_segments_and_words(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    made = sdk.audio.transcriptions.create(
        model=MODELS[provider],
        file=("said.wav", SOUND),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert made.segments
    assert made.words
    if gateway.simulators:
        assert (made.text, made.duration) == (text_of(SOUND), SECONDS)
        found = [(segment.text.strip(), segment.start, segment.end) for segment in made.segments]
        assert found == timed_sentences(SOUND)
        assert [(word.start, word.end) for word in made.words] == [word[1:] for word in timed_words(SOUND)]
        assert [word.word.strip(".") for word in made.words] == [word[0].strip(".") for word in timed_words(SOUND)]
        assert made.language in ("english", "en", "eng")


def test_only_what_is_asked_for_is_given(sdk: openai.OpenAI, local: Gateway) -> None:
    said: dict[str, Any] = {"model": MODELS["whisper"], "file": ("a.wav", SOUND), "response_format": "verbose_json"}
    words = sdk.audio.transcriptions.create(**said, timestamp_granularities=["word"])
    assert (words.words is not None, words.segments) == (True, None)
    segments = sdk.audio.transcriptions.create(**said)
    assert (segments.words, segments.segments is not None) == (None, True)
    assert segments.segments[0].avg_logprob == -0.25


@pytest.mark.parametrize("provider", [name for name in OWN if name in TIMED])
def test_text_and_subtitles(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    made = {
        kind: sdk.audio.transcriptions.with_raw_response.create(
            model=MODELS[provider], file=("said.wav", SOUND), response_format=kind
        )
        for kind in ("text", "srt", "vtt")
    }
    types = {kind: answer.headers["content-type"].partition(";")[0] for kind, answer in made.items()}
    assert types == {"text": "text/plain", "srt": "text/plain", "vtt": "text/vtt"}
    assert all(json.loads(answer.headers["x-gateway-usage"])["cost_estimate"] > 0 for answer in made.values())
    assert all(answer.headers["x-gateway-request-id"] for answer in made.values())
    if not gateway.simulators:
        return
    assert made["text"].text == f"{text_of(SOUND)}\n"
    (first, begins, ends), (second, again, last) = timed_sentences(SOUND)
    times = [f"00:00:{seconds:06.3f}" for seconds in (begins, ends, again, last)]
    assert made["vtt"].text == (
        f"WEBVTT\n\n{times[0]} --> {times[1]}\n{first}\n\n{times[2]} --> {times[3]}\n{second}\n\n"
    )
    commas = [time.replace(".", ",") for time in times]
    assert made["srt"].text == (
        f"1\n{commas[0]} --> {commas[1]}\n{first}\n\n2\n{commas[2]} --> {commas[3]}\n{second}\n\n"
    )


def test_a_text_is_a_text_for_the_sdk(sdk: openai.OpenAI, local: Gateway) -> None:
    made = sdk.audio.transcriptions.create(model=MODELS["whisper"], file=("a.wav", SOUND), response_format="text")
    assert made == f"{text_of(SOUND)}\n"


@pytest.mark.parametrize("provider", [name for name in OWN if name in STREAMS])
def test_a_stream(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    events = [*sdk.audio.transcriptions.create(model=MODELS[provider], file=("a.wav", SOUND), stream=True)]
    *deltas, done = events
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas).strip() == done.text
    if gateway.simulators and provider in COSTS_NANO_USD:
        assert done.text == text_of(SOUND)
        assert nano(done.to_dict()["usage"]) == COSTS_NANO_USD[provider]


def test_the_first_word_comes_before_the_provider_is_done(sdk: openai.OpenAI, local: Gateway) -> None:
    gate = f"said-{uuid.uuid4().hex[:8]}"
    sound = directed(f"gate={gate} gate_at=1")
    events = iter(sdk.audio.transcriptions.create(model=MODELS["openai"], file=("a.wav", sound), stream=True))
    first: Any = next(events)
    httpx.post(f"{local.simulators}/_sim/gates/{gate}").raise_for_status()
    done: Any = [*events][-1]
    assert done.text.startswith(first.delta)


def test_log_probabilities(sdk: openai.OpenAI, local: Gateway) -> None:
    made = sdk.audio.transcriptions.create(
        model=MODELS["openai"], file=("a.wav", SOUND), include=["logprobs"], response_format="json"
    )
    assert made.logprobs
    assert made.logprobs[0].logprob == -0.01


def test_lists_of_languages_and_words(sdk: openai.OpenAI, local: Gateway) -> None:
    made = sdk.audio.transcriptions.create(
        model=MODELS["listed"], file=("a.wav", SOUND), languages=["en", "de"], keywords=["Lighthouse"], prompt="The sea"
    )
    assert [language.code for language in made.languages or ()] == ["en", "de"]
    made = sdk.audio.transcriptions.create(model=MODELS["listed"], file=("a.wav", SOUND), language="fr")
    assert [language.code for language in made.languages or ()] == ["fr"]


def test_what_the_model_is_told_besides(sdk: openai.OpenAI, local: Gateway) -> None:
    for provider in ("openai", "whisper", "groq", "google"):
        sdk.audio.transcriptions.create(
            model=MODELS[provider], file=("a.wav", SOUND), language="en", prompt="Lighthouse", temperature=0.2
        )
    sdk.audio.transcriptions.create(
        model=MODELS["deepgram"],
        file=("a.wav", SOUND),
        language="en",
        extra_body={"provider_options": {"deepgram": {"numerals": True}}},
    )
    sdk.audio.transcriptions.create(model=MODELS["elevenlabs"], file=("a.wav", SOUND), language="en", temperature=0.2)


@pytest.mark.parametrize("provider", ["whisper", "deepgram", "google"])
def test_a_file_of_the_tenant_in_json(sdk: openai.OpenAI, http: httpx.Client, gateway: Gateway, provider: str) -> None:
    file = sdk.files.create(file=("said.wav", SOUND), purpose="user_data")
    answer = http.post("/audio/transcriptions", json={"model": MODELS[provider], "file": file.id})
    assert answer.status_code == 200, answer.text
    if gateway.simulators and provider != "google":
        assert answer.json()["text"] == text_of(SOUND)
        assert nano(answer.json()["usage"]) == COSTS_NANO_USD[provider]


def test_a_file_may_be_named_in_a_form_too(http: httpx.Client, sdk: openai.OpenAI, local: Gateway) -> None:
    file = sdk.files.create(file=("said.wav", SOUND), purpose="user_data")
    fields = {"model": (None, MODELS["whisper"]), "file": (None, file.id), "timeouts[total_ms]": (None, "60000")}
    answer = http.post("/audio/transcriptions", files=fields)
    assert answer.json()["text"] == text_of(SOUND)


def test_a_url_is_read_by_the_guarded_fetcher(http: httpx.Client, local: Gateway) -> None:
    url = f"{local.simulators}/_media/sound.wav"
    answer = http.post("/audio/transcriptions", json={"model": MODELS["whisper"], "file": url})
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == text_of(SITE["sound.wav"][1])


def test_a_recording_in_the_json_itself(http: httpx.Client, local: Gateway) -> None:
    url = f"data:audio/wav;base64,{b64encode(SOUND).decode()}"
    answer = http.post("/audio/transcriptions", json={"model": MODELS["whisper"], "file": url})
    assert answer.json()["text"] == text_of(SOUND)


BAD: list[tuple[str, dict[str, Any], str, int, str]] = [
    ("whisper", {"file": ("a.wav", b"")}, "file", 400, "validation_error"),
    ("whisper", {"file": ("a.wav", b"just text")}, "file", 400, "validation_error"),
    ("whisper", {"file": ("a.wav", b"\x89PNG\r\n\x1a\n")}, "file", 400, "validation_error"),
    ("whisper", {"file": ("a.wav", SOUND[:30])}, "file", 400, "validation_error"),
    ("whisper", {"file": ("a.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x00 no frame")}, "file", 400, "validation_error"),
    ("whisper", {"file": ("a.wav", b"RIFF" + bytes(4_400_100))}, "file", 413, "payload_too_large"),
    ("openai", {"response_format": "srt"}, "response_format", 400, "capability_not_supported"),
    ("google", {"response_format": "verbose_json"}, "response_format", 400, "capability_not_supported"),
    ("whisper", {"response_format": "xml"}, "response_format", 400, "validation_error"),
    ("whisper", {"stream": True}, "stream", 400, "capability_not_supported"),
    ("deepgram", {"prompt": "x"}, "prompt", 400, "capability_not_supported"),
    ("deepgram", {"temperature": 0}, "temperature", 400, "capability_not_supported"),
    ("whisper", {"temperature": 2}, "temperature", 400, "validation_error"),
    ("whisper", {"language": "English!"}, "language", 400, "validation_error"),
    ("whisper", {"languages": ["en", "de"]}, "languages", 400, "capability_not_supported"),
    ("whisper", {"keywords": ["Lighthouse"]}, "keywords", 400, "capability_not_supported"),
    ("listed", {"temperature": 0}, "temperature", 400, "capability_not_supported"),
    (
        "google",
        {"extra_body": {"provider_options": {"google": {"serviceTier": "priority"}}}},
        "provider_options.google.serviceTier",
        400,
        "capability_not_supported",
    ),
    ("whisper", {"include": ["logprobs"]}, "include", 400, "capability_not_supported"),
    ("whisper", {"timestamp_granularities": ["word"]}, "timestamp_granularities", 400, "validation_error"),
    ("whisper", {"model": "openai/gpt-4o-mini"}, "model", 400, "capability_not_supported"),
    ("whisper", {"model": "openai/tts-1"}, "model", 400, "capability_not_supported"),
    ("whisper", {"extra_body": {"speed": 2}}, "speed", 400, "validation_error"),
]


@pytest.mark.parametrize(("provider", "members", "param", "status", "code"), BAD)
def test_what_cannot_be_done_is_refused_by_name_and_unsent(
    sdk: openai.OpenAI, local: Gateway, provider: str, members: dict[str, Any], param: str, status: int, code: str
) -> None:
    before = posted(local)
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.audio.transcriptions.create(**{"model": MODELS[provider], "file": ("a.wav", SOUND), **members})
    assert (refused.value.status_code, refused.value.code, refused.value.param) == (status, code, param)
    assert posted(local) == before


def test_a_recording_that_is_too_large_is_told_the_way_past_the_request(sdk: openai.OpenAI, local: Gateway) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.audio.transcriptions.create(model=MODELS["whisper"], file=("a.wav", b"RIFF" + bytes(4_400_100)))
    assert "POST /v1/files" in refused.value.message


@pytest.mark.parametrize("source", ["file_000000000u0000000000000000", "https://10.0.0.1/a.wav"])
def test_what_is_not_there_is_told_as_such(http: httpx.Client, local: Gateway, source: str) -> None:
    answer = http.post("/audio/transcriptions", json={"model": MODELS["whisper"], "file": source})
    assert answer.json()["error"]["param"] == "file"
    assert answer.status_code in (400, 422)


def test_neither_a_file_nor_where_it_is(http: httpx.Client, local: Gateway) -> None:
    answer = http.post("/audio/transcriptions", json={"model": MODELS["whisper"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")
    answer = http.post("/audio/transcriptions", content=b"x", headers={"content-type": "audio/wav"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        ("status=500", 502, "provider_error"),
        ("status=429", 429, "rate_limited"),
        ("garbage", 502, "provider_error"),
        ("content_type=text/html", 502, "provider_error"),
        ("cut=before_headers", 502, "provider_error"),
        ("cut=mid_event", 502, "provider_error"),
        ("first_byte_s=5", 504, "provider_timeout"),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "whisper", "groq", "deepgram", "elevenlabs"])
def test_faults(sdk: openai.OpenAI, local: Gateway, provider: str, switch: str, status: int, code: str) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        sdk.audio.transcriptions.create(
            model=MODELS[provider], file=("a.wav", directed(switch)), extra_body={"timeouts": {"total_ms": 1500}}
        )
    assert (failed.value.status_code, failed.value.code) == (status, code)


def test_the_books_say_what_was_written_down(local: Gateway) -> None:
    name = f"said-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name)
    key = put_key(local.aws_endpoint_url, name, "alice")
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        for provider in COSTS_NANO_USD:
            client.audio.transcriptions.create(model=MODELS[provider], file=("a.wav", SOUND))
        with pytest.raises(openai.BadRequestError):
            client.audio.transcriptions.create(model=MODELS["whisper"], file=("a.wav", b"no sound"))
        with pytest.raises(openai.InternalServerError):
            client.audio.transcriptions.create(model=MODELS["whisper"], file=("a.wav", directed("status=500")))
    books = settled(local, f"T#{name}#0")
    assert number(books, "s") == number(books, "c") == sum(COSTS_NANO_USD.values())


def test_a_budget_holds_as_long_as_the_recording_is(local: Gateway) -> None:
    """Thirty seconds are 0.003 USD: three times fit into a cent."""
    name = f"said-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name, allowance={"budgets": [{"window": "month", "usd": usd_text(10_000_000)}]})
    key = put_key(local.aws_endpoint_url, name, "alice")
    sound = wav_of(bytes(30 * 16_000), 8_000)
    codes: list[Any] = []
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        for _ in range(4):
            try:
                client.audio.transcriptions.create(model=MODELS["whisper"], file=("a.wav", sound))
                codes.append(200)
            except openai.APIStatusError as refused:
                codes.append(refused.code)
    assert codes == [200, 200, 200, "budget_exceeded"]
    assert number(settled(local, f"T#{name}#0"), "s") == 9_000_000


# -- in a chat ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [name for name in OWN if name != "google"])
def test_a_recording_in_a_chat_is_written_down(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    sound: Any = {"type": "input_audio", "input_audio": {"data": b64encode(SOUND).decode(), "format": "wav"}}
    reply: Any = sdk.chat.completions.create(model=MODELS[provider], messages=[{"role": "user", "content": [sound]}])
    assert reply.choices[0].message.content
    if gateway.simulators:
        assert reply.choices[0].message.content == text_of(SOUND)
        assert nano(reply.to_dict()["usage"]) == COSTS_NANO_USD[provider]


def test_a_file_in_a_chat_is_written_down(sdk: openai.OpenAI, local: Gateway) -> None:
    file = sdk.files.create(file=("said.wav", SOUND), purpose="user_data")
    part: Any = {"type": "audio", "url": file.id}
    reply = sdk.chat.completions.create(model=MODELS["whisper"], messages=[{"role": "user", "content": [part]}])
    assert reply.choices[0].message.content == text_of(SOUND)
    part = {"type": "audio", "url": "file_000000000u0000000000000000"}
    with pytest.raises(openai.UnprocessableEntityError):
        sdk.chat.completions.create(model=MODELS["whisper"], messages=[{"role": "user", "content": [part]}])
