"""OpenRouter: comments before the first event, the role in every delta, cost in usage, failures inside a chunk."""

from collections.abc import Iterable, Iterator

from local.simulators.providers.chat import COMMON, FINISH, ChatApi, ChatCall
from local.simulators.providers.embeddings import EmbeddingRules
from local.simulators.providers.errors import ErrorStyle, statuses
from local.simulators.providers.images import OPENROUTER_IMAGES
from local.simulators.script import Answer, Usage
from local.simulators.wire import LIST, OBJECT, Event, Json, Refused, encode, now_s


def error_body(refused: Refused, status: int) -> Json:
    """`{"error": {message, code: <HTTP status>}}`."""
    body: Json = {"error": {"message": refused.message, "code": status}}
    if refused.kind == "fault" and refused.code:
        body["error"]["metadata"] = {"provider_name": "Simulated", "raw": refused.code}
    return body if status == 401 else body | {"user_id": "user_simulated"}


def _reasoning_detail(text: str) -> Json:
    return {"type": "reasoning.text", "text": text, "format": None, "index": 0}


class OpenRouter(ChatApi):
    """OpenRouter's chat completions."""

    name, prefix = "openrouter", "/openrouter/api/v1"
    rules = COMMON | {"reasoning": OBJECT, "provider": OBJECT, "models": LIST, "plugins": LIST, "usage": OBJECT}
    strict = False
    models = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4.5", "meta-llama/llama-3.3-70b-instruct")
    errors = ErrorStyle(error_body, statuses({"model_not_found": 400}))
    embeddings = EmbeddingRules(takes_tokens=True, strict=False)
    images = OPENROUTER_IMAGES
    reasoning_field = "reasoning"
    empty_content = None
    tool_index = True
    role_first = False
    stream_type = "text/event-stream"
    preamble = (Event(b": OPENROUTER PROCESSING\n\n"),)

    def reasons(self, body: Json) -> bool:
        return super().reasons(body) or bool(body.get("reasoning"))

    def reply_id(self, number: int) -> str:
        return f"gen-{now_s()}-sim{number:08d}"

    def envelope(self, answer: Answer, model: str, kind: str) -> Json:
        return super().envelope(answer, model, kind) | {"provider": "Simulated"}

    def usage(self, usage: Usage) -> Json:
        cost = round(usage.prompt * 1e-7 + (usage.reply + usage.reasoning) * 4e-7, 10)
        return super().usage(usage) | {
            "cost": cost,
            "is_byok": False,
            "prompt_tokens_details": {
                "cached_tokens": usage.cached,
                "cache_write_tokens": usage.cache_write,
                "audio_tokens": 0,
                "video_tokens": 0,
            },
            "cost_details": {"upstream_inference_cost": cost},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "image_tokens": 0, "audio_tokens": 0},
        }

    def message(self, answer: Answer) -> Json:
        message = super().message(answer) | {"refusal": None}
        if answer.reasoning:
            message["reasoning_details"] = [_reasoning_detail(answer.reasoning_text)]
        return {"reasoning": None} | message

    def choice(self, at: int, answer: Answer) -> Json:
        choice = super().choice(at, answer)
        return choice | {"native_finish_reason": choice["finish_reason"]}

    def chunk_choice(self, at: int, delta: Json, finish: str | None = None) -> Json:
        delta = {"role": "assistant", "content": None if "tool_calls" in delta else ""} | delta
        return {"index": at, "delta": delta, "finish_reason": finish, "native_finish_reason": finish}

    def reasoning_delta(self, piece: str) -> Json:
        return {"reasoning": piece, "reasoning_details": [_reasoning_detail(piece)]}

    def final_chunks(self, call: ChatCall, envelope: Json, answer: Answer) -> Iterator[Json]:
        for chunk in super().final_chunks(call, envelope, answer):
            if not chunk["choices"]:  # usage repeats the finishing choice instead of an empty list
                chunk["choices"] = [self.chunk_choice(0, {}, FINISH.get(answer.finish, answer.finish))]
            yield chunk

    def stream_error(self, status: int) -> Iterable[Event]:
        body = {
            "id": "gen-sim",
            "object": "chat.completion.chunk",
            "created": now_s(),
            "model": "simulated",
            "provider": "Simulated",
            "error": {"code": status, "message": "Provider disconnected"},
            "choices": [self.chunk_choice(0, {}, "error")],
        }
        return (Event(b"data: " + encode(body) + b"\n\n"),)
