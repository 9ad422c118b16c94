"""Hugging Face's router: OpenAI's shapes; what it does not know goes to the provider behind it, so nothing is refused.

https://huggingface.co/docs/inference-providers/tasks/chat-completion
"""

from local.simulators.providers.chat import ChatApi
from local.simulators.providers.errors import ErrorStyle, code_of, kind_of
from local.simulators.script import Usage
from local.simulators.wire import Json, Refused


def error_body(refused: Refused, status: int) -> Json:
    """OpenAI's envelope; a plain text for a refused key."""
    if status == 401:
        return {"error": "Invalid username or password."}
    code = code_of(refused, status)
    return {"error": {"message": refused.message, "type": kind_of(status), "param": refused.param, "code": code}}


class HuggingFace(ChatApi):
    """The router's chat completions."""

    name, prefix = "huggingface", "/huggingface/v1"
    strict = False
    models = ("openai/gpt-oss-120b", "meta-llama/Llama-3.3-70B-Instruct", "Qwen/Qwen3-32B")
    errors = ErrorStyle(error_body)
    reasoning_field = "reasoning"

    def usage(self, usage: Usage) -> Json:
        details = {"cached_tokens": usage.cached} if usage.cached else None
        return super().usage(usage) | {"prompt_tokens_details": details}
