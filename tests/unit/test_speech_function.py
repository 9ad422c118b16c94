"""POST /v1/audio/speech in memory: how it is given, what hooks are asked, what is refused and what is charged."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.entry.speech import ROUTE, speech_app
from gateway.model.call import MAX_BEGIN_MS
from gateway.model.catalog import ModelFacts, Prices, SpeechFacts, UnitPrice
from gateway.model.errors import StorageUnavailable
from gateway.model.limits import Allowance, Budget
from gateway.model.provider_errors import ProviderError
from gateway.model.wav import wav_header, with_sizes
from gateway.pipeline.job_work import ask
from tests.asgi import Answer, call
from tests.fakes import (
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    world_of,
)
from tests.unit.audio_gateway import AudioGateway, Speaker, Spoken
from tests.unit.conftest import KEY
from tests.unit.test_hooks import hook

FACTS = SpeechFacts(
    voices=("alloy", "ash"), formats=("mp3", "wav"), min_speed=0.5, max_speed=2, max_input=100, instructions=True
)
CHARACTERS = (UnitPrice(unit="characters", pico_usd=15_000_000),)


def speaker(name: str, **facts: Any) -> ModelFacts:
    return ModelFacts(id=name, name="", api="speech", source="https://example.org", capabilities=("speech",), **facts)


MODELS = {
    "openai": {
        "tts": speaker("tts", speech=FACTS, unit_prices=CHARACTERS),
        "plain": speaker("plain", speech=SpeechFacts(formats=("wav",)), unit_prices=CHARACTERS),
        "new": speaker("new"),
        "tokens": msgspec.structs.replace(
            speaker("tokens", speech=FACTS, prices=Prices(input=600_000, output=12_000_000)),
            capabilities=("speech", "streaming"),
        ),
        "gpt": ModelFacts(id="gpt", name="", source="x"),
    }
}
SOUND = [b"ID3 one ", b"two ", b"three"]


class Gateway(AudioGateway):
    async def speak(self, accept: str = "application/octet-stream", **body: Any) -> Answer:
        answer = Answer()
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "accept": accept}
        body = {"model": "openai/tts", "input": "Hello", "voice": "alloy", **body}
        app = speech_app(self.world)
        return await call(app, json.dumps(body).encode(), headers, path=ROUTE, answer=answer)


@pytest.fixture
def gateway() -> Gateway:
    access, provider = MemoryAccess(), Speaker(Spoken(SOUND))
    world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers whatever it is asked
    made = Gateway(world, provider, access)
    made.allow()
    return made


async def test_bytes_go_on_as_they_come(gateway: Gateway) -> None:
    answer = await gateway.speak(metadata={"conversation_id": "c-1"})
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert answer.parts == [*SOUND, b""]
    usage = json.loads(answer.headers["x-gateway-usage"])
    assert usage == {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "units": {"characters": 5},
        "cost_estimate": 75_000 / 1e9,
        "estimated": False,
    }
    assert answer.headers["x-gateway-request-id"].startswith("req_")
    record = gateway.record
    assert (record.of.operation, record.of.conversation_id, record.outcome) == ("speech", "c-1", "ok")
    assert (record.cost_nano_usd, record.units, record.stream) == (75_000, {"characters": 5}, True)


@pytest.mark.parametrize("accept", ["audio/mpeg", "audio/*", "application/octet-stream", "text/html, audio/wav;q=0.5"])
async def test_who_accepts_sound_gets_it(gateway: Gateway, accept: str) -> None:
    assert (await gateway.speak(accept)).body == b"".join(SOUND)
    assert gateway.files.whole == {}


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
async def test_everybody_else_gets_a_file(gateway: Gateway, accept: str) -> None:
    told = (await gateway.speak(accept)).json
    assert (told["object"], told["content_type"], told["model"]) == ("audio.speech", "audio/mpeg", "openai/tts")
    assert gateway.files.whole["acme", told["file_id"]][1] == b"".join(SOUND)
    assert (told["size_bytes"], told["usage"]["cost_estimate"]) == (len(b"".join(SOUND)), 75_000 / 1e9)


async def test_bytes_can_be_asked_for_whatever_is_accepted(gateway: Gateway) -> None:
    assert (await gateway.speak("*/*", stream_format="audio")).body == b"".join(SOUND)


async def test_events_are_made_of_any_recording(gateway: Gateway) -> None:
    answer = await gateway.speak(stream_format="sse")
    *deltas, done, end = answer.events
    assert [b64decode(delta["audio"]) for delta in deltas] == SOUND
    assert (done["type"], done["usage"]["units"], end) == ("speech.audio.done", {"characters": 5}, "[DONE]")


async def test_the_format_is_mp3_or_the_models_own(gateway: Gateway) -> None:
    await gateway.speak()
    assert json.loads(gateway.provider.sent[0].body)["response_format"] == "mp3"
    answer = await gateway.speak(model="openai/plain")
    assert answer.headers["content-type"] == "audio/wav"


async def test_a_stored_wav_file_gets_its_sizes(gateway: Gateway) -> None:
    gateway.provider.answer.pieces = [wav_header(24_000), b"\1\2\3\4"]
    told = (await gateway.speak("", response_format="wav")).json
    stored = gateway.files.whole["acme", told["file_id"]][1]
    assert stored == wav_header(24_000, data_bytes=4) + b"\1\2\3\4"


def test_sizes_are_set_only_where_they_are_not_known() -> None:
    known = wav_header(8_000, data_bytes=2) + b"\1\2"
    assert with_sizes(known) == known
    assert with_sizes(b"ID3") == b"ID3"
    assert with_sizes(b"RIFF....WAVE") == b"RIFF....WAVE"


async def test_tokens_are_estimated_in_the_header_and_exact_in_the_books(gateway: Gateway) -> None:
    usage = {"input_tokens": 7, "output_tokens": 30, "total_tokens": 37}
    said = [{"type": "speech.audio.delta", "audio": "SUQz"}, {"type": "speech.audio.done", "usage": usage}]
    data = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in said)
    gateway.provider.answer = Spoken([data], headers={"content-type": "text/event-stream"})
    answer = await gateway.speak(model="openai/tokens")
    assert answer.body == b"ID3"
    assert json.loads(answer.headers["x-gateway-usage"])["estimated"] is True
    assert gateway.record.cost_nano_usd == 7 * 600 + 30 * 12_000
    assert gateway.record.usage is not None
    assert gateway.record.usage.completion.audio_tokens == 30


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"voice": None}, "validation_error", "voice"),
        ({"voice": "nobody"}, "validation_error", "voice"),
        ({"voice": {"id": "v"}}, "capability_not_supported", "voice"),
        ({"input": ""}, "validation_error", "input"),
        ({"input": "x" * 101}, "validation_error", "input"),
        ({"speed": 0.4}, "validation_error", "speed"),
        ({"speed": 3}, "validation_error", "speed"),
        ({"speed": 2, "model": "openai/plain"}, "capability_not_supported", "speed"),
        ({"instructions": "Sing.", "model": "openai/plain"}, "capability_not_supported", "instructions"),
        ({"response_format": "flac"}, "capability_not_supported", "response_format"),
        ({"response_format": "ogg"}, "validation_error", "response_format"),
        ({"stream_format": "chunks"}, "validation_error", "stream_format"),
        ({"metadata": {"team": "x"}}, "capability_not_supported", "metadata.team"),
        ({"provider_options": {"openai": {"voice": "x"}}}, "capability_not_supported", "provider_options.openai.voice"),
        ({"model": "openai/gpt"}, "capability_not_supported", "model"),
        ({"model": "openai/nope"}, "model_not_found", "model"),
        ({"async": True, "stream_format": "sse"}, "validation_error", "async"),
        ({"pitch": 1}, "validation_error", "pitch"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name_unsent_and_free(
    gateway: Gateway, body: dict[str, Any], code: str, param: str
) -> None:
    error = (await gateway.speak(**body)).json["error"]
    assert (error["code"], error["param"]) == (code, param), error
    assert gateway.provider.sent == []


async def test_a_model_without_facts_is_asked_what_the_client_asks(gateway: Gateway) -> None:
    answer = await gateway.speak(model="openai/new", voice={"id": "mine"}, speed=4, response_format="opus")
    assert answer.status == 200
    assert json.loads(gateway.provider.sent[0].body)["voice"] == {"id": "mine"}
    assert json.loads(answer.headers["x-gateway-usage"])["cost_estimate"] is None


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (Spoken([b"{}"], 500), 502, "provider_error"),
        (Spoken([b"{}"], 429), 429, "rate_limited"),
    ],
)
@pytest.mark.parametrize("accept", ["audio/*", "application/json"])
async def test_what_is_refused_keeps_its_status_and_is_free(
    gateway: Gateway, answer: Spoken, status: int, code: str, accept: str
) -> None:
    gateway.provider.answer = answer
    refused = await gateway.speak(accept)
    assert (refused.status, refused.json["error"]["code"]) == (status, code)
    assert gateway.record.cost_nano_usd == 0


@pytest.mark.parametrize(
    "answer",
    [
        Spoken([b"<html>"], headers={"content-type": "text/html"}),
        Spoken([]),
        Spoken([], then=ProviderError("gone")),
    ],
)
@pytest.mark.parametrize("accept", ["audio/*", "application/json"])
async def test_what_fails_after_it_was_begun_keeps_its_status_and_is_charged(
    gateway: Gateway, answer: Spoken, accept: str
) -> None:
    gateway.provider.answer = answer
    failed = await gateway.speak(accept)
    assert (failed.status, failed.json["error"]["code"]) == (502, "provider_error")
    assert gateway.record.cost_nano_usd == 75_000


async def test_bytes_that_break_off_are_broken_off_and_charged(gateway: Gateway) -> None:
    gateway.provider.answer.then = ProviderError("gone")
    with pytest.raises(ProviderError):
        await gateway.speak()
    assert (gateway.record.outcome, gateway.record.cost_nano_usd) == ("error", 75_000)


async def test_events_that_break_off_end_with_the_error_and_its_cost(gateway: Gateway) -> None:
    gateway.provider.answer.then = ProviderError("gone")
    answer = await gateway.speak(stream_format="sse")
    assert answer.events[-1]["error"]["code"] == "provider_error"
    assert answer.events[-1]["error"]["usage"]["cost_estimate"] == 75_000 / 1e9


async def test_a_recording_is_stored_for_as_long_as_it_may_be_spoken(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a slow speaker takes is no fault of the storage."""
    limits: list[float] = []
    timeout = asyncio.timeout

    def noting(limit_s: float) -> asyncio.Timeout:
        limits.append(limit_s)
        return timeout(limit_s)

    monkeypatch.setattr(asyncio, "timeout", noting)
    assert (await gateway.speak("application/json")).status == 200
    assert min(limits) > MAX_BEGIN_MS / 1000 - 5


async def test_an_answer_begins_before_its_connection_is_dropped(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put_stream(*_: Any) -> int:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("gateway.pipeline.exchange.ANSWER_S", 0.05)
    monkeypatch.setattr("gateway.pipeline.speech.STORE_S", 0.0)
    monkeypatch.setattr(gateway.files, "put_stream", put_stream)
    answer = await gateway.speak("application/json")
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    assert answer.headers["x-should-retry"] == "false"


async def test_a_job_that_waited_and_took_its_time_is_stored_all_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = await gateway.speak("application/json", **{"async": True})
    clock, put_stream = gateway.world.clock, gateway.files.put_stream
    assert isinstance(clock, ManualClock)

    async def pass_(seconds: float) -> None:
        clock.unix_s, clock.running_s = clock.unix_s + seconds, clock.running_s + seconds
        await asyncio.sleep(0.01)  # lets a deadline that has come strike

    async def slowly(*given: Any) -> int:
        await pass_(MAX_BEGIN_MS / 1000)
        return await put_stream(*given)

    monkeypatch.setattr(gateway.files, "put_stream", slowly)
    await pass_(3_600)
    job = await ask(await gateway.world.jobs.get("acme", accepted.json["id"]), gateway.world)
    assert (job.status, job.error) == ("completed", None)


async def test_a_recording_that_cannot_be_stored_is_paid_all_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put_stream(*_: Any) -> int:
        raise StorageUnavailable("The files cannot be reached.")

    monkeypatch.setattr(gateway.files, "put_stream", put_stream)
    answer = await gateway.speak("application/json")
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (503, "storage_unavailable")
    assert gateway.record.cost_nano_usd == 75_000
    assert (answer.headers["x-should-retry"], error["retryable"]) == ("false", False)
    assert error["usage"]["cost_estimate"] == 75_000 / 1e9


async def test_a_budget_holds_what_the_text_costs(gateway: Gateway) -> None:
    gateway.allow(allowance=Allowance(budgets=(Budget(window="month", usd=Decimal("0.0001")),)))
    assert (await gateway.speak(input="x" * 7)).json["error"]["code"] == "budget_exceeded"
    assert (await gateway.speak(input="x" * 6)).status == 200


# -- hooks --------------------------------------------------------------------------------------------------------


async def test_hooks_see_the_words_and_the_facts_of_the_recording(gateway: Gateway) -> None:
    remote = gateway.allow(hooks=(hook(stages=["pre_call", "post_response"]),))
    remote.answers["lambda"] = {"action": "allow"}
    told = (await gateway.speak("")).json
    before, after = remote.questions
    assert before["request"] == {"model": "openai/tts", "input": "Hello", "voice": "alloy"}
    assert (before["operation"], after["stage"]) == ("speech", "post_response")
    assert after["response"] == {
        "object": "audio.speech",
        "model": "openai/tts",
        "content_type": "audio/mpeg",
        "size_bytes": len(b"".join(SOUND)),
    }
    assert [run["stage"] for run in told["gateway"]["hooks"]] == ["pre_call", "post_response"]


async def test_blocked_words_are_never_sent_and_free(gateway: Gateway) -> None:
    gateway.allow(hooks=(hook("deny_list", phrases=["Hello"]),))
    answer = await gateway.speak()
    assert (answer.status, answer.json["error"]["code"]) == (403, "request_blocked")
    assert gateway.provider.sent == []


async def test_a_hook_may_change_what_is_said(gateway: Gateway) -> None:
    remote = gateway.allow(hooks=(hook(stages=["pre_call"]),))
    remote.answers["lambda"] = {"action": "modify", "patch": {"input": "Hello, dear", "voice": "ash"}}
    await gateway.speak()
    sent = json.loads(gateway.provider.sent[0].body)
    assert (sent["input"], sent["voice"]) == ("Hello, dear", "ash")
    assert gateway.record.units == {"characters": 11}


@pytest.mark.parametrize("patch", [{"model": "openai/new"}, {"voice": "nobody"}, {"speed": 9}])
async def test_what_no_hook_may_change_fails_closed(gateway: Gateway, patch: dict[str, Any]) -> None:
    remote = gateway.allow(hooks=(hook(stages=["pre_call"]),))
    remote.answers["lambda"] = {"action": "modify", "patch": patch}
    assert (await gateway.speak()).status in (400, 503)
    assert gateway.provider.sent == []


@pytest.mark.parametrize("form", [{"accept": ""}, {}, {"stream_format": "sse"}])
async def test_a_blocked_recording_is_given_to_nobody_and_charged(gateway: Gateway, form: dict[str, Any]) -> None:
    remote = gateway.allow(hooks=(hook(stages=["post_response"]),))
    remote.answers["lambda"] = {"action": "block", "reason": "no"}
    answer = await gateway.speak(**form)
    assert (answer.status, answer.json["error"]["code"]) == (403, "response_blocked")
    assert answer.json["error"]["usage"]["cost_estimate"] == 75_000 / 1e9
    assert gateway.files.whole == {}
    assert gateway.record.cost_nano_usd == 75_000
