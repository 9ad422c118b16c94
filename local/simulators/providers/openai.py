"""OpenAI itself: dated model names, padding against traffic analysis, no max_tokens for reasoning models."""

from collections.abc import Callable
from typing import ClassVar
from urllib.parse import parse_qs

from local.simulators.http1 import Request
from local.simulators.live import Live
from local.simulators.providers.chat import COMMON, ChatApi, ChatCall
from local.simulators.providers.embeddings import EmbeddingRules
from local.simulators.providers.errors import ErrorStyle, code_of, kind_of
from local.simulators.providers.images import OPENAI_IMAGES
from local.simulators.providers.openai_realtime import RealtimeSession
from local.simulators.providers.readable import check_openai_media
from local.simulators.providers.responses import ResponsesCall
from local.simulators.providers.responses_background import BackgroundCall, asked_for
from local.simulators.providers.speech import OPENAI_SPEECH
from local.simulators.providers.transcriptions import OPENAI_TRANSCRIPTIONS
from local.simulators.script import Answer, Usage
from local.simulators.switches import build
from local.simulators.wire import (
    ANY,
    FLAG,
    LIST,
    OBJECT,
    TEXT,
    UNKNOWN_MODEL,
    Asked,
    Filed,
    Headers,
    Json,
    Kind,
    Refused,
    Rule,
    check_key,
    decode_object,
)

REASONING_MODELS = ("o1", "o3", "o4", "gpt-5")
TOOLS_ELSEWHERE, REASONS_WHEN_ASKED = ("gpt-5.4", "gpt-5.5", "gpt-5.6"), ("gpt-5.4",)
ONLY_HERE: dict[str, Rule] = {
    "audio": OBJECT,
    "function_call": ANY,
    "functions": LIST,
    "modalities": LIST,
    "prediction": OBJECT,
    "prompt_cache_key": TEXT,
    "prompt_cache_retention": TEXT,
    "safety_identifier": TEXT,
    "store": FLAG,
    "verbosity": TEXT,
    "web_search_options": OBJECT,
}
CODES: dict[Kind, str] = {
    "wrong_key": "invalid_api_key",
    "unknown_parameter": "unknown_parameter",
    "unsupported_parameter": "unsupported_parameter",
    "missing_parameter": "missing_required_parameter",
    "wrong_type": "invalid_type",
}


def error_body(refused: Refused, status: int) -> Json:
    """`{"error": {message, type, param, code}}`."""
    kind = "requests" if status == 429 else kind_of(status)
    code = code_of(refused, status) or CODES.get(refused.kind)
    return {"error": {"message": refused.message, "type": kind, "param": refused.param, "code": code}}


def error_headers(refused: Refused, status: int) -> Headers:
    """Request id, and the rate-limit headers of a 429."""
    headers = [("x-request-id", "req_simrefused")]
    if status == 429:
        headers += [("x-ratelimit-limit-requests", "500"), ("x-ratelimit-remaining-requests", "0")]
        headers += [("x-ratelimit-reset-requests", f"{refused.retry_after_s or 1:g}s")]
    return headers


def check_tools_beside_reasoning(body: Json) -> None:
    """Raises Refused. Source: https://github.com/openai/openai-openapi/issues/541"""
    model = body["model"]
    effort = body.get("reasoning_effort") or ("none" if model.startswith(REASONS_WHEN_ASKED) else "medium")
    if body.get("tools") and effort != "none" and model.startswith(TOOLS_ELSEWHERE):
        message = (
            f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. "
            "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        )
        raise Refused("unsupported_parameter", message, param="reasoning_effort")


def efforts_of(model: str) -> tuple[str, ...]:
    """Source: https://learn.microsoft.com/en-us/javascript/api/@azure/ai-projects/reasoningeffort"""
    if not model.startswith(REASONING_MODELS):
        return ()
    if model.startswith("gpt-5.1"):
        return ("none", "low", "medium", "high")
    if model.startswith("gpt-5."):
        return ("none", "low", "medium", "high", "xhigh", "max")[: 6 if model.startswith("gpt-5.6") else 5]
    return ("minimal", "low", "medium", "high") if model.startswith("gpt-5") else ("low", "medium", "high")


class OpenAI(ChatApi):
    """OpenAI's chat completions and a basic responses endpoint."""

    name, prefix = "openai", "/openai/v1"
    rules = COMMON | ONLY_HERE
    max_output_tokens = 128_000
    models: tuple[str, ...] = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "o3-mini")
    empty_content = None
    reasoning_field = None  # counted, never shown in chat completions
    null_usage = True
    reply_extras: ClassVar[Json] = {"service_tier": "default", "system_fingerprint": "fp_simulated0"}
    chunk_extras = reply_extras
    errors = ErrorStyle(error_body, headers=error_headers)
    embeddings = EmbeddingRules(max_tokens=300_000, takes_tokens=True, fixed=("ada-002",))
    images = OPENAI_IMAGES
    speech = OPENAI_SPEECH
    transcriptions = OPENAI_TRANSCRIPTIONS
    batched: tuple[str, ...] = (*("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/images/generations"),)
    files_expire = True

    def read(self, request: Request, path: str) -> Asked | Json | Filed:
        if not path.startswith("/responses"):
            return super().read(request, path)
        check_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        if path != "/responses":
            return asked_for(request, path)
        body = decode_object(request.body)
        kind = BackgroundCall if body.get("background") else ResponsesCall
        return kind(body, self.reply_model)

    def live(self, request: Request, path: str, armed: Callable[[str], dict[str, str]], /) -> Live:
        check_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        model = parse_qs(request.query).get("model", [""])[0]
        if path != "/realtime":
            return super().live(request, path, armed)
        if not model:
            raise Refused("missing_parameter", "You must provide a model parameter.", param="model")
        if model == UNKNOWN_MODEL:
            raise Refused("model_not_found", f"The model '{model}' does not exist.", param="model")
        settings = armed(model)
        if (switches := build(settings)).status and switches.error_after is None:
            message = f"Simulated failure with status {switches.status}."
            raise Refused("fault", message, status=switches.status, code=switches.code)
        return RealtimeSession(model, settings)

    def check(self, body: Json) -> None:
        super().check(body)
        check_openai_media(body)
        if not body["model"].startswith(REASONING_MODELS):
            return
        check_tools_beside_reasoning(body)
        refused = [name for name in ("max_tokens", "stop") if body.get(name) is not None]
        if body.get("temperature") not in (None, 1):
            refused.append("temperature")
        for name in refused:
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            raise Refused("unsupported_parameter", message, param=name, code="unsupported_parameter")

    def efforts(self, model: str) -> tuple[str, ...]:
        return efforts_of(model)

    def reply_model(self, model: str) -> str:
        return model if model[-2:].isdigit() and model.count("-") >= 3 else f"{model}-2026-01-15"

    def usage(self, usage: Usage) -> Json:
        return super().usage(usage) | {
            "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": usage.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def message(self, answer: Answer) -> Json:
        return super().message(answer) | {"refusal": None, "annotations": []}

    def role_delta(self, answer: Answer) -> Json:
        return {"role": "assistant", "content": None if answer.calls else "", "refusal": None}

    def decorate(self, chunk: Json, call: ChatCall) -> Json:
        padding = "simulated"[: 1 + len(str(chunk["choices"])) % 9]
        return super().decorate(chunk, call) | {"obfuscation": padding}
