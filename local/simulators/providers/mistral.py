"""Mistral: usage always on the last chunk, tool calls whole, reasoning as a content part, strict validation (422)."""

from itertools import pairwise
from typing import Any, ClassVar

from local.simulators.providers.chat import COMMON, ChatApi, without_logprobs
from local.simulators.providers.embeddings import Embedded, EmbeddingRules
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.providers.mistral_batches import MistralBatches
from local.simulators.script import Answer, Usage
from local.simulators.wire import ANY, FLAG, OBJECT, TEXT, Json, Refused, decimal, integer

ABSENT = {
    "max_completion_tokens",
    "seed",
    "stream_options",
    "user",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "service_tier",
}


def error_body(refused: Refused, status: int) -> Json:
    """Three shapes: `detail` for keys, a list of violations for 422, a flat error object for the rest."""
    if status == 401:
        return {"detail": "Invalid API Key" if refused.kind == "wrong_key" else "Unauthorized"}
    if status == 422:
        # https://github.com/editor-code-assistant/eca/issues/231
        kind = {"unknown_parameter": "extra_forbidden", "missing_parameter": "missing"}.get(refused.kind, "value_error")
        detail = {"type": kind, "loc": ["body", refused.param], "msg": refused.message, "input": None}
        return _flat({"detail": [detail]}, "invalid_request_error", None, status)
    if refused.kind == "model_not_found":
        return _flat(refused.message, "invalid_model", "1500", status)
    if status == 429:
        return _flat(refused.message, "rate_limited", refused.code or "1300", status)
    kind = "internal_server_error" if status >= 500 else "invalid_request_error"
    return _flat(refused.message, kind, refused.code or "1000", status)


def _flat(message: Any, kind: str, code: str | None, status: int) -> Json:
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "raw_status_code": status,
    }


def _thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


class MistralEmbeddings(EmbeddingRules):
    """Too much at once is a 400 of its own, as recorded."""

    def read(self, body: Json) -> Embedded:
        try:
            return super().read(body)
        except Refused as refused:
            if refused.kind != "out_of_range" or refused.param != "input":
                raise
            message = "Too many inputs in request, split into more batches."
            raise Refused("fault", message, status=400, code="3210") from None


class Mistral(ChatApi):
    """Mistral's chat completions."""

    name, prefix = "mistral", "/mistral/v1"
    rules = {name: rule for name, rule in COMMON.items() if name not in ABSENT} | {
        "temperature": decimal(0, 1.5),
        "max_tokens": integer(0),
        "random_seed": integer(0),
        "safe_prompt": FLAG,
        "prompt_mode": TEXT,
        "prediction": OBJECT,
    }
    models = ("mistral-large-latest", "mistral-small-latest", "ministral-3b-latest", "magistral-medium-latest")
    empty_answers = False
    call_id = r"[a-zA-Z0-9]{9}"
    errors = ErrorStyle(error_body, statuses({"model_not_found": 400}, validation=422))
    embeddings = MistralEmbeddings(
        rules={
            "model": TEXT,
            "input": ANY,
            "encoding_format": TEXT,
            "output_dimension": integer(1),
            "output_dtype": TEXT,
            "metadata": OBJECT,
        },
        max_inputs=256,
        max_tokens=16_384,
        dimensions="output_dimension",
        fixed=("mistral-embed",),
    )
    batched = ("/v1/chat/completions", "/v1/embeddings")
    chunk_extras: ClassVar[Json] = {"p": "simulated"}
    tool_index = whole_tool_calls = usage_on_finish = usage_always = True

    def batches(self) -> MistralBatches:
        return MistralBatches(self, self.batched)

    def check(self, body: Json) -> None:
        super().check(body)
        roles = [message.get("role") for message in body["messages"]]
        for role in [role for before, role in pairwise(roles) if before == "tool"]:
            if role not in ("tool", "assistant"):
                raise Refused(
                    "wrong_type", f"Unexpected role '{role}' after role 'tool'", param="messages", code="3230"
                )

    def reasons(self, body: Json) -> bool:
        return super().reasons(body) or body.get("prompt_mode") == "reasoning"

    def reply_id(self, number: int) -> str:
        return f"{number:032x}"

    def tool_id(self, number: int) -> str:
        return f"sim{number % 1_000_000:06d}"  # Mistral demands nine alphanumeric characters when it comes back

    def usage(self, usage: Usage) -> Json:
        counts = super().usage(usage) | {"service_tier": "standard"}
        return counts | {"prompt_tokens_details": {"cached_tokens": usage.cached}}

    def message(self, answer: Answer) -> Json:
        message = super().message(answer)
        if answer.reasoning:
            thoughts = message.pop("reasoning_content")
            message["content"] = [_thinking(thoughts), {"type": "text", "text": message["content"]}]
        return message

    def choice(self, at: int, answer: Answer) -> Json:
        return without_logprobs(super().choice(at, answer))

    def chunk_choice(self, at: int, delta: Json, finish: str | None = None) -> Json:
        return {"index": at, "delta": delta, "finish_reason": finish}

    def reasoning_delta(self, piece: str) -> Json:
        return {"content": [_thinking(piece)]}

    def finish_delta(self) -> Json:
        return {"content": ""}
