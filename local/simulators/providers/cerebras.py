"""Cerebras: flat error bodies; usage and time_info always on the finishing chunk. From its documentation.

https://inference-docs.cerebras.ai/api-reference/chat-completions
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from local.simulators.providers.chat import COMMON, ChatApi, ChatCall, without_logprobs
from local.simulators.providers.errors import VALIDATION, ErrorStyle, kind_of, statuses
from local.simulators.script import Answer, Usage
from local.simulators.wire import ANY, FLAG, OBJECT, TEXT, Event, Json, Refused, integer, sse

TIMES = {"queue_time": 0.001, "prompt_time": 0.001, "completion_time": 0.002, "total_time": 0.004, "created": 1.0}


def error_body(refused: Refused, status: int) -> Json:
    """A flat `{message, type, param, code}`: https://inference-docs.cerebras.ai/support/error"""
    if refused.kind == "wrong_key":
        return _flat(refused.message, "invalid_request_error", "api_key", "wrong_api_key")
    if refused.kind == "model_not_found":
        return _flat(refused.message, "not_found_error", "model", "model_not_found")
    if status == 429:
        return _flat(refused.message, "too_many_requests_error", "quota", refused.code or "request_quota_exceeded")
    if refused.kind in VALIDATION:
        message = f"body.{refused.param}: {refused.message}"
        return _flat(message, "invalid_request_error", "validation_error", "wrong_api_format")
    return _flat(refused.message, kind_of(status), None, refused.code)


def _flat(message: str, kind: str, param: str | None, code: str | None) -> Json:
    return {"message": message, "type": kind, "param": param, "code": code}


class Cerebras(ChatApi):
    """Cerebras' chat completions."""

    name, prefix = "cerebras", "/cerebras/v1"
    rules = COMMON | {
        "n": integer(1, 1),
        "temperature": COMMON["top_p"]._replace(high=1.5),
        "prediction": OBJECT,
        "disable_reasoning": FLAG,
        "clear_thinking": FLAG,
        "queue_threshold": ANY,
        "prompt_cache_key": TEXT,
    }
    models = ("llama-3.3-70b", "gpt-oss-120b", "qwen-3-32b")
    errors = ErrorStyle(error_body, statuses({}, validation=422))
    reasoning_field = "reasoning"
    empty_content = None
    usage_on_finish = usage_always = True
    chunk_extras: ClassVar[Json] = {"system_fingerprint": "fp_simulated0"}
    reply_extras: ClassVar[Json] = {**chunk_extras, "time_info": TIMES}

    def usage(self, usage: Usage) -> Json:
        return super().usage(usage) | {
            "prompt_tokens_details": {"cached_tokens": usage.cached},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        }

    def choice(self, at: int, answer: Answer) -> Json:
        return without_logprobs(super().choice(at, answer))

    def chunk_choice(self, at: int, delta: Json, finish: str | None = None) -> Json:
        choice: Json = {"index": at, "delta": delta}
        return choice | {"finish_reason": finish} if finish else choice

    def final_chunks(self, call: ChatCall, envelope: Json, answer: Answer) -> Iterator[Json]:
        for chunk in super().final_chunks(call, envelope, answer):
            yield chunk | {"time_info": TIMES}

    def stream_error(self, status: int) -> Iterable[Event]:
        body = {"error": error_body(Refused("fault", "The server had an error while streaming."), status)}
        return (Event(sse(body | {"status_code": status})),)
