"""vLLM's server: no key needed, unknown parameters ignored, numeric error codes. From its documentation and source.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
"""

from typing import ClassVar

from local.simulators.providers.chat import COMMON, ChatApi
from local.simulators.providers.embeddings import EmbeddingRules
from local.simulators.providers.errors import ErrorStyle
from local.simulators.script import Answer, Usage
from local.simulators.wire import FLAG, OBJECT, Json, Refused, decimal, integer


def error_body(refused: Refused, status: int) -> Json:
    """OpenAI's envelope with the HTTP status as `code`; a bare string for a refused key."""
    if status == 401:
        return {"error": "Unauthorized"}
    names = {400: "BadRequestError", 404: "NotFoundError", 429: "TooManyRequestsError", 500: "InternalServerError"}
    kind = names.get(status, "InternalServerError" if status >= 500 else "BadRequestError")
    return {"error": {"message": refused.message, "type": kind, "param": refused.param, "code": status}}


class VLLM(ChatApi):
    """vLLM's chat completions."""

    name, prefix = "vllm", "/vllm/v1"
    strict = needs_key = False
    rules = COMMON | {
        "top_k": integer(),
        "min_p": decimal(0, 1),
        "repetition_penalty": decimal(),
        "ignore_eos": FLAG,
        "chat_template_kwargs": OBJECT,
        "guided_json": OBJECT,
    }
    models = ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-8B")
    errors = ErrorStyle(error_body)
    embeddings = EmbeddingRules(takes_tokens=True, strict=False, max_inputs=None)
    empty_content = None
    reply_extras: ClassVar[Json] = {"prompt_logprobs": None, "kv_transfer_params": None}

    def reasons(self, body: Json) -> bool:
        asked = (body.get("chat_template_kwargs") or {}).get("enable_thinking")
        return super().reasons(body) or bool(asked)

    def usage(self, usage: Usage) -> Json:
        details = {"cached_tokens": usage.cached} if usage.cached else None
        return super().usage(usage) | {"prompt_tokens_details": details}

    def choice(self, at: int, answer: Answer) -> Json:
        return super().choice(at, answer) | {"stop_reason": answer.stop_sequence}
