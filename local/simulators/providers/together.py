"""Together: usage on the finishing chunk when asked for; cached tokens at the top of usage."""

from typing import ClassVar

from local.simulators.providers.chat import COMMON, ChatApi
from local.simulators.providers.embeddings import EmbeddingRules
from local.simulators.providers.errors import ErrorStyle, code_of, kind_of
from local.simulators.providers.images import TOGETHER_IMAGES
from local.simulators.script import Usage
from local.simulators.wire import ANY, OBJECT, TEXT, Json, Refused, decimal, integer


def error_body(refused: Refused, status: int) -> Json:
    """OpenAI's envelope and a request id beside it."""
    code = "invalid_api_key" if refused.kind == "wrong_key" else code_of(refused, status)
    code = "model_not_available" if refused.kind == "model_not_found" else code
    error = {"message": refused.message, "type": kind_of(status), "param": refused.param, "code": code}
    return {"id": "simrefused-00000000", "error": error}


class Together(ChatApi):
    """Together's chat completions."""

    name, prefix = "together", "/together/v1"
    strict = False
    rules = COMMON | {"top_k": integer(), "repetition_penalty": decimal(), "min_p": decimal(0, 1), "reasoning": OBJECT}
    thinkers = ("deepseek-ai/DeepSeek-R1",)  # https://docs.together.ai/docs/deepseek-r1
    models = ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "deepseek-ai/DeepSeek-V3", "openai/gpt-oss-120b")
    errors = ErrorStyle(error_body)
    embeddings = EmbeddingRules(rules={"model": TEXT, "input": ANY})
    images = TOGETHER_IMAGES
    reasoning_field = "reasoning"
    empty_content = None
    usage_on_finish = tool_index = True
    reply_extras: ClassVar[Json] = {"prompt": []}
    stream_type = "text/event-stream;charset=utf-8"

    def reasons(self, body: Json) -> bool:
        told = (body.get("reasoning") or {}).get("enabled")
        always = body["model"].startswith(("openai/gpt-oss", "MiniMaxAI/MiniMax-M2", *self.thinkers))
        return always or (self.has_a_switch(body["model"]) if told is None else bool(told)) or super().reasons(body)

    def has_a_switch(self, model: str) -> bool:
        """It reasons unless told: https://docs.together.ai/docs/inference/chat/reasoning"""
        return model.startswith(("deepseek-ai/DeepSeek-V4", "zai-org/GLM-5", "moonshotai/Kimi-K2", "Qwen/Qwen3"))

    def reply_id(self, number: int) -> str:
        return f"sim{number:05d}-{number:08x}"

    def usage(self, usage: Usage) -> Json:
        return super().usage(usage) | {"cached_tokens": usage.cached}
