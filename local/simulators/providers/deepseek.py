"""DeepSeek: ignores unknown parameters, usage on the last chunk, V4 reasons unless told not to."""

from typing import ClassVar

from local.simulators.providers.chat import COMMON, PLAIN_ROLE, ChatApi
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.script import Answer, Usage
from local.simulators.wire import OBJECT, Json, Refused


def error_body(refused: Refused, status: int) -> Json:
    """OpenAI's envelope; the `code` is nearly always the same."""
    kinds = {401: "authentication_error", 402: "unknown_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "internal_server_error" if status >= 500 else "invalid_request_error")
    code = refused.code if refused.kind == "fault" and refused.code else "invalid_request_error"
    return {"error": {"message": refused.message, "type": kind, "param": None, "code": code}}


def _lacks_reasoning(messages: list[Json]) -> bool:
    """Whether an answer of a turn with tool calls does: https://api-docs.deepseek.com/guides/thinking_mode"""
    in_tool_turn = False
    for message in messages:
        if message.get("role") == "user":
            in_tool_turn = False
        elif message.get("role") == "assistant":
            in_tool_turn = in_tool_turn or bool(message.get("tool_calls"))
            if in_tool_turn and not message.get("reasoning_content"):
                return True
    return False


class DeepSeek(ChatApi):
    """DeepSeek's chat completions."""

    name, prefix = "deepseek", "/deepseek"
    strict = False
    rules = COMMON | {"thinking": OBJECT}
    max_output_tokens = 393_216
    models = ("deepseek-chat", "deepseek-reasoner", "deepseek-v4-flash")
    errors = ErrorStyle(error_body, statuses({"model_not_found": 400}))
    usage_on_finish = tool_index = null_usage = True
    reply_extras: ClassVar[Json] = {"system_fingerprint": "fp_simulated0"}
    chunk_extras = reply_extras

    def reasons(self, body: Json) -> bool:
        mode = (body.get("thinking") or {}).get("type")
        if mode:
            return bool(mode != "disabled")
        return super().reasons(body) or str(body["model"]).startswith(("deepseek-reasoner", "deepseek-v4"))

    def check(self, body: Json) -> None:
        super().check(body)
        choice = body.get("tool_choice")
        if self.reasons(body) and (choice == "required" or isinstance(choice, dict)):
            raise Refused("wrong_type", "Thinking mode does not support this tool_choice", param="tool_choice")
        if self.reasons(body) and _lacks_reasoning(body["messages"]):
            text = "The `reasoning_content` in the thinking mode must be passed back to the API."
            raise Refused("missing_parameter", text)

    def usage(self, usage: Usage) -> Json:
        counts = super().usage(usage) | {
            "prompt_tokens_details": {"cached_tokens": usage.cached},
            "prompt_cache_hit_tokens": usage.cached,
            "prompt_cache_miss_tokens": usage.prompt - usage.cached,
        }
        if usage.reasoning:
            counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
        return counts

    def role_delta(self, answer: Answer) -> Json:
        return {"role": "assistant", "content": None, "reasoning_content": ""} if answer.reasoning else PLAIN_ROLE

    def reasoning_delta(self, piece: str) -> Json:
        return {"content": None, "reasoning_content": piece}

    def finish_delta(self) -> Json:
        return {"content": ""}
