"""Recorded transcripts: calls render as recorded, answers mean what they say, errors are understood."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderRejected
from gateway.model.transcription import Sound, TranscriptionCall
from gateway.providers.contract import Target, TranscriptionWire
from gateway.providers.lookup import provider_named
from tests.providers import replay
from tests.providers.recorded import Recorded, ids, recorded

NOT_OURS = {"cohere", "mistral", "openrouter", "xai"}
"""Providers that write recordings down, and are not asked for it yet."""
DIARIZED = "openai-stt-1034e1b3e380"
REFUSED = "openai-errors-4c07f90d0bcb"
MEANT = {
    "openai-stt-5fdccdc2c857": ("あたし", 1, 1, 5),
    "openai-stt-59f0899ae43a": ("Hello World, this is a test.", 17, 17, 10),
    "openai-stt-3eb661c72d5d": ("Hello world, this is a test.", 17, 17, 10),
    DIARIZED: ("Ruby is a programming language designed for developer happiness.", 37, 37, 145),
    "groq-stt-85b4bddc531f": ("Simple transcription without usage data.", None, None, None),
}
"""The text; tokens heard, of these sound, and written."""

PLAN = recorded(lambda row: row["api"] == "stt" and row["file"].partition("/")[0] not in NOT_OURS)
if not PLAN:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)
WHOLE = [one for one in PLAN if one.id not in {REFUSED, DIARIZED, "openai-stt-3eb661c72d5d"}]
STREAMED = [one for one in PLAN if one.id in {DIARIZED, "openai-stt-3eb661c72d5d"}]


def wire_and_target(one: Recorded) -> tuple[TranscriptionWire, Target]:
    provider = provider_named(one.provider)
    api, wire = next(iter(provider.transcriptions.items()))
    assert provider.base_url is not None
    return wire, Target(provider.name, ModelFacts(id=model_of(one), name="", api=api), provider.base_url)


def form(one: Recorded) -> list[dict[str, Any]]:
    request = one.load()["request"] or {}
    fields: list[dict[str, Any]] = request.get("form", [])
    return fields


def model_of(one: Recorded) -> str:
    return next((field["text"] for field in form(one) if field["name"] == "model"), "m")


@pytest.mark.parametrize("one", [one for one in PLAN if one.provider == "openai" and one.id not in (REFUSED, DIARIZED)])
def test_requests(one: Recorded) -> None:
    """The same fields; the format is always said, and the file has a name of the gateway's."""
    wire, target = wire_and_target(one)
    recorded_fields = form(one)
    said = {(field["name"], field["text"]) for field in recorded_fields if "text" in field}
    file = next(field for field in recorded_fields if field["name"] == "file")
    is_wav = file.get("content_type") == "audio/wav"
    sound = Sound(b64decode(file["base64"]), "audio/wav" if is_wav else "audio/mpeg")
    call = TranscriptionCall(
        model=target.model.id,
        stream=("stream", "true") in said,
        include=["logprobs"] if ("include[]", "logprobs") in said else None,
    )
    request = wire.render(call, sound, target)
    assert request.url == one.load()["request"]["url"]
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    parts = [part.partition(b"\r\n\r\n") for part in request.body.split(b"--" + boundary)[1:-1]]
    sent = {(head.decode().split('"')[1], data.removesuffix(b"\r\n")) for head, _, data in parts}
    wanted = {(name, text.encode()) for name, text in said} | {("file", sound.data), ("response_format", b"json")}
    assert sent == wanted


@pytest.mark.parametrize("one", WHOLE, ids=ids(WHOLE))
def test_answers(one: Recorded) -> None:
    wire, target = wire_and_target(one)
    answer = one.load()["response"]
    made = wire.parse(HttpResponse(200, answer["headers"], replay.raw_body(answer)), target)
    if one.provider == "deepgram":
        assert made.text.startswith("Yeah. As as much as, it's worth celebrating")
        assert made.duration_ms == 25_934
        assert (made.words[0].word, made.words[0].start, made.words[0].end) == ("Yeah.", 0.0, 0.48)
        assert len(made.words) == len(made.text.split())
        assert made.segments[0].text.startswith("Yeah.")
        assert made.segments[-1].end <= 25.94
        return
    text, *tokens = MEANT[one.id]
    usage = made.usage
    told = (usage.prompt_tokens, usage.prompt.audio_tokens, usage.completion_tokens) if usage else (None,) * 3
    assert (made.text, *told) == (text, *tokens)
    assert (made.logprobs is not None) is ("logprobs" in answer["body"])


@pytest.mark.parametrize("one", STREAMED, ids=ids(STREAMED))
def test_streams(one: Recorded) -> None:
    """What is told of who speaks is not asked for and not read."""
    wire, target = wire_and_target(one)
    data = one.load()["response"]["sse"].encode()
    for size in (len(data), 7):
        parser = wire.stream(target)
        chunks = [chunk for at in range(0, len(data), size) for chunk in parser.feed(data[at : at + size])]
        chunks += parser.close()
        whole = chunks[-1].whole
        assert whole is not None
        assert whole.usage is not None
        usage = whole.usage
        told = (whole.text, usage.prompt_tokens, usage.prompt.audio_tokens, usage.completion_tokens)
        assert told == MEANT[one.id]
        deltas = "".join(chunk.delta for chunk in chunks)
        assert deltas == ("" if one.id == DIARIZED else whole.text)


def test_the_refusal() -> None:
    (one,) = (one for one in PLAN if one.id == REFUSED)
    wire, target = wire_and_target(one)
    answer = one.load()["response"]
    failure = wire.fail(HttpResponse(answer["status"], answer["headers"], replay.raw_body(answer)), target)
    assert isinstance(failure, ProviderRejected)
    assert "Input should be 'json'" in failure.message


def test_every_recording_takes_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert {one.id for one in (*WHOLE, *STREAMED)} | {REFUSED} == {one.id for one in PLAN}
    with capsys.disabled():
        print(f"\ntranscripts: {len(PLAN)} answers")  # noqa: T201  # the figure this suite is for
