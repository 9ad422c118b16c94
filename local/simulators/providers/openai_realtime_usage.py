"""What OpenAI's realtime sessions say that they used: https://developers.openai.com/api/docs/guides/realtime-costs"""

from __future__ import annotations

from local.simulators.script import count_tokens
from local.simulators.wire import Json

HEARD_MS = 100
"""Of sound, for one token."""


def written_usage(model: str, words: str, ms: int) -> Json:
    """Of whisper-1 by its length, of all others in tokens."""
    if model.startswith("whisper"):
        return {"type": "duration", "seconds": ms / 1000}
    heard, written = -(-ms // HEARD_MS), count_tokens(words)
    return {
        "type": "tokens",
        "total_tokens": heard + written,
        "input_tokens": heard,
        "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        "output_tokens": written,
    }


def response_usage(heard: tuple[int, int], said: tuple[int, int], cached: int) -> Json:
    """Cached are the text tokens first."""
    cached = min(cached, sum(heard))
    cached_text = min(cached, heard[0])
    details = {"text_tokens": cached_text, "audio_tokens": cached - cached_text, "image_tokens": 0}
    return {
        "total_tokens": sum(heard) + sum(said),
        "input_tokens": sum(heard),
        "output_tokens": sum(said),
        "input_token_details": {
            "text_tokens": heard[0],
            "audio_tokens": heard[1],
            "image_tokens": 0,
            "cached_tokens": cached,
            "cached_tokens_details": details,
        },
        "output_token_details": {"text_tokens": said[0], "audio_tokens": said[1]},
    }
