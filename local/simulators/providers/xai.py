"""xAI: reasoning counted beside completion tokens, tool calls whole, no finish_reason key until the end."""

from typing import ClassVar

from local.simulators.http1 import Request
from local.simulators.providers import xai_videos
from local.simulators.providers.chat import COMMON, ChatApi, without_logprobs
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.providers.images import XAI_IMAGES
from local.simulators.providers.readable import check_chat_images
from local.simulators.script import Answer, Usage
from local.simulators.wire import FLAG, OBJECT, Asked, Filed, Json, Refused, check_key, decode_object

CODES = {400: "invalid-argument", 401: "unauthenticated", 403: "permission-denied", 404: "not-found"}


def error_body(refused: Refused, status: int) -> Json:
    """A flat `{code, error}`."""
    code = CODES.get(status, "resource-exhausted" if status == 429 else "internal")
    return {"code": refused.code if refused.kind == "fault" and refused.code else code, "error": refused.message}


class XAI(ChatApi):
    """xAI's chat completions."""

    name, prefix = "xai", "/xai/v1"
    rules = COMMON | {"search_parameters": OBJECT, "deferred": FLAG, "web_search_options": OBJECT}
    strict = False
    models = ("grok-4", "grok-4-fast", "grok-code-fast-1", "grok-3-mini")
    # a wrong key gets 400: seen in recorded traffic
    errors = ErrorStyle(error_body, {**statuses({"wrong_key": 400}), "wrong_type": 422})
    images = XAI_IMAGES
    whole_tool_calls = True
    role_first = False
    reply_extras: ClassVar[Json] = {"system_fingerprint": "fp_simulated0"}
    chunk_extras = reply_extras
    stream_type = "text/event-stream"

    def read(self, request: Request, path: str) -> Asked | Json | Filed:
        if not path.startswith("/videos/"):
            return super().read(request, path)
        check_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        if request.method == "POST" and path == "/videos/generations":
            return xai_videos.begin(decode_object(request.body))
        return xai_videos.look(request, path.removeprefix("/videos/"))

    def efforts(self, model: str) -> tuple[str, ...]:
        return ("none", "low", "medium", "high") if model.startswith("grok-4.3") else ()

    def check(self, body: Json) -> None:
        super().check(body)
        check_chat_images(body, ("image/jpeg", "image/png"))

    def reasons(self, body: Json) -> bool:
        model = str(body["model"])
        return super().reasons(body) or "code" in model or ("reasoning" in model and "non-reasoning" not in model)

    def usage(self, usage: Usage) -> Json:
        return {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.reply,
            "total_tokens": usage.prompt + usage.reply + usage.reasoning,
            "prompt_tokens_details": {
                "text_tokens": usage.prompt,
                "audio_tokens": 0,
                "image_tokens": 0,
                "cached_tokens": usage.cached,
            },
            "completion_tokens_details": {
                "reasoning_tokens": usage.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "num_sources_used": 0,
            "cost_in_usd_ticks": 1000,
        }

    def choice(self, at: int, answer: Answer) -> Json:
        choice = without_logprobs(super().choice(at, answer))
        choice["message"]["refusal"] = None
        return choice

    def chunk_choice(self, at: int, delta: Json, finish: str | None = None) -> Json:
        choice: Json = {"index": at, "delta": delta}
        return choice | {"finish_reason": finish} if finish else choice
