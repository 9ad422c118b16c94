"""OpenAI's speech, as OpenAI and its imitators speak it.

Source: https://developers.openai.com/api/reference/resources/audio/subresources/speech/methods/create (2026-11)
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.model.speech import OwnVoice, SpeechCall, SpeechChunk
from gateway.model.usage import CompletionTokensDetails, TokenUsage
from gateway.providers.contract import SpeechParser, Target
from gateway.providers.wire.openai_chat_failure import interruption, refusal
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.options import with_options
from gateway.providers.wire.plain_audio import PlainAudio
from gateway.providers.wire.sse import SseDecoder

RESERVED = frozenset({"model", "input", "voice", "response_format", "stream_format", "instructions", "speed"})
EVENTS = "text/event-stream"


class Usage(Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class SpeechEvent(Struct):
    type: str = ""
    audio: str | None = None
    usage: Usage | None = None


_EVENT = msgspec.json.Decoder(SpeechEvent)


class OpenAiSpeech(msgspec.Struct, frozen=True):
    """`events`: whether models that count tokens are asked for events, which tell their usage in the end."""

    events: bool = True

    def render(self, call: SpeechCall, target: Target) -> HttpRequest:
        voice = {"id": call.voice.id} if isinstance(call.voice, OwnVoice) else call.voice
        body: Json = {
            "model": target.model.id,
            "input": call.input,
            "voice": voice,
            "response_format": call.response_format,
        }
        for name in ("speed", "instructions"):
            if (value := getattr(call, name)) is not None:
                body[name] = value
        if self.events and target.model.can("streaming"):
            body["stream_format"] = "sse"
        body = with_options(body, call.options_for(target.provider), target.provider, RESERVED)
        headers = {"content-type": "application/json", "accept": "*/*"}
        return HttpRequest("POST", target.base_url + "/audio/speech", headers, msgspec.json.encode(body))

    def parser(self, _call: SpeechCall, content_type: str, target: Target) -> SpeechParser:
        if content_type.lower().startswith(EVENTS):
            return EventParser(target)
        return PlainAudio(content_type, target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return refusal(response, target, Quirks())


class EventParser:
    """`speech.audio.delta` events, and `speech.audio.done` with what it took."""

    def __init__(self, target: Target) -> None:
        self._target, self._decoder = target, SseDecoder()
        self._has_begun = self._is_done = False

    def feed(self, data: bytes) -> Iterator[SpeechChunk]:
        for event in self._decoder.feed(data):
            if event.data != b"[DONE]":
                yield from self._read(event.name, event.data)

    def close(self) -> Iterator[SpeechChunk]:
        yield from self.feed(b"\n\n")
        if not self._is_done:
            raise ProviderError(f"{self._target.provider} broke off.")
        if not self._has_begun:
            raise ProviderError(f"{self._target.provider} answered with an empty recording.")

    def _read(self, name: str, data: bytes) -> Iterator[SpeechChunk]:
        try:
            event = _EVENT.decode(data)
            audio = b64decode(event.audio or "", validate=True)
        except (msgspec.MsgspecError, UnicodeDecodeError, NoBase64, ValueError):
            raise ProviderError(f"{self._target.provider} sent an event that cannot be read.") from None
        if name == "error" or event.type in ("error", ""):
            raise interruption(data, self._target, Quirks())
        if event.type == "speech.audio.delta" and audio:
            self._has_begun = True
            yield SpeechChunk(audio)
        if event.type == "speech.audio.done":
            self._is_done = True
            if event.usage is not None:
                yield SpeechChunk(usage=_usage(event.usage))


def _usage(usage: Usage) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        completion=CompletionTokensDetails(audio_tokens=usage.output_tokens),
    )
