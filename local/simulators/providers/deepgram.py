"""Deepgram: speech whose voice is a part of the model's name, and transcripts with times of words.

https://developers.deepgram.com/reference, https://developers.deepgram.com/docs/errors
"""

from collections.abc import Iterable
from urllib.parse import parse_qs

from local.simulators.http1 import Request
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.providers.speech import TYPES, Voiced, Wording
from local.simulators.providers.transcriptions import (
    Heard,
    check_audio,
    seconds_of,
    text_of,
    timed_sentences,
    timed_words,
)
from local.simulators.wire import (
    UNKNOWN_MODEL,
    Api,
    Asked,
    Event,
    Json,
    Refused,
    Reply,
    check_key,
    decode_object,
)

MAX_TEXT = 2000
KINDS = {("mp3", ""): "mp3", ("opus", "ogg"): "opus", ("aac", ""): "aac", ("flac", ""): "flac"} | {
    ("linear16", "wav"): "wav",
    ("linear16", "none"): "pcm",
}


def error_body(refused: Refused, status: int) -> Json:
    """`{"err_code", "err_msg", "request_id"}`."""
    code = "INVALID_AUTH" if status == 401 else "TOO_MANY_REQUESTS" if status == 429 else "Bad Request"
    return {"err_code": refused.code or code, "err_msg": refused.message, "request_id": "sim"}


class Deepgram(Api):
    """Both endpoints. The SDK's base URL has no version."""

    name, prefix = "deepgram", "/deepgram"
    id_header = "dg-request-id"
    _errors = ErrorStyle(error_body, statuses({"model_not_found": 400}))

    def read(self, request: Request, path: str) -> Asked:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        check_key(key if kind == "Token" else None)
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        if request.method == "POST" and path == "/v1/speak":
            return self._speak(query, decode_object(request.body))
        if request.method == "POST" and path == "/v1/listen":
            return self._listen(query, request.body)
        raise Refused("no_route", "Not Found")

    def _speak(self, query: dict[str, str], body: Json) -> Asked:
        family, _, voice = _split(query.get("model", ""))
        text = body.get("text")
        if not isinstance(text, str) or not text:
            raise Refused("empty", "Input text is empty.")
        if len(text) > MAX_TEXT:
            raise Refused("out_of_range", f"Input text exceeds {MAX_TEXT} characters.", status=413)
        kind = KINDS.get((query.get("encoding", "mp3"), query.get("container", "")))
        if kind is None:
            raise Refused("wrong_type", "Encoding and container do not fit.")
        if UNKNOWN_MODEL in family or not voice:
            raise Refused("model_not_found", "No such model/version combination found.")
        return Voiced(family, text, voice, kind, Wording(TYPES[kind]))

    def _listen(self, query: dict[str, str], audio: bytes) -> Asked:
        model = query.get("model", "")
        if model == UNKNOWN_MODEL:
            raise Refused("model_not_found", "No such model/language/tier combination found.")
        check_audio(audio)

        def write(asked: Heard) -> Json:
            words = [
                {
                    "word": text.strip(".").lower(),
                    "start": start,
                    "end": end,
                    "confidence": 0.99,
                    "punctuated_word": text,
                }
                for text, start, end in timed_words(asked.audio)
            ]
            best = {"transcript": text_of(asked.audio), "confidence": 0.99, "words": words}
            channel: Json = {"alternatives": [best]}
            if query.get("detect_language") == "true":
                channel |= {"detected_language": "en", "language_confidence": 0.98}
            results: Json = {"channels": [channel]}
            if query.get("utterances") == "true":
                results["utterances"] = [
                    {"start": start, "end": end, "confidence": 0.99, "channel": 0, "transcript": text}
                    for text, start, end in timed_sentences(asked.audio)
                ]
            about = {"request_id": "sim", "duration": seconds_of(asked.audio), "channels": 1, "models": [model]}
            return {"metadata": about, "results": results}

        return Heard(model, audio, "", write)

    def refuse(self, refused: Refused) -> Reply:
        return self._errors.render(refused)

    def stream_error(self, _status: int) -> Iterable[Event]:
        return ()  # bytes have no words for it


def _split(model: str) -> tuple[str, str, str]:
    """aura-2-thalia-en: aura-2 and thalia-en."""
    family = "aura-2" if model.startswith("aura-2-") else model.partition("-")[0]
    return family, "-", model.removeprefix(f"{family}-") if model.startswith(f"{family}-") else ""
