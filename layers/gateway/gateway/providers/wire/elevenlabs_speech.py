"""ElevenLabs' speech: the voice is in the path, the format in the query.

Source: https://elevenlabs.io/docs/api-reference/text-to-speech/stream (2026-11)
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.speech import SpeechCall
from gateway.providers.contract import SpeechParser, Target
from gateway.providers.wire.elevenlabs_failures import failure_of
from gateway.providers.wire.options import with_options
from gateway.providers.wire.plain_audio import PlainAudio

FORMATS = {"mp3": "mp3_44100_128", "opus": "opus_48000_128", "wav": "wav_24000", "pcm": "pcm_24000"}
RESERVED = frozenset({"text", "model_id"})


class ElevenLabsSpeech(msgspec.Struct, frozen=True):
    def render(self, call: SpeechCall, target: Target) -> HttpRequest:
        kind = FORMATS.get(call.response_format or "mp3")
        if kind is None:
            raise CapabilityNotSupported(f"{target.model.id} gives {', '.join(FORMATS)} only.", param="response_format")
        body: Json = {"text": call.input, "model_id": target.model.id}
        if call.speed is not None:
            body["voice_settings"] = {"speed": call.speed}
        body = with_options(body, call.options_for(target.provider), target.provider, RESERVED)
        voice = quote(call.voice_id, safe="")
        url = f"{target.base_url}/v1/text-to-speech/{voice}/stream?output_format={kind}"
        return HttpRequest("POST", url, {"content-type": "application/json"}, msgspec.json.encode(body))

    def parser(self, _call: SpeechCall, content_type: str, target: Target) -> SpeechParser:
        return PlainAudio(content_type, target)

    def fail(self, response: HttpResponse, target: Target) -> ProviderFailure:
        return failure_of(response, target)
