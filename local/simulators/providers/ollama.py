"""Ollama's OpenAI-compatible endpoint: no key needed, unknown parameters ignored, the role in every delta."""

from typing import ClassVar

from local.simulators.providers.chat import COMMON, ChatApi, without_logprobs
from local.simulators.providers.errors import ErrorStyle
from local.simulators.script import Answer
from local.simulators.wire import Json, Refused


def error_body(refused: Refused, status: int) -> Json:
    """OpenAI's envelope; the type follows the status."""
    kind = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")
    code = refused.code if refused.kind == "fault" else None
    return {"error": {"message": refused.message, "type": kind, "param": None, "code": code}}


class Ollama(ChatApi):
    """Ollama's chat completions."""

    name, prefix = "ollama", "/ollama/v1"
    strict = needs_key = False
    rules = COMMON
    models = ("llama3.2", "qwen3", "gpt-oss:20b")
    errors = ErrorStyle(error_body)
    reasoning_field = "reasoning"
    whole_tool_calls = tool_index = True
    role_first = False
    reply_extras: ClassVar[Json] = {"system_fingerprint": "fp_ollama"}
    chunk_extras = reply_extras
    stream_type = "text/event-stream"

    def reply_id(self, number: int) -> str:
        return f"chatcmpl-{number % 1000}"

    def choice(self, at: int, answer: Answer) -> Json:
        return without_logprobs(super().choice(at, answer))

    def chunk_choice(self, at: int, delta: Json, finish: str | None = None) -> Json:
        delta = {} if finish else {"role": "assistant", "content": ""} | delta
        return {"index": at, "delta": delta, "finish_reason": finish}
