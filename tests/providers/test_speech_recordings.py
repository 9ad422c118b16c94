"""Recorded speech: calls render as recorded, answers are the recordings that they say, with what they took."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.provider_errors import ProviderRejected
from gateway.model.speech import SpeechCall, SpeechChunk
from gateway.providers.contract import SpeechWire, Target
from gateway.providers.lookup import provider_named
from tests.providers import replay
from tests.providers.recorded import Recorded, ids, recorded

OURS = {"gemini": "google", "openai": "openai"}
NOT_OURS = {"openrouter", "venice", "xai"}
"""Providers that speak, and are not asked for it yet."""
SPOKE_NOTHING = {"gemini-tts-dee5e83fb2d8"}
MEANT = {"openai-tts-2e0007195ef1": {"response_format": "mp3"}}
"""What the gateway says where the recorded request leaves it to the provider."""

TOOK = {
    "openai-tts-9ca9d30e0e32": (10, 93, 93),
    "gemini-tts-40f9ba3b1925": (11, 23, 23),
    "gemini-tts-52f86f05ffa7": (10, 23, 23),
    "gemini-tts-eac18559ee0c": (10, 20, 20),
}
"""Tokens of the text, tokens made, and how many of these are sound."""

PLAN = recorded(lambda row: row["api"] == "tts" and row["file"].partition("/")[0] not in NOT_OURS)
if not PLAN:
    pytest.skip(f"no recordings at {replay.ROOT}", allow_module_level=True)


def wire_and_target(recording: dict[str, Any]) -> tuple[SpeechWire, Target]:
    provider = provider_named(OURS[recording["provider"]])
    api = next(iter(provider.speech))
    capabilities = ("speech", "streaming") if "stream_format" in recording["request"]["body"] else ("speech",)
    facts = ModelFacts(id=recording["model"], name="", api=api, source="x", capabilities=capabilities)
    assert provider.base_url is not None
    return provider.speech[api], Target(provider.name, facts, provider.base_url)


def call_from(recording: dict[str, Any]) -> SpeechCall:
    body = recording["request"]["body"]
    if "contents" in body:
        config = body["generationConfig"].get("speechConfig", {}).get("voiceConfig", {}).get("prebuiltVoiceConfig", {})
        text = body["contents"][0]["parts"][0]["text"]
        return SpeechCall(
            model=recording["model"], input=text, voice=config.get("voiceName", "Kore"), response_format="pcm"
        )
    words = {name: body[name] for name in ("model", "input", "voice", "speed") if name in body}
    return SpeechCall(**words, response_format=body.get("response_format", "mp3"))


def answer_of(recording: dict[str, Any]) -> tuple[bytes, str]:
    response = recording["response"]
    if "sse" in response:
        return response["sse"].encode(), "text/event-stream"
    if "base64" in response:
        return b64decode(response["base64"]), response["headers"]["content-type"]
    answers = response.get("chunks") or [response["body"]]
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in answers), "text/event-stream"


def heard(recording: dict[str, Any]) -> list[SpeechChunk]:
    wire, target = wire_and_target(recording)
    data, content_type = answer_of(recording)
    parser = wire.parser(call_from(recording), content_type, target)
    return [*parser.feed(data), *parser.close()]


@pytest.mark.parametrize("one", PLAN, ids=ids(PLAN))
def test_requests(one: Recorded) -> None:
    """Gemini is always asked for a stream, for its voice and for how long it may speak."""
    recording = one.load()
    wire, target = wire_and_target(recording)
    sent = msgspec.json.decode(wire.render(call_from(recording), target).body)
    wanted = recording["request"]["body"] | MEANT.get(one.id, {})
    if "generationConfig" in wanted:
        voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": call_from(recording).voice_id}}}
        wanted["generationConfig"] |= {"speechConfig": voice, "maxOutputTokens": call_from(recording).most_tokens(None)}
    elif "stream_format" in wanted:
        wanted["response_format"] = "mp3"
    assert sent == wanted


@pytest.mark.parametrize("one", PLAN, ids=ids(PLAN))
def test_answers(one: Recorded) -> None:
    recording = one.load()
    if one.id in SPOKE_NOTHING:
        with pytest.raises(ProviderRejected) as refused:
            heard(recording)
        assert (refused.value.param, refused.value.provider_code) == ("input", "OTHER")
        return
    chunks = heard(recording)
    audio = b"".join(chunk.audio for chunk in chunks)
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    if one.id == "openai-tts-2e0007195ef1":
        assert (audio, usages) == (b64decode(recording["response"]["base64"]), [])
        return
    assert len(audio) > 300
    (usage,) = usages
    assert (usage.prompt_tokens, usage.completion_tokens, usage.completion.audio_tokens) == TOOK[one.id]
