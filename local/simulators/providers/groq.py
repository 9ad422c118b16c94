"""Groq: usage repeated under x_groq on the last chunk, asked for or not; whole tool calls; one choice only."""

from collections.abc import Iterator
from typing import ClassVar

from local.simulators.providers.chat import COMMON, ChatApi, ChatCall
from local.simulators.providers.errors import ErrorStyle, code_of
from local.simulators.providers.transcriptions import GROQ_TRANSCRIPTIONS
from local.simulators.script import Answer, Usage
from local.simulators.wire import FLAG, LIST, OBJECT, TEXT, Json, Refused, integer


def error_body(refused: Refused, status: int) -> Json:
    """OpenAI's envelope without `param`; `code` only where there is one."""
    kind = "internal_server_error" if status >= 500 else "invalid_request_error"
    error: Json = {"message": refused.message, "type": "tokens" if status == 429 else kind}
    code = "invalid_api_key" if refused.kind == "wrong_key" else code_of(refused, status)
    return {"error": error | ({"code": code} if code else {})}


class Groq(ChatApi):
    """Groq's chat completions."""

    name, prefix = "groq", "/groq/openai/v1"
    rules = COMMON | {
        "n": integer(1, 1),
        "reasoning_format": TEXT,
        "include_reasoning": FLAG,
        "disable_tool_validation": FLAG,
        "search_settings": OBJECT,
        "compound_custom": OBJECT,
        "citation_options": TEXT,
        "documents": LIST,
        "store": FLAG,
    }
    models = ("llama-3.3-70b-versatile", "openai/gpt-oss-120b", "moonshotai/kimi-k2-instruct-0905")
    errors = ErrorStyle(error_body)
    reasoning_field = "reasoning"
    transcriptions = GROQ_TRANSCRIPTIONS
    whole_tool_calls = True
    empty_content = None
    stream_type = "text/event-stream"
    chunk_extras: ClassVar[Json] = {"system_fingerprint": "fp_simulated0"}
    first_chunk_extras: ClassVar[Json] = {"x_groq": {"id": "req_sim", "seed": 1}}
    reply_extras: ClassVar[Json] = {
        "usage_breakdown": None,
        "system_fingerprint": "fp_simulated0",
        "service_tier": "on_demand",
        "x_groq": {"id": "req_sim", "seed": 1},
    }

    def check(self, body: Json) -> None:
        super().check(body)
        wants_json = (body.get("response_format") or {}).get("type") not in (None, "text")
        for name, title in (("tools", "tool/function calling"), ("stream", "streaming")):
            if wants_json and body.get(name):
                raise Refused("unsupported_parameter", f"json mode cannot be combined with {title}", param=name)

    def usage(self, usage: Usage) -> Json:
        times = {"queue_time": 0.001, "prompt_time": 0.001, "completion_time": 0.002, "total_time": 0.003}
        counts = super().usage(usage) | times
        if usage.cached:
            counts["prompt_tokens_details"] = {"cached_tokens": usage.cached}
        if usage.reasoning:
            counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
        return counts

    def final_chunks(self, call: ChatCall, envelope: Json, answer: Answer) -> Iterator[Json]:
        for at, chunk in enumerate(super().final_chunks(call, envelope, answer)):
            if at == 0 and answer.usage:
                counts = self.usage(answer.usage)
                chunk["x_groq"] = {"id": "req_sim", "usage": counts}
                if call.include_usage:
                    chunk["usage"] = counts
            yield chunk
