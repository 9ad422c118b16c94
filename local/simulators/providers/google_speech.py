"""Speech by a Gemini model: raw samples in the events of a streamed answer.

https://ai.google.dev/gemini-api/docs/speech-generation
"""

from base64 import b64encode
from typing import Any

from local.simulators.providers.images import words
from local.simulators.providers.speech import Voiced, Wording
from local.simulators.wire import Json, Refused, encode

SAMPLES = "audio/L16;codec=pcm;rate=24000"


def wants_speech(body: Json) -> bool:
    config = body.get("generationConfig")
    return isinstance(config, dict) and config.get("responseModalities") == ["AUDIO"]


def read_speech(model: str, body: Json) -> Voiced:
    """Raises Refused."""
    if not model.endswith(("-tts", "-tts-preview")):
        message = "Speech generation is not available for this model."
        raise Refused("unsupported_parameter", message, param="generationConfig.responseModalities")
    parts: list[Any] = [part for content in body.get("contents") or () for part in content.get("parts") or ()]
    text = words("\n".join(str(part.get("text", "")) for part in parts))
    config: Json = (body["generationConfig"].get("speechConfig") or {}).get("voiceConfig") or {}
    voice = str((config.get("prebuiltVoiceConfig") or {}).get("voiceName", "Kore"))
    return Voiced(model, text, voice, "pcm", Wording("text/event-stream", _event, _end))


def _event(samples: bytes) -> bytes:
    part = {"inlineData": {"mimeType": SAMPLES, "data": b64encode(samples).decode()}}
    return (
        b"data: " + encode({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]}) + b"\r\n\r\n"
    )


def _end(asked: Voiced) -> bytes:
    last: Json = {"candidates": [{"finishReason": "STOP", "index": 0}], "modelVersion": asked.model}
    if asked.switches.usage != "none":
        text, made = asked.tokens
        last["usageMetadata"] = {
            "promptTokenCount": text,
            "candidatesTokenCount": made,
            "totalTokenCount": text + made,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": text}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": made}],
        }
    return b"data: " + encode(last) + b"\r\n\r\n"
