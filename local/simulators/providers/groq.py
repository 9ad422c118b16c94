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


def _format(body: Json) -> str:
    """Source: https://console.groq.com/docs/reasoning"""
    wanted = body.get("reasoning_format")
    return str(wanted or ("parsed" if body.get("tools") or _wants_json(body) else "raw"))


def _wants_json(body: Json) -> bool:
    return (body.get("response_format") or {}).get("type") not in (None, "text")


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
    thinkers = ("qwen/qwen3-32b",)
    models = ("llama-3.3-70b-versatile", "qwen/qwen3-32b", "openai/gpt-oss-120b", "moonshotai/kimi-k2-instruct-0905")
    errors = ErrorStyle(error_body)
    reasoning_field = "reasoning"
    transcriptions = GROQ_TRANSCRIPTIONS
    batched = ("/v1/chat/completions",)
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
        self._check_reasoning(body)
        for name, title in (("tools", "tool/function calling"), ("stream", "streaming")):
            if _wants_json(body) and body.get(name):
                raise Refused("unsupported_parameter", f"json mode cannot be combined with {title}", param=name)

    def efforts(self, model: str) -> tuple[str, ...]:
        return ("none", "default") if model in self.thinkers else ("low", "medium", "high")

    def _check_reasoning(self, body: Json) -> None:
        if "reasoning_format" in body and "include_reasoning" in body:
            text = "cannot specify both `reasoning_format` and `include_reasoning`"
            raise Refused("unsupported_parameter", text, param="reasoning_format")
        if body.get("reasoning_format") == "raw" and (body.get("tools") or _wants_json(body)):
            text = "reasoning_format `raw` cannot be combined with JSON mode or tool use"
            raise Refused("unsupported_parameter", text, param="reasoning_format")

    def reasons(self, body: Json) -> bool:
        told = body.get("reasoning_effort")
        return told != "none" if body["model"] in self.thinkers else super().reasons(body)

    def tags_thoughts(self, body: Json) -> bool:
        return super().tags_thoughts(body) and _format(body) == "raw"

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
