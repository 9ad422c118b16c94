"""Chats with models that speak, and with models that write recordings down."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from gateway.entry.chat import ROUTE, chat_app
from gateway.model.file import File, new_file_id
from gateway.model.provider_errors import ProviderError
from tests.asgi import Answer, call
from tests.fakes import (
    MemoryAccess,
    MemoryCatalog,
    world_of,
)
from tests.unit.audio_gateway import AudioGateway, Speaker, Spoken
from tests.unit.conftest import KEY
from tests.unit.test_hooks import hook
from tests.unit.test_speech_function import MODELS as SPEAKERS
from tests.unit.test_speech_function import SOUND as SPOKEN
from tests.unit.test_transcriptions_function import COST, JSON, TOLD
from tests.unit.test_transcriptions_function import MODELS as WRITERS
from tests.unit.test_transcriptions_function import SOUND as RECORDING

HELLO = [{"role": "user", "content": "Hello"}]
INLINE = {"type": "input_audio", "input_audio": {"data": b64encode(RECORDING).decode(), "format": "wav"}}


class Gateway(AudioGateway):
    async def chat(self, model: str, messages: list[Any], **members: Any) -> Answer:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        body = {"model": model, "messages": messages, **members}
        return await call(chat_app(self.world), json.dumps(body).encode(), headers, path=ROUTE)


@pytest.fixture
def gateway() -> Gateway:
    access, provider = MemoryAccess(), Speaker(Spoken(SPOKEN))
    catalog = MemoryCatalog({"openai": {**SPEAKERS["openai"], **WRITERS["openai"]}})
    world = world_of(provider, access, catalog)  # type: ignore[arg-type]  # it answers whatever it is asked
    made = Gateway(world, provider, access)
    made.allow()
    return made


@pytest.fixture
def writer(gateway: Gateway) -> Gateway:
    gateway.provider.answer = Spoken([json.dumps(TOLD).encode()], headers=JSON)
    return gateway


def said(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": [*parts]}]


# -- text to speech -----------------------------------------------------------------------------------------------


async def test_a_text_becomes_a_recording_in_the_tenants_storage(gateway: Gateway) -> None:
    messages = [{"role": "system", "content": "Good"}, {"role": "user", "content": "evening"}]
    reply = (await gateway.chat("openai/tts", messages, modalities=["audio"])).json
    (message,) = (choice["message"] for choice in reply["choices"])
    (sound,) = message["media"]
    assert (sound["type"], sound["content_type"], message["content"]) == ("audio", "audio/mpeg", None)
    assert gateway.files.whole["acme", sound["file_id"]][1] == b"".join(SPOKEN)
    body = json.loads(gateway.provider.sent[0].body)
    assert (body["input"], body["voice"]) == ("Good\n\nevening", "alloy")
    assert reply["usage"]["cost_estimate"] == 13 * 15_000 / 1e9
    assert (gateway.record.of.operation, gateway.record.units) == ("chat", {"characters": 13})


async def test_voice_and_format_are_those_of_the_chat(gateway: Gateway) -> None:
    await gateway.chat("openai/tts", HELLO, audio={"voice": "ash", "format": "wav"})
    body = json.loads(gateway.provider.sent[0].body)
    assert (body["voice"], body["response_format"]) == ("ash", "wav")


async def test_a_stream_has_the_recording_at_once(gateway: Gateway) -> None:
    chunk, end = (await gateway.chat("openai/tts", HELLO, stream=True)).events
    assert chunk["choices"][0]["delta"]["media"][0]["content_type"] == "audio/mpeg"
    assert end == "[DONE]"


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"audio": {"voice": "nobody"}}, "validation_error", "audio.voice"),
        ({"audio": {"format": "ogg"}}, "validation_error", "audio.format"),
        ({"audio": {"format": "pcm16"}}, "capability_not_supported", "audio.format"),
        ({"messages": [{"role": "user", "content": "x" * 101}]}, "validation_error", "messages"),
        ({"messages": said(INLINE)}, "capability_not_supported", "messages[0].content[0]"),
        ({"modalities": ["text"]}, "capability_not_supported", "modalities"),
        ({"temperature": 0}, "capability_not_supported", "temperature"),
        ({"model": "openai/plain"}, "validation_error", "audio.voice"),
    ],
)
async def test_what_a_speaker_cannot_honour(gateway: Gateway, members: dict[str, Any], code: str, param: str) -> None:
    body = {"model": "openai/tts", "messages": HELLO, **members}
    error = (await gateway.chat(**body)).json["error"]
    assert (error["code"], error["param"]) == (code, param), error
    assert gateway.provider.sent == []


async def test_a_blocked_recording_is_stored_nowhere_and_paid(gateway: Gateway) -> None:
    remote = gateway.allow(hooks=(hook(stages=["post_response"]),))
    remote.answers["lambda"] = {"action": "block", "reason": "no"}
    assert (await gateway.chat("openai/tts", HELLO)).json["error"]["code"] == "response_blocked"
    assert gateway.files.whole == {}
    assert gateway.record.cost_nano_usd == 5 * 15_000


# -- speech to text -----------------------------------------------------------------------------------------------


async def test_a_recording_becomes_the_reply(writer: Gateway) -> None:
    reply = (await writer.chat("openai/whisper", said({"type": "text", "text": "A lighthouse"}, INLINE))).json
    assert reply["choices"][0]["message"]["content"] == "Good evening."
    assert reply["usage"]["cost_estimate"] == COST / 1e9
    sent = writer.provider.sent[0].body
    assert RECORDING in sent
    assert b"A lighthouse" in sent
    assert writer.record.units == {"audio_ms": 3000}


@pytest.mark.parametrize("kind", ["audio", "file", "data"])
async def test_wherever_the_recording_is(writer: Gateway, kind: str) -> None:
    file_id = new_file_id("user_data", writer.world.clock.now_s(), bytes(10))
    await writer.world.files.put("acme", File(file_id, "a.wav", "audio/wav", len(RECORDING)), RECORDING)
    data = f"data:audio/wav;base64,{b64encode(RECORDING).decode()}"
    parts = {
        "audio": {"type": "audio", "url": file_id},
        "file": {"type": "file", "file": {"file_id": file_id}},
        "data": {"type": "file", "file": {"file_data": data}},
    }
    reply = await writer.chat("openai/whisper", said(parts[kind]))
    assert reply.json["choices"][0]["message"]["content"] == "Good evening."


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"messages": HELLO}, "validation_error", "messages"),
        ({"messages": said(INLINE, INLINE)}, "validation_error", "messages"),
        (
            {"messages": said({"type": "image_url", "image_url": {"url": "x"}})},
            "capability_not_supported",
            "messages[0].content[0]",
        ),
        (
            {"messages": said({"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}})},
            "validation_error",
            "messages[0].content[0]",
        ),
        (
            {"messages": said({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}})},
            "validation_error",
            "messages[0].content[0]",
        ),
        (
            {"messages": said({"type": "audio", "url": "file_000000000u0000000000000000"})},
            "media_not_found",
            "messages[0].content[0]",
        ),
        (
            {"model": "openai/gpt", "messages": said({"type": "text", "text": "x"}, INLINE)},
            "capability_not_supported",
            "messages",
        ),
        ({"temperature": 1.5}, "validation_error", "temperature"),
        ({"modalities": ["audio"]}, "capability_not_supported", "modalities"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "capability_not_supported", "tools"),
    ],
)
async def test_what_a_writer_cannot_honour(writer: Gateway, members: dict[str, Any], code: str, param: str) -> None:
    error = (await writer.chat(**{"model": "openai/whisper", "messages": said(INLINE), **members})).json["error"]
    assert (error["code"], error["param"]) == (code, param), error
    assert writer.provider.sent == []


async def test_a_writer_that_fails_after_it_was_asked_is_paid(writer: Gateway) -> None:
    writer.provider.answer = Spoken([], then=ProviderError("gone"))
    assert (await writer.chat("openai/whisper", said(INLINE))).status == 502
    assert writer.record.cost_nano_usd == 300_000
