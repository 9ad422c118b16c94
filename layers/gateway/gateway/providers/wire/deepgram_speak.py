"""Deepgram's speech: the voice is a part of the model's name, everything else is in the URL.

Source: https://developers.deepgram.com/reference/text-to-speech/speak-request (2026-11)
"""

from __future__ import annotations

import msgspec

from gateway.model.chat import Json
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.speech import SpeechCall
from gateway.providers.contract import SpeechParser, Target
from gateway.providers.wire.deepgram_failures import failure_of
from gateway.providers.wire.plain_audio import PlainAudio
from gateway.providers.wire.query import query_of

# https://developers.deepgram.com/docs/tts-media-output-settings
ENCODINGS: dict[str | None, Json] = {
    "mp3": {"encoding": "mp3"},
    "opus": {"encoding": "opus", "container": "ogg"},
    "aac": {"encoding": "aac"},
    "flac": {"encoding": "flac"},
    "wav": {"encoding": "linear16", "container": "wav", "sample_rate": 24_000},
    "pcm": {"encoding": "linear16", "container": "none", "sample_rate": 24_000},
}
RESERVED = frozenset({"model", "encoding", "container", "speed", "callback", "callback_method"})


class DeepgramSpeak(msgspec.Struct, frozen=True):
    def render(self, call: SpeechCall, target: Target) -> HttpRequest:
        parameters: Json = {"model": f"{target.model.id}-{call.voice_id}", **ENCODINGS[call.response_format]}
        if call.speed is not None and call.speed != 1:
            parameters["speed"] = call.speed
        options = call.options_for(target.provider)
        url = f"{target.base_url}/v1/speak{query_of(parameters, options, target.provider, RESERVED)}"
        body = msgspec.json.encode({"text": call.input})
        return HttpRequest("POST", url, {"content-type": "application/json"}, body)

    def parser(self, _call: SpeechCall, content_type: str, target: Target) -> SpeechParser:
        return PlainAudio(content_type, target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target)
