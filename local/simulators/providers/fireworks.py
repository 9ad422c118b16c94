"""Fireworks: refuses unknown parameters; usage always on the finishing chunk. From its documentation.

https://docs.fireworks.ai/api-reference/post-chatcompletions
"""

from local.simulators.providers.chat import COMMON, ChatApi
from local.simulators.providers.embeddings import EmbeddingRules
from local.simulators.providers.errors import ErrorStyle
from local.simulators.script import Usage
from local.simulators.wire import ANY, FLAG, LIST, TEXT, Json, Refused, decimal, integer


def error_body(refused: Refused, status: int) -> Json:
    """OpenAI's envelope with `object` inside."""
    message = refused.message
    if refused.kind == "unknown_parameter":  # https://github.com/web-infra-dev/midscene/issues/1322
        message = f"Extra inputs are not permitted, field: '{refused.param}'"
    kind = "internal_server_error" if status >= 500 else "invalid_request_error"
    codes = {401: "UNAUTHORIZED", 404: "NOT_FOUND", 429: "RATE_LIMIT_EXCEEDED"}
    return {
        "error": {
            "object": "error",
            "type": kind,
            "code": refused.code if refused.kind == "fault" and refused.code else codes.get(status, kind),
            "message": message,
        }
    }


class Fireworks(ChatApi):
    """Fireworks' chat completions."""

    name, prefix = "fireworks", "/fireworks/inference/v1"
    rules = COMMON | {
        "top_k": integer(0, 100),
        "min_p": decimal(0, 1),
        "repetition_penalty": decimal(0, 2),
        "mirostat_target": decimal(),
        "context_length_exceeded_behavior": TEXT,
        "prompt_truncate_len": integer(),
        "ignore_eos": FLAG,
        "perf_metrics_in_response": FLAG,
        "thinking": ANY,
    }
    models = ("accounts/fireworks/models/llama-v3p3-70b-instruct", "accounts/fireworks/models/gpt-oss-120b")
    errors = ErrorStyle(error_body)
    embeddings = EmbeddingRules(
        rules={
            "model": TEXT,
            "input": ANY,
            "dimensions": integer(1),
            "prompt_template": TEXT,
            "return_logits": LIST,
            "normalize": FLAG,
        }
    )
    empty_content = None
    usage_on_finish = usage_always = True

    def reply_id(self, number: int) -> str:
        return f"{number:08x}-0000-4000-8000-000000000000"

    def usage(self, usage: Usage) -> Json:
        return super().usage(usage) | {"prompt_tokens_details": {"cached_tokens": usage.cached}}
