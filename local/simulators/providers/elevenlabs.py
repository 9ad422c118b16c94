"""ElevenLabs: speech whose voice is in the path, and transcripts with times of words; errors as `detail`.

https://elevenlabs.io/docs/api-reference, https://elevenlabs.io/docs/eleven-api/resources/errors
"""

import re
from collections.abc import Iterable
from urllib.parse import parse_qs

from local.simulators.form import form_fields
from local.simulators.http1 import Request
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.providers.speech import TYPES, Voiced, Wording
from local.simulators.providers.transcriptions import Heard, audio_in, seconds_of, text_of, timed_words
from local.simulators.wire import (
    OBJECT,
    TEXT,
    UNKNOWN_MODEL,
    Api,
    Asked,
    Event,
    Json,
    Refused,
    Reply,
    check_key,
    check_parameters,
    decode_object,
    require,
)

SPEAK = re.compile(r"/v1/text-to-speech/(?P<voice>[^/]+)/stream")
KINDS = {"mp3_44100_128": "mp3", "opus_48000_128": "opus", "wav_24000": "wav", "pcm_24000": "pcm"}
RULES = {"text": TEXT, "model_id": TEXT, "voice_settings": OBJECT, "language_code": TEXT}
NO_VOICE = "nobody"


def error_body(refused: Refused, status: int) -> Json:
    """`{"detail": {"status", "message"}}`."""
    kind = "invalid_api_key" if status == 401 else "too_many_concurrent_requests" if status == 429 else refused.kind
    return {"detail": {"status": refused.code or kind, "message": refused.message}}


class ElevenLabs(Api):
    """Both endpoints. The SDK's base URL has no version."""

    name, prefix = "elevenlabs", "/elevenlabs"
    id_header = "request-id"
    _errors = ErrorStyle(error_body, statuses({"model_not_found": 400}, validation=422))

    def read(self, request: Request, path: str) -> Asked:
        check_key(request.headers.get("xi-api-key"))
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        if request.method == "POST" and (spoken := SPEAK.fullmatch(path)):
            return self._speak(
                spoken["voice"], query.get("output_format", "mp3_44100_128"), decode_object(request.body)
            )
        if request.method == "POST" and path == "/v1/speech-to-text":
            return self._listen(request)
        raise Refused("no_route", "Not Found")

    def _listen(self, request: Request) -> Asked:
        audio, said = audio_in(form_fields(request))
        model = said.get("model_id", [""])[0]
        if not model or model == UNKNOWN_MODEL:
            raise Refused("model_not_found", "A model with this id does not exist.", code="invalid_model_id")

        def write(asked: Heard) -> Json:
            words: list[Json] = []
            if said.get("timestamps_granularity", ["word"])[0] != "none":
                for text, start, end in timed_words(asked.audio):
                    words.append({"text": text, "start": start, "end": end, "type": "word"})
                    words.append({"text": " ", "start": end, "end": end, "type": "spacing"})
            told = {"language_code": "eng", "language_probability": 0.98, "text": text_of(asked.audio)}
            return {**told, "words": words[:-1], "audio_duration_secs": seconds_of(asked.audio)}

        return Heard(model, audio, "", write)

    def _speak(self, voice: str, output_format: str, body: Json) -> Asked:
        require(body, "text")
        check_parameters(body, RULES, strict=True)
        speed = (body.get("voice_settings") or {}).get("speed", 1)
        if not 0.7 <= speed <= 1.2:
            raise Refused("out_of_range", "Invalid setting for speed.", status=400)
        if output_format not in KINDS:
            raise Refused("wrong_type", "Unknown output format.", param="output_format")
        if voice == NO_VOICE:
            raise Refused(
                "fault", f"A voice with voice_id '{voice}' was not found.", status=404, code="voice_not_found"
            )
        model = body.get("model_id") or "eleven_multilingual_v2"
        if model == UNKNOWN_MODEL:
            raise Refused("model_not_found", "A model with this id does not exist.", code="model_not_found")
        kind = KINDS[output_format]
        return Voiced(model, body["text"], voice, kind, Wording(TYPES[kind]))

    def refuse(self, refused: Refused) -> Reply:
        return self._errors.render(refused)

    def stream_error(self, _status: int) -> Iterable[Event]:
        return ()  # bytes have no words for it
