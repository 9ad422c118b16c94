"""Speech through the unmodified OpenAI SDK: bytes as they come, events, files, and what is refused and charged."""

from __future__ import annotations

import json
import os
import uuid
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.model.media_type import sniff
from gateway.model.money import usd_text
from gateway.model.wav import with_sizes
from local.simulators.providers.speech import spoken
from local.simulators.sounds import recording
from tests.e2e.conftest import Gateway
from tests.e2e.simulated import posted
from tests.e2e.tenants import put_key, put_tenant
from tests.e2e.test_governance import number, settled

TEXT = "A lighthouse at dusk"
MODELS = {
    "openai": "openai/gpt-4o-mini-tts",
    "openai-tts-1": "openai/tts-1",
    "deepgram": "deepgram/aura-2",
    "elevenlabs": "elevenlabs/eleven_flash_v2_5",
    "google": "google/gemini-3.8-flash-tts",
}
VOICES = {
    **dict.fromkeys(("openai", "openai-tts-1"), "alloy"),
    "deepgram": "thalia-en",
    "elevenlabs": "JBFqnCBsd6RMkjVDRZzb",
    "google": "Kore",
}
FORMATS = {
    **dict.fromkeys(("openai", "openai-tts-1", "deepgram"), ("mp3", "opus", "aac", "flac", "wav", "pcm")),
    "elevenlabs": ("mp3", "opus", "wav", "pcm"),
    "google": ("wav", "pcm"),
}
COSTS_NANO_USD = {
    "openai": 4 * 600 + 2 * len(TEXT) * 12_000,
    "openai-tts-1": len(TEXT) * 15_000,
    "deepgram": len(TEXT) * 30_000,
    "elevenlabs": len(TEXT) * 50_000,
    "google": 4 * 500 + 2 * len(TEXT) * 9_000,
}
TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm"} | {
    kind: f"audio/{kind}" for kind in ("opus", "aac", "flac")
}
OWN = os.environ.get("SMOKE_SPEECH", ",".join(MODELS)).split(",")
pytestmark = pytest.mark.stack


def made_of(provider: str, kind: str, text: str = TEXT) -> bytes:
    return spoken(text, VOICES[provider], kind)


def asked(provider: str, **members: Any) -> dict[str, Any]:
    return {"model": MODELS[provider], "voice": VOICES[provider], "input": TEXT, **members}


def nano(usage: dict[str, Any]) -> int:
    cost: float = usage["cost_estimate"]
    return round(cost * 1e9)


@pytest.mark.parametrize("provider", OWN)
def test_the_sdk_gets_the_bytes_that_the_provider_made(
    sdk: openai.OpenAI, gateway: Gateway, provider: str, tmp_path: Path
) -> None:
    usual = FORMATS[provider][0]
    made = sdk.audio.speech.create(**asked(provider))
    made.write_to_file(tmp_path / "speech")
    assert made.response.headers["content-type"] == TYPES[usual]
    assert (tmp_path / "speech").read_bytes() == made.content
    assert sniff(made.content) == TYPES[usual]
    assert made.response.headers["x-gateway-request-id"].startswith("req_")
    usage = json.loads(made.response.headers["x-gateway-usage"])
    assert usage.keys() == {"input_tokens", "output_tokens", "total_tokens", "units", "cost_estimate", "estimated"}
    if gateway.simulators:
        assert made.content == made_of(provider, usual)
        assert nano(usage) > 0
        if not usage["estimated"]:
            assert nano(usage) == COSTS_NANO_USD[provider]


@pytest.mark.parametrize(("provider", "kind"), [(name, kind) for name in OWN for kind in FORMATS[name]])
def test_every_format(sdk: openai.OpenAI, gateway: Gateway, provider: str, kind: Any) -> None:
    made = sdk.audio.speech.create(**asked(provider, response_format=kind))
    assert made.response.headers["content-type"] == TYPES[kind]
    assert kind == "pcm" or sniff(made.content) == TYPES[kind]
    if gateway.simulators:
        assert made.content == made_of(provider, kind)


@pytest.mark.parametrize("provider", OWN)
def test_the_first_byte_comes_before_the_provider_is_done(sdk: openai.OpenAI, local: Gateway, provider: str) -> None:
    """The simulated speaker waits behind a gate after its first piece."""
    gate = f"speech-{uuid.uuid4().hex[:8]}"
    text = f"{TEXT} [[gate={gate} gate_at=1]]"
    with sdk.audio.speech.with_streaming_response.create(**asked(provider, input=text)) as answer:
        pieces = answer.iter_bytes(256)
        first = next(pieces)
        assert httpx.post(f"{local.simulators}/_sim/gates/{gate}").status_code == 200
        assert first + b"".join(pieces) == made_of(provider, FORMATS[provider][0])


@pytest.mark.parametrize("provider", OWN)
def test_events(sdk: openai.OpenAI, http: httpx.Client, gateway: Gateway, provider: str) -> None:
    events = []
    with http.stream("POST", "/audio/speech", json=asked(provider, stream_format="sse")) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                events.append(json.loads(line.removeprefix("data: ")))
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert done["type"] == "speech.audio.done"
    audio = b"".join(b64decode(event["audio"]) for event in deltas)
    assert done["gateway"]["model_used"] == MODELS[provider]
    if gateway.simulators:
        assert audio == made_of(provider, FORMATS[provider][0])
        assert nano(done["usage"]) == COSTS_NANO_USD[provider]


@pytest.mark.parametrize("provider", OWN)
def test_a_recording_is_stored_for_whoever_takes_json(http: httpx.Client, gateway: Gateway, provider: str) -> None:
    answer = http.post("/audio/speech", json=asked(provider), headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    opened = httpx.get(told["url"])
    assert told["content_type"] == opened.headers["content-type"] == sniff(opened.content)
    assert (told["size_bytes"], told["model"]) == (len(opened.content), MODELS[provider])
    assert "attachment" in opened.headers["content-disposition"]
    again = http.get(f"/files/{told['file_id']}/content", follow_redirects=True)
    assert again.content == opened.content
    if gateway.simulators:
        assert opened.content == with_sizes(made_of(provider, FORMATS[provider][0]))
        assert nano(told["usage"]) == COSTS_NANO_USD[provider]


def test_a_stored_wav_file_says_how_long_it_is(http: httpx.Client, local: Gateway) -> None:
    """What is streamed cannot; every reader of WAV files can read it all the same."""
    answer = http.post("/audio/speech", json=asked("openai", response_format="wav"))
    assert httpx.get(answer.json()["url"]).content == recording(f"alloy: {TEXT}", "wav", sized=True)


def test_speed_and_instructions_reach_the_model(sdk: openai.OpenAI, local: Gateway) -> None:
    sdk.audio.speech.create(**asked("openai", speed=1.5, instructions="Whisper."))
    sdk.audio.speech.create(**asked("deepgram", speed=1.5))
    sdk.audio.speech.create(**asked("elevenlabs", speed=1.1))
    sdk.audio.speech.create(**asked("google", model="google/gemini-3.1-flash-tts-preview", instructions="Whisper"))


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("openai", {"voice": "nobody-1", "model": "openai/tts-1"}, "voice", "validation_error"),
    ("google", {"voice": "alloy"}, "voice", "validation_error"),
    ("deepgram", {"voice": {"id": "voice_1"}}, "voice", "capability_not_supported"),
    ("google", {"response_format": "mp3"}, "response_format", "capability_not_supported"),
    ("elevenlabs", {"response_format": "flac"}, "response_format", "capability_not_supported"),
    ("openai", {"response_format": "ogg"}, "response_format", "validation_error"),
    ("openai", {"speed": 5}, "speed", "validation_error"),
    ("elevenlabs", {"speed": 2}, "speed", "validation_error"),
    ("google", {"speed": 2}, "speed", "capability_not_supported"),
    ("openai-tts-1", {"instructions": "Whisper."}, "instructions", "capability_not_supported"),
    ("openai", {"input": "x" * 4097}, "input", "validation_error"),
    ("deepgram", {"input": "x" * 2001}, "input", "validation_error"),
    ("openai", {"input": ""}, "input", "validation_error"),
    ("openai", {"model": "openai/gpt-4o-mini"}, "model", "capability_not_supported"),
    ("openai", {"model": "deepgram/nova-3"}, "model", "capability_not_supported"),
    ("openai", {"stream_format": "mp3"}, "stream_format", "validation_error"),
    ("openai", {"pitch": 2}, "pitch", "validation_error"),
]


@pytest.mark.parametrize(("provider", "members", "param", "code"), BAD)
def test_what_the_model_cannot_do_is_refused_by_name_and_unsent(
    sdk: openai.OpenAI, local: Gateway, provider: str, members: dict[str, Any], param: str, code: str
) -> None:
    before = posted(local)
    known = {name: value for name, value in members.items() if name != "pitch"}
    extra = {name: value for name, value in members.items() if name == "pitch"}
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.audio.speech.create(**asked(provider, **known), extra_body=extra)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert posted(local) == before


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        ("status=500", 502, "provider_error"),
        ("status=401", 502, "provider_error"),
        ("status=429 retry_after=3", 429, "rate_limited"),
        ("content_type=text/html", 502, "provider_error"),
        ("cut=before_headers", 502, "provider_error"),
        ("first_byte_s=5", 504, "provider_timeout"),
        ("first_event_s=5", 504, "provider_timeout"),
    ],
)
@pytest.mark.parametrize("provider", [name for name in OWN if name != "openai-tts-1"])
def test_faults_before_the_first_byte_have_their_status(
    sdk: openai.OpenAI, local: Gateway, provider: str, switch: str, status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        sdk.audio.speech.create(**asked(provider, input=f"a [[{switch}]]"), extra_body={"timeouts": {"total_ms": 1500}})
    assert (failed.value.status_code, failed.value.code) == (status, code)


def test_a_recording_that_breaks_off_is_seen_to_be_incomplete(sdk: openai.OpenAI, local: Gateway) -> None:
    text = f"{TEXT} [[cut=reset cut_after=1]]"
    with (
        pytest.raises((openai.APIError, httpx.HTTPError)),
        sdk.audio.speech.with_streaming_response.create(**asked("openai-tts-1", input=text)) as answer,
    ):
        answer.read()


def test_events_that_break_off_end_with_an_error(http: httpx.Client, local: Gateway) -> None:
    body = asked("openai", input=f"{TEXT} [[cut=reset cut_after=1]]", stream_format="sse")
    answer = http.post("/audio/speech", json=body)
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert events[0]["type"] == "speech.audio.delta"
    assert events[-1]["error"]["code"] == "provider_error"
    assert nano(events[-1]["error"]["usage"]) > 0


def test_the_books_say_what_was_spoken(local: Gateway) -> None:
    name = f"speech-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name)
    key = put_key(local.aws_endpoint_url, name, "alice")
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        for provider in OWN:
            client.audio.speech.create(**asked(provider))
        with pytest.raises(openai.BadRequestError):
            client.audio.speech.create(**asked("openai", voice={"id": "x"}, model="openai/tts-1"))
        with pytest.raises(openai.InternalServerError):
            client.audio.speech.create(**asked("openai", input="a [[status=500]]"))
    books = settled(local, f"T#{name}#0")
    assert number(books, "s") == number(books, "c") == sum(COSTS_NANO_USD[provider] for provider in OWN)


def test_a_budget_holds_what_the_text_costs(local: Gateway) -> None:
    """200 characters at 15 USD a million are 0.003 USD: three times fit into a cent."""
    name = f"speech-{uuid.uuid4().hex[:8]}"
    budget = {"window": "month", "usd": usd_text(10_000_000)}
    put_tenant(local.aws_endpoint_url, name, allowance={"budgets": [budget]})
    key = put_key(local.aws_endpoint_url, name, "alice")
    codes: list[Any] = []
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        for _ in range(4):
            try:
                client.audio.speech.create(**asked("openai-tts-1", input="x" * 200))
                codes.append(200)
            except openai.APIStatusError as refused:
                codes.append(refused.code)
    assert codes == [200, 200, 200, "budget_exceeded"]
    assert number(settled(local, f"T#{name}#0"), "s") == 9_000_000


def test_models_say_what_can_be_asked_for(sdk: openai.OpenAI) -> None:
    facts = sdk.models.retrieve(MODELS["elevenlabs"]).gateway  # type: ignore[attr-defined]  # ours
    assert "speech" in facts["capabilities"]
    assert facts["speech"]["formats"] == ["mp3", "opus", "wav", "pcm"]
    assert facts["unit_prices"] == [{"unit": "characters", "variant": None, "usd": 0.05, "per": 1000}]


# -- in a chat ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [name for name in OWN if name != "google"])
def test_a_text_in_a_chat_is_spoken(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    """In the model's own first voice, or in the one that is asked for."""
    said: Any = {"model": MODELS[provider], "messages": [{"role": "user", "content": TEXT}]}
    sdk.chat.completions.create(**said)
    reply = sdk.chat.completions.create(**said, extra_body={"audio": {"voice": VOICES[provider], "format": "wav"}})
    (sound,) = reply.choices[0].message.media
    opened = httpx.get(sound["url"]).content
    assert (sound["type"], sound["content_type"], sound["size_bytes"]) == ("audio", "audio/wav", len(opened))
    if gateway.simulators:
        assert opened == with_sizes(made_of(provider, "wav"))
        assert nano(reply.to_dict()["usage"]) == COSTS_NANO_USD[provider]
