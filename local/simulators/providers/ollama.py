"""Ollama's OpenAI-compatible endpoint: no key needed, unknown parameters ignored, the role in every delta."""

from collections.abc import Iterable
from typing import ClassVar

from local.simulators.http1 import Request
from local.simulators.providers.chat import COMMON, ChatApi, without_logprobs
from local.simulators.providers.embeddings import Embedded
from local.simulators.providers.errors import STATUSES, ErrorStyle
from local.simulators.script import Answer
from local.simulators.vectors import in_numbers, tokens_of
from local.simulators.wire import (
    ANY,
    FLAG,
    JSON_HEADERS,
    OBJECT,
    TEXT,
    UNKNOWN_MODEL,
    Api,
    Asked,
    Event,
    Json,
    Refused,
    Reply,
    check_parameters,
    decode_object,
    encode,
    integer,
    require,
)


def error_body(refused: Refused, status: int) -> Json:
    """OpenAI's envelope; the type follows the status."""
    kind = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")
    code = refused.code if refused.kind == "fault" else None
    return {"error": {"message": refused.message, "type": kind, "param": None, "code": code}}


EMBED_RULES = {
    "model": TEXT,
    "input": ANY,
    "truncate": FLAG,
    "dimensions": integer(1),
    "options": OBJECT,
    "keep_alive": ANY,
}
CONTEXT_TOKENS = 2048


class OllamaNative(Api):
    """Ollama's own API, beside the one in OpenAI's shape: https://docs.ollama.com/api/embed"""

    name, prefix = "ollama", "/ollama"

    def read(self, request: Request, path: str) -> Asked:
        if request.method != "POST" or path != "/api/embed":
            raise Refused("no_route", "404 page not found")
        body = decode_object(request.body)
        require(body, "model")
        check_parameters(body, EMBED_RULES, strict=False)
        if body["model"] == UNKNOWN_MODEL:
            raise Refused("model_not_found", f'model "{UNKNOWN_MODEL}" not found, try pulling it first')
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
            raise Refused("wrong_type", "invalid input type")
        if body.get("truncate") is False and any(tokens_of(one) > CONTEXT_TOKENS for one in texts):
            raise Refused("out_of_range", "the input length exceeds the context length")
        return Embedded(body["model"], texts, body.get("dimensions"), _native_reply)

    def refuse(self, refused: Refused) -> Reply:
        status = refused.status if refused.kind == "fault" else STATUSES.get(refused.kind, 400)
        return Reply(status, JSON_HEADERS, encode({"error": refused.message}))

    def stream_error(self, _status: int) -> Iterable[Event]:
        return ()  # nothing is streamed here


def _native_reply(asked: Embedded, tokens: int | None) -> Json:
    embeddings = [in_numbers(one, asked.dimensions) for one in asked.inputs]
    reply: Json = {"model": asked.model, "embeddings": embeddings, "total_duration": 1, "load_duration": 1}
    return reply | ({} if tokens is None else {"prompt_eval_count": tokens})


class Ollama(ChatApi):
    """Ollama's chat completions; its own API stands above them."""

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

    @property
    def root(self) -> str:
        return "/ollama"

    def at(self, path: str) -> tuple[Api, str]:
        return (self, path.removeprefix("/v1")) if path.startswith("/v1/") else (OllamaNative(), path)

    def reply_id(self, number: int) -> str:
        return f"chatcmpl-{number % 1000}"

    def choice(self, at: int, answer: Answer) -> Json:
        return without_logprobs(super().choice(at, answer))

    def chunk_choice(self, at: int, delta: Json, finish: str | None = None) -> Json:
        delta = {} if finish else {"role": "assistant", "content": ""} | delta
        return {"index": at, "delta": delta, "finish_reason": finish}
