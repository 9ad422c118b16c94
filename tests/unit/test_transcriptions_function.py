"""POST /v1/audio/transcriptions in memory: where recordings come from, what hooks see, what is refused and charged."""

from __future__ import annotations

import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.entry.transcriptions import ROUTE, transcriptions_app
from gateway.model.catalog import ModelFacts, Prices, TranscriptionFacts, UnitPrice
from gateway.model.errors import MediaNotFound
from gateway.model.file import File, StoredFile, new_file_id
from gateway.model.limits import Allowance, Budget
from gateway.model.provider_errors import ProviderError
from gateway.model.transcription import LEAST_BYTES_PER_SECOND
from gateway.pipeline.sound import MAX_SOUND_BYTES
from local.simulators.sounds import wav_of
from tests.asgi import Answer, call
from tests.fakes import (
    FixedFetcher,
    MemoryAccess,
    MemoryCatalog,
    MemoryFiles,
    world_of,
)
from tests.unit.audio_gateway import AudioGateway, Speaker, Spoken
from tests.unit.conftest import KEY
from tests.unit.test_hooks import hook

SOUND = wav_of(bytes(8_000 * 2 * 3), 8_000)  # three seconds
PER_MINUTE = (UnitPrice(unit="audio_ms", pico_usd=6_000_000_000, per=60_000),)
COST, HELD = 3_000 * 6_000_000 // 60_000, 4_000 * 6_000_000 // 60_000
TIMED = TranscriptionFacts(timestamps=("word", "segment"), language=True, prompt=True, temperature=True)

LISTS = TranscriptionFacts(language=True, languages=True, keywords=True)


def writer(name: str, *more: str, **facts: Any) -> ModelFacts:
    can = ("transcription", *more)
    return ModelFacts(id=name, name="", api="transcriptions", source="https://example.org", capabilities=can, **facts)


MODELS = {
    "openai": {
        "whisper": writer("whisper", transcription=TIMED, unit_prices=PER_MINUTE),
        "small": writer("small", transcription=TranscriptionFacts(max_bytes=1000), unit_prices=PER_MINUTE),
        "least": writer("least", transcription=TranscriptionFacts(min_ms=10_000), unit_prices=PER_MINUTE),
        "new": writer("new"),
        "lists": writer("lists", "streaming", transcription=LISTS, unit_prices=PER_MINUTE),
        "gpt": writer(
            "gpt",
            "streaming",
            transcription=TranscriptionFacts(logprobs=True),
            prices=Prices(input=1_000_000, output=5_000_000),
        ),
        "speaker": ModelFacts(id="speaker", name="", source="x"),
    },
    "google": {
        "hears": ModelFacts(
            id="hears",
            name="",
            api="generate_content",
            source="x",
            capabilities=("transcription",),
            prices=Prices(input=1_000_000, output=5_000_000),
        )
    },
}
TOLD = {
    "text": "Good evening.",
    "duration": 3.0,
    "language": "english",
    "usage": {"type": "duration", "seconds": 3},
    "segments": [{"start": 0, "end": 1.5, "text": " Good"}, {"start": 3661.5, "end": 3662, "text": "evening <b>"}],
    "words": [{"word": "Good", "start": 0, "end": 1.5}],
}
JSON = {"content-type": "application/json"}


def form(**fields: Any) -> tuple[bytes, str]:
    """A list is a field for each item; bytes are the file."""
    parts = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            head = f'name="{name}"' + ('; filename="a.wav"' if isinstance(one, bytes) else "")
            data = one if isinstance(one, bytes) else str(one).encode()
            parts.append(f"--mark\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + b"--mark--\r\n", "multipart/form-data; boundary=mark"


class Gateway(AudioGateway):
    async def send(self, body: bytes, content_type: str) -> Answer:
        headers = {"authorization": f"Bearer {KEY}", "content-type": content_type}
        return await call(transcriptions_app(self.world), body, headers, path=ROUTE, answer=Answer())

    async def write(self, **fields: Any) -> Answer:
        return await self.send(*form(**{"model": "openai/whisper", "file": SOUND, **fields}))

    async def write_json(self, **members: Any) -> Answer:
        return await self.send(json.dumps({"model": "openai/whisper", **members}).encode(), "application/json")

    def says(self, *events: Any, **members: Any) -> None:
        """A stream of these, or one answer."""
        if events:
            data = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)
            self.provider.answer = Spoken([data], headers={"content-type": "text/event-stream"})
        else:
            self.provider.answer = Spoken([json.dumps({**TOLD, **members}).encode()], headers=JSON)

    async def put(self, data: bytes) -> str:
        file_id = new_file_id("user_data", self.world.clock.now_s(), bytes(10))
        await self.world.files.put("acme", File(file_id, "a.wav", "audio/wav", len(data)), data)
        return file_id


@pytest.fixture
def gateway() -> Gateway:
    access, provider = MemoryAccess(), Speaker(Spoken([json.dumps(TOLD).encode()], headers=JSON))
    world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers whatever it is asked
    made = Gateway(world, provider, access)
    made.allow()
    return made


async def test_a_form_becomes_a_text_with_cost_and_report(gateway: Gateway) -> None:
    answer = await gateway.write(**{"metadata[conversation_id]": "c-1"})
    told = answer.json
    assert (answer.status, told["text"], told["model"]) == (200, "Good evening.", "openai/whisper")
    assert "logprobs" not in told
    assert (told["usage"]["type"], told["usage"]["seconds"], told["usage"]["units"]) == (
        "duration",
        3.0,
        {"audio_ms": 3000},
    )
    record = gateway.record
    assert (record.of.operation, record.of.conversation_id, record.cost_nano_usd) == ("transcriptions", "c-1", COST)
    assert b"RIFF" in gateway.provider.sent[0].body


async def test_every_format(gateway: Gateway) -> None:
    verbose = (await gateway.write(response_format="verbose_json", **{"timestamp_granularities[]": ["word"]})).json
    assert (verbose["task"], verbose["duration"], verbose["language"]) == ("transcribe", 3.0, "english")
    assert verbose["words"] == [{"word": "Good", "start": 0.0, "end": 1.5}]
    assert "segments" not in verbose
    assert (await gateway.write(response_format="text")).body == b"Good evening.\n"
    srt = await gateway.write(response_format="srt")
    assert srt.body.decode() == (
        "1\n00:00:00,000 --> 00:00:01,500\nGood\n\n2\n01:01:01,500 --> 01:01:02,000\nevening <b>\n\n"
    )
    assert json.loads(srt.headers["x-gateway-usage"])["cost_estimate"] == COST / 1e9
    vtt = await gateway.write(response_format="vtt")
    assert vtt.headers["content-type"].startswith("text/vtt")
    assert vtt.body.decode().endswith("01:01:01.500 --> 01:01:02.000\nevening &lt;b&gt;\n\n")


async def test_a_stream(gateway: Gateway) -> None:
    deltas = [{"type": "transcript.text.delta", "delta": text} for text in ("Good", " evening.")]
    usage = {"input_tokens": 30, "output_tokens": 4, "input_token_details": {"audio_tokens": 30}}
    gateway.says(*deltas, {"type": "transcript.text.done", "text": "Good evening.", "usage": usage})
    answer = await gateway.write(model="openai/gpt", stream="true")
    first, second, done, end = answer.events
    assert ([first["delta"], second["delta"]], done["text"], end) == (["Good", " evening."], "Good evening.", "[DONE]")
    assert done["usage"]["cost_estimate"] == (30 * 1000 + 4 * 5000) / 1e9
    assert gateway.record.stream is True


async def test_what_is_billed_is_never_more_than_was_held(gateway: Gateway) -> None:
    """OpenAI bills whole seconds of a recording that has a little more."""
    gateway.allow(allowance=Allowance(budgets=(Budget(window="month", usd=Decimal(5 * COST // 3) / 10**9),)))
    gateway.says(usage={"type": "duration", "seconds": 4})
    assert (await gateway.write(file=wav_of(bytes(8_000 * 2 * 3 + 2), 8_000))).status == 200
    assert gateway.record.cost_nano_usd == 4 * COST // 3


async def test_lists_of_languages_and_words(gateway: Gateway) -> None:
    gateway.says(languages=[{"code": "en"}, {"code": "de"}])
    asked = {"language": "de", "languages[]": ["en", "de"], "keywords[]": ["Lighthouse", "Keeper"]}
    told = (await gateway.write(model="openai/lists", **asked)).json
    assert told["languages"] == [{"code": "en"}, {"code": "de"}]
    sent = gateway.provider.sent[0].body
    found = [part.partition(b"\r\n\r\n")[2].strip().decode() for part in sent.split(b"--") if b"languages[]" in part]
    assert (found, b'name="language"' in sent) == (["de", "en"], False)
    assert all(word in sent for word in (b"Lighthouse", b"Keeper"))


async def test_a_stream_of_a_model_that_is_paid_by_the_time(gateway: Gateway) -> None:
    done = {"type": "transcript.text.done", "text": "Good.", "usage": {"type": "duration", "seconds": 4}}
    gateway.says({"type": "transcript.text.delta", "delta": "Good."}, {**done, "languages": []})
    *_, told, _end = (await gateway.write(model="openai/lists", stream="true")).events
    assert (told["languages"], told["usage"]["seconds"]) == ([], 4.0)
    assert gateway.record.cost_nano_usd == 4 * COST // 3


async def test_a_stream_that_breaks_off_says_so_and_is_charged(gateway: Gateway) -> None:
    gateway.says({"type": "transcript.text.delta", "delta": "Good"})
    answer = await gateway.write(model="openai/gpt", stream="true")
    assert answer.events[-1]["error"]["code"] == "provider_error"
    assert gateway.record.cost_nano_usd == 30 * 1000 + 1 * 5000
    assert gateway.record.usage is not None
    assert gateway.record.usage.estimated


async def test_a_file_of_the_tenant(gateway: Gateway) -> None:
    answer = await gateway.write_json(file=await gateway.put(SOUND))
    assert answer.json["text"] == "Good evening."
    assert SOUND in gateway.provider.sent[0].body


async def test_a_url_and_a_data_url(gateway: Gateway) -> None:
    assert isinstance(gateway.world.fetcher, FixedFetcher)
    gateway.world.fetcher.there["https://example.org/a.wav"] = StoredFile(SOUND, "audio/wav", "")
    assert (await gateway.write_json(file="https://example.org/a.wav")).status == 200
    assert (await gateway.write_json(file=f"data:audio/wav;base64,{b64encode(SOUND).decode()}")).status == 200


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"file": b""}, 400, "validation_error", "file"),
        ({"file": b"text"}, 400, "validation_error", "file"),
        ({"file": SOUND[:40]}, 400, "validation_error", "file"),
        ({"file": SOUND[:44]}, 400, "validation_error", "file"),
        ({"file": b"RIFF" + bytes(4_400_000)}, 413, "payload_too_large", "file"),
        ({"model": "openai/small"}, 413, "payload_too_large", "file"),
        ({"file": "data:audio/wav,x"}, 400, "validation_error", "file"),
        ({"file": "data:audio/wav;base64,?"}, 400, "validation_error", "file"),
        ({"file": "file_000000000u0000000000000000"}, 422, "media_not_found", "file"),
        ({"response_format": "xml"}, 400, "validation_error", "response_format"),
        ({"response_format": "vtt", "model": "openai/gpt"}, 400, "capability_not_supported", "response_format"),
        ({"timestamp_granularities[]": ["word"]}, 400, "validation_error", "timestamp_granularities"),
        ({"stream": "true"}, 400, "capability_not_supported", "stream"),
        ({"stream": "perhaps"}, 400, "validation_error", "stream"),
        (
            {"stream": "true", "model": "openai/gpt", "response_format": "srt"},
            400,
            "validation_error",
            "response_format",
        ),
        ({"prompt": "x", "model": "openai/gpt"}, 400, "capability_not_supported", "prompt"),
        ({"languages[]": ["en", "de"]}, 400, "capability_not_supported", "languages"),
        ({"keywords[]": ["Lighthouse"]}, 400, "capability_not_supported", "keywords"),
        ({"languages[]": ["English!"], "model": "openai/lists"}, 400, "validation_error", "languages[0]"),
        ({"include[]": ["logprobs"]}, 400, "capability_not_supported", "include"),
        (
            {"include[]": ["logprobs"], "model": "openai/gpt", "response_format": "text"},
            400,
            "validation_error",
            "include",
        ),
        ({"temperature": "warm"}, 400, "validation_error", "temperature"),
        ({"language": "e"}, 400, "validation_error", "language"),
        ({"metadata[team]": "x"}, 400, "capability_not_supported", "metadata.team"),
        ({"model": "openai/speaker"}, 400, "capability_not_supported", "model"),
        ({"model": "openai/nope"}, 404, "model_not_found", "model"),
        ({"speed": "2"}, 400, "validation_error", "speed"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name_unsent_and_free(
    gateway: Gateway, fields: dict[str, Any], status: int, code: str, param: str
) -> None:
    answer = await gateway.write(**fields)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (status, code, param), error
    assert gateway.provider.sent == []


async def test_a_body_of_another_type(gateway: Gateway) -> None:
    assert (await gateway.send(SOUND, "audio/wav")).status == 415
    assert (await gateway.send(b"{}", "")).status == 415
    assert (await gateway.write_json()).json["error"]["param"] == "file"


async def test_a_file_that_has_expired_is_not_there(gateway: Gateway) -> None:
    file_id = await gateway.put(SOUND)
    file, data = gateway.files.whole["acme", file_id]
    gateway.files.whole["acme", file_id] = (replace(file, expires_at_s=1), data)
    answer = await gateway.write_json(file=file_id)
    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["param"]) == (
        422,
        "media_not_found",
        "file",
    )
    assert gateway.provider.sent == []


async def test_what_the_fetcher_refuses(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(*_: Any) -> StoredFile:
        raise MediaNotFound("Nothing there.", param="file")

    monkeypatch.setattr(gateway.world.fetcher, "fetch", fetch)
    answer = await gateway.write_json(file="https://example.org/a.wav")
    assert (answer.status, answer.json["error"]["code"]) == (422, "media_not_found")
    assert gateway.record.cost_nano_usd == 0


async def test_a_file_that_is_too_large_is_not_read(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = await gateway.put(SOUND)
    assert isinstance(gateway.world.files, MemoryFiles)
    file, data = gateway.world.files.whole["acme", file_id]
    gateway.world.files.whole["acme", file_id] = (replace(file, size_bytes=MAX_SOUND_BYTES + 1), data)
    answer = await gateway.write_json(file=file_id)
    assert (answer.status, answer.json["error"]["code"]) == (413, "payload_too_large")


async def test_a_provider_that_says_it_failed_is_not_paid(gateway: Gateway) -> None:
    gateway.provider.answer = Spoken([b"{}"], 500)
    assert (await gateway.write()).status == 502
    assert gateway.record.cost_nano_usd == 0


@pytest.mark.parametrize(
    "answer",
    [Spoken([b"<html>"], headers={"content-type": "text/html"}), Spoken([], then=ProviderError("gone"))],
)
async def test_a_provider_that_fails_after_it_was_asked_is_paid(gateway: Gateway, answer: Spoken) -> None:
    gateway.provider.answer = answer
    assert (await gateway.write()).status == 502
    assert gateway.record.cost_nano_usd == COST


async def test_what_a_provider_withholds_or_cuts_is_charged(gateway: Gateway) -> None:
    part = {"content": {"parts": [{"text": "Good"}]}, "finishReason": "MAX_TOKENS"}
    figures = {"promptTokenCount": 30, "candidatesTokenCount": 4}
    gateway.says(candidates=[part], usageMetadata=figures)
    answer = await gateway.write(model="google/hears")
    assert (answer.status, answer.json["error"]["param"]) == (400, "file")
    assert gateway.record.cost_nano_usd == 30 * 1000 + 4 * 5000


async def test_the_least_that_is_charged(gateway: Gateway) -> None:
    gateway.says(usage=None, duration=None)
    told = (await gateway.write(model="openai/least")).json
    assert told["usage"]["units"] == {"audio_ms": 10_000}


async def test_what_is_not_told_is_measured(gateway: Gateway) -> None:
    gateway.says(usage=None, duration=None)
    told = (await gateway.write()).json
    assert (told["usage"]["units"], told["usage"]["estimated"]) == ({"audio_ms": 3000}, False)
    told = (await gateway.write(file=b"\x1a\x45\xdf\xa3\x42\x82\x84webm" + bytes(1000))).json
    assert told["usage"]["estimated"] is True


async def test_a_model_of_unknown_price(gateway: Gateway) -> None:
    told = (await gateway.write(model="openai/new", prompt="x", temperature="0.5")).json
    assert told["usage"]["cost_estimate"] is None


@pytest.mark.parametrize(("left", "status"), [(HELD - 1, 402), (HELD, 200)])
async def test_a_budget_holds_as_long_as_the_recording_is(gateway: Gateway, left: int, status: int) -> None:
    gateway.allow(allowance=Allowance(budgets=(Budget(window="month", usd=Decimal(left) / 10**9),)))
    assert (await gateway.write()).status == status


@pytest.mark.parametrize(("missing", "status"), [(1, 402), (0, 200)])
async def test_a_file_is_held_for_by_its_size(gateway: Gateway, missing: int, status: int) -> None:
    most_ms = (-(-len(SOUND) // LEAST_BYTES_PER_SECOND) + 1) * 1000
    most_nano = -(-most_ms * 6_000_000 // 60_000)
    gateway.allow(allowance=Allowance(budgets=(Budget(window="month", usd=Decimal(most_nano - missing) / 10**9),)))
    assert (await gateway.write_json(file=await gateway.put(SOUND))).status == status


# -- hooks --------------------------------------------------------------------------------------------------------


async def test_hooks_see_the_words_and_not_the_recording(gateway: Gateway) -> None:
    remote = gateway.allow(hooks=(hook(stages=["pre_call", "post_response"]),))
    remote.answers["lambda"] = {"action": "allow"}
    await gateway.write_json(file=f"data:audio/wav;base64,{b64encode(SOUND).decode()}", prompt="Lighthouse")
    before, after = remote.questions
    assert before["request"] == {"model": "openai/whisper", "prompt": "Lighthouse", "file": "gateway:media/0"}
    assert before["operation"] == "transcriptions"
    assert after["response"] == {"text": "Good evening.", "model": "openai/whisper"}


async def test_hooks_see_the_times_that_the_client_asked_for(gateway: Gateway) -> None:
    remote = gateway.allow(hooks=(hook(stages=["post_response"]),))
    remote.answers["lambda"] = {"action": "allow"}
    await gateway.write(response_format="vtt")
    await gateway.write(response_format="verbose_json", **{"timestamp_granularities[]": ["word"]})
    first, second = (asked["response"] for asked in remote.questions)
    assert (first["segments"][0]["text"], "words" in first) == (" Good", False)
    assert (second["words"][0]["word"], "segments" in second) == ("Good", False)


async def test_a_text_of_a_hook_is_one_segment(gateway: Gateway) -> None:
    remote = gateway.allow(hooks=(hook(stages=["post_response"]),))
    remote.answers["lambda"] = {"action": "modify", "patch": {"text": "Said otherwise."}}
    answer = await gateway.write(response_format="srt")
    assert answer.body.decode() == "1\n00:00:00,000 --> 01:01:02,000\nSaid otherwise.\n\n"


async def test_what_is_personal_is_masked_wherever_it_is_told(gateway: Gateway) -> None:
    """A number that is said in pieces is in no piece by itself."""
    gateway.allow(hooks=(hook("mask_pii", finds=["phone", "email"], stages=["post_response"]),))
    texts = (" Call +49 30 1234", " 56789 or write to joe@example.org.")
    segments = [{"start": at, "end": at + 1, "text": text, "tokens": [1]} for at, text in enumerate(texts)]
    words = [{"word": word, "start": 0, "end": 1} for word in "".join(texts).split()]
    gateway.says(text="".join(texts).strip(), segments=segments, words=words)
    asked = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    told = (await gateway.write(**asked)).json
    assert told["text"] == "Call <PHONE_1> or write to <EMAIL_1>."
    assert [(one["start"], one["end"], one["text"]) for one in told["segments"]] == [(0.0, 2.0, told["text"])]
    assert told["words"] == []
    gateway.says(
        text="to joe@example.org.", segments=[{**segments[1], "text": " to joe@example.org."}], words=words[-2:]
    )
    told = (await gateway.write(**asked)).json
    assert [one["word"] for one in told["words"]] == ["to", "<EMAIL_1>."]
    assert [(one["text"], "tokens" in one) for one in told["segments"]] == [(" to <EMAIL_1>.", False)]


async def test_a_hook_may_change_the_prompt_and_the_text(gateway: Gateway) -> None:
    remote = gateway.allow(hooks=(hook(stages=["pre_call"]),))
    remote.answers["lambda"] = {"action": "modify", "patch": {"prompt": "Tower", "language": "de"}}
    await gateway.write(prompt="Lighthouse")
    assert b"Tower" in gateway.provider.sent[0].body
    remote.answers["lambda"] = {"action": "modify", "patch": {"keywords": ["Tower"]}}
    await gateway.write(model="openai/lists", **{"keywords[]": ["Lighthouse"]})
    assert b"Lighthouse" not in gateway.provider.sent[1].body
    remote = gateway.allow(hooks=(hook(stages=["post_response"]),))
    remote.answers["lambda"] = {"action": "modify", "patch": {"text": "Good morning."}}
    assert (await gateway.write()).json["text"] == "Good morning."


@pytest.mark.parametrize(
    ("stage", "patch"),
    [
        ("pre_call", {"file": "file_1"}),
        ("pre_call", {"language": "?"}),
        ("post_response", {"language": "x"}),
        ("post_response", {"text": 1}),
    ],
)
async def test_what_no_hook_may_change_fails_closed(gateway: Gateway, stage: str, patch: dict[str, Any]) -> None:
    remote = gateway.allow(hooks=(hook(stages=[stage]),))
    remote.answers["lambda"] = {"action": "modify", "patch": patch}
    assert (await gateway.write()).status == 503


async def test_a_blocked_text_is_given_to_nobody_and_charged(gateway: Gateway) -> None:
    gateway.allow(hooks=(hook("deny_list", phrases=["evening"], stages=["post_response"]),))
    answer = await gateway.write()
    assert (answer.status, answer.json["error"]["code"]) == (403, "response_blocked")
    assert gateway.record.cost_nano_usd == COST


async def test_a_stream_is_held_back_for_a_hook_that_has_to_agree(gateway: Gateway) -> None:
    remote = gateway.allow(hooks=(hook(stages=["post_response"]),))
    remote.answers["lambda"] = {"action": "modify", "patch": {"text": "Good morning."}}
    delta = {"type": "transcript.text.delta", "delta": "Good evening."}
    gateway.says(delta, {"type": "transcript.text.done", "text": "Good evening."})
    first, done, _ = (await gateway.write(model="openai/gpt", stream="true")).events
    assert (first["delta"], done["text"]) == ("Good morning.", "Good morning.")
