"""Chat completions as OpenAI defines them: reading, checking, and writing replies and chunks.

The other providers of the family override what differs (`openai_family.py`).
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

from local.simulators.http1 import Request
from local.simulators.providers.conversation import check_call_ids, check_nothing, read_prompt
from local.simulators.providers.embeddings import EmbeddingRules
from local.simulators.providers.errors import ErrorStyle
from local.simulators.providers.images import ImageRules
from local.simulators.providers.openai_batches import OpenAiBatches
from local.simulators.providers.speech import SpeechRules
from local.simulators.providers.transcriptions import TranscriptionRules
from local.simulators.script import (
    Answer,
    ToolCall,
    Usage,
    fragments,
)
from local.simulators.wire import (
    ANY,
    FLAG,
    LIST,
    OBJECT,
    TEXT,
    UNKNOWN_MODEL,
    Api,
    Asked,
    Call,
    Event,
    Filed,
    Json,
    Refused,
    Reply,
    Rule,
    check_key,
    check_messages,
    check_parameters,
    decimal,
    decode_object,
    integer,
    now_s,
    require,
    sse,
)

COMMON: dict[str, Rule] = {
    "model": TEXT,
    "messages": LIST,
    "frequency_penalty": decimal(-2, 2),
    "logit_bias": OBJECT,
    "logprobs": FLAG,
    "max_completion_tokens": integer(1),
    "max_tokens": integer(1),
    "metadata": OBJECT,
    "n": integer(1, 128),
    "parallel_tool_calls": FLAG,
    "presence_penalty": decimal(-2, 2),
    "reasoning_effort": TEXT,
    "response_format": OBJECT,
    "seed": integer(),
    "service_tier": TEXT,
    "stop": ANY,
    "stream": FLAG,
    "stream_options": OBJECT,
    "temperature": decimal(0, 2),
    "tool_choice": ANY,
    "tools": LIST,
    "top_logprobs": integer(0, 20),
    "top_p": decimal(0, 1),
    "user": TEXT,
}
PLAIN_ROLE: Json = {"role": "assistant", "content": ""}
FINISH = {"stop_sequence": "stop", "filter": "content_filter"}
DONE = Event(b"data: [DONE]\n\n")


class ChatApi(Api):
    """A chat completions endpoint. Class attributes and small methods are what a provider overrides."""

    rules: dict[str, Rule] = COMMON
    strict = True
    needs_key = True
    call_id = r".{1,40}"
    empty_answers = True
    max_output_tokens: int | None = None
    models: tuple[str, ...] = ()
    thinkers: tuple[str, ...] = ()  # models that think within their content
    errors: ErrorStyle
    embeddings: EmbeddingRules | None = None
    images: ImageRules | None = None
    speech: SpeechRules | None = None
    transcriptions: TranscriptionRules | None = None
    batched: tuple[str, ...] = ()  # the endpoints of which batches can be made
    files_expire = False
    empty_content: str | None = ""
    reasoning_field: str | None = "reasoning_content"
    shows_reasoning = True
    tool_index = False
    whole_tool_calls = False
    role_first = True
    usage_on_finish = False
    usage_always = False
    null_usage = False
    reply_extras: ClassVar[Json] = {}
    chunk_extras: ClassVar[Json] = {}
    first_chunk_extras: ClassVar[Json] = {}
    stream_type = "text/event-stream; charset=utf-8"
    preamble: tuple[Event, ...] = ()
    trailer: tuple[Event, ...] = (DONE,)

    def __init__(self) -> None:
        self._batches = self.batches()

    # -- requests ---------------------------------------------------------------------------------------------------

    def read(self, request: Request, path: str) -> Asked | Json | Filed:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        check_key(key if scheme.lower() == "bearer" else None, required=self.needs_key)
        if request.method == "GET" and path == "/models":
            return self.model_list()
        if request.method == "POST" and self.embeddings and path == self.embeddings.path:
            return self.embeddings.read(decode_object(request.body))
        if request.method == "POST" and self.images and path == self.images.path:
            return self.images.read(decode_object(request.body), request.headers.get("host", ""))
        if request.method == "POST" and self.speech and path == self.speech.path:
            return self.speech.read(decode_object(request.body))
        if request.method == "POST" and self.transcriptions and path == self.transcriptions.path:
            return self.transcriptions.read(request)
        if self._batches and self._batches.holds(path):
            return self._batches.answer(request, path)
        if request.method != "POST" or path != "/chat/completions":
            raise Refused("no_route", f"Invalid URL ({request.method} {request.path})")
        body = decode_object(request.body)
        self.check(body)
        return ChatCall(self, body)

    def check(self, body: Json) -> None:
        """The provider's validation. Raises Refused."""
        require(body, "model", "messages")
        check_parameters(body, self.rules, strict=self.strict)
        check_messages(body["messages"], "messages")
        check_call_ids(body["messages"], self.call_id)
        check_nothing(body, takes_empty=self.empty_answers)
        if body["model"] == UNKNOWN_MODEL:
            raise Refused(
                "model_not_found",
                f"The model `{UNKNOWN_MODEL}` does not exist or you do not have access to it.",
                param="model",
                code="model_not_found",
            )
        check_effort(body.get("reasoning_effort"), self.efforts(body["model"]))
        asked = body.get("max_completion_tokens") or body.get("max_tokens")
        if self.max_output_tokens and asked and asked > self.max_output_tokens:
            name = "max_completion_tokens" if body.get("max_completion_tokens") else "max_tokens"
            message = f"{name} is too large: {asked}. This model supports at most {self.max_output_tokens}."
            raise Refused("out_of_range", message, param=name, code="invalid_value")

    def efforts(self, model: str) -> tuple[str, ...]:  # noqa: ARG002
        """The levels of reasoning that it takes; none when it takes any."""
        return ()

    def reasons(self, body: Json) -> bool:
        """Whether this request gets reasoning."""
        return body.get("reasoning_effort") not in (None, "none")

    def tags_thoughts(self, body: Json) -> bool:
        """Whether reasoning stands in the content, within `<think>` tags."""
        return body["model"] in self.thinkers

    def batches(self) -> OpenAiBatches | None:
        """Where it has some."""
        return OpenAiBatches(self, self.batched, expires=self.files_expire) if self.batched else None

    # -- replies ----------------------------------------------------------------------------------------------------

    def refuse(self, refused: Refused) -> Reply:
        return self.errors.render(refused)

    def model_list(self) -> Json:
        """The answer of GET /models."""
        rows = [{"id": name, "object": "model", "created": 1700000000, "owned_by": self.name} for name in self.models]
        return {"object": "list", "data": rows}

    def reply_id(self, number: int) -> str:
        """Id of the completion."""
        return f"chatcmpl-sim{number:08d}"

    def tool_id(self, number: int) -> str:
        """Id of a tool call."""
        return f"call_sim{number:08d}"

    def reply_model(self, model: str) -> str:
        """The model's name as the reply spells it."""
        return model

    def usage(self, usage: Usage) -> Json:
        """Token counts, in the provider's fields."""
        completion = usage.reply + usage.reasoning
        return {
            "prompt_tokens": usage.prompt,
            "completion_tokens": completion,
            "total_tokens": usage.prompt + completion,
        }

    def message(self, answer: Answer) -> Json:
        """The assistant message of a whole reply."""
        message: Json = {"role": "assistant", "content": answer.text if not answer.calls else self.empty_content}
        if answer.reasoning and self.reasoning_field:
            message[self.reasoning_field] = answer.reasoning_text
        if answer.calls:
            message["tool_calls"] = [self.tool_call(call, at) for at, call in enumerate(answer.calls)]
        return message

    def tool_call(self, call: ToolCall, at: int) -> Json:
        """One tool call of a whole reply."""
        function = {"name": call.name, "arguments": call.arguments}
        whole = {"id": self.tool_id(call.number), "type": "function", "function": function}
        return whole | {"index": at} if self.tool_index else whole

    def choice(self, at: int, answer: Answer) -> Json:
        """One choice of a whole reply."""
        finish = FINISH.get(answer.finish, answer.finish)
        return {"index": at, "message": self.message(answer), "logprobs": None, "finish_reason": finish}

    def envelope(self, answer: Answer, model: str, kind: str) -> Json:
        """Fields that a reply and every chunk of it have in common, without choices and usage."""
        name = self.reply_model(model)
        return {"id": self.reply_id(answer.number), "object": kind, "created": now_s(), "model": name}

    # -- chunks -----------------------------------------------------------------------------------------------------

    def chunk_choice(self, at: int, delta: Json, finish: str | None = None) -> Json:
        """One choice of a chunk."""
        return {"index": at, "delta": delta, "logprobs": None, "finish_reason": finish}

    def role_delta(self, answer: Answer) -> Json:
        """The first delta, of providers that send the role on its own."""
        return {"role": "assistant", "content": self.empty_content if answer.calls else ""}

    def reasoning_delta(self, piece: str) -> Json:
        """A delta with reasoning text."""
        return {self.reasoning_field: piece} if self.reasoning_field else {}

    def text_delta(self, piece: str) -> Json:
        """A delta with text."""
        return {"content": piece}

    def tool_deltas(self, call: ToolCall, at: int) -> Iterator[Json]:
        """Deltas of one tool call: name first and arguments in fragments, or all at once."""
        whole = self.tool_call(call, at) | {"index": at}
        if self.whole_tool_calls:
            yield {"tool_calls": [whole]}
            return
        yield {"tool_calls": [whole | {"function": {"name": call.name, "arguments": ""}}]}
        for piece in fragments(call.arguments):
            yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}

    def finish_delta(self) -> Json:
        """The delta of the chunk that says why the reply ended."""
        return {}

    def decorate(self, chunk: Json, call: "ChatCall") -> Json:
        """Fields a provider adds to its chunks."""
        if self.null_usage and call.include_usage:
            chunk.setdefault("usage", None)
        return chunk | self.chunk_extras

    def final_chunks(self, call: "ChatCall", envelope: Json, answer: Answer) -> Iterator[Json]:
        """The chunk with the finish reason, and the chunk with usage where it is a separate one."""
        finish = FINISH.get(answer.finish, answer.finish)
        choices = [self.chunk_choice(at, self.finish_delta(), finish) for at in range(answer.n)]
        last = envelope | {"choices": choices}
        wanted = answer.usage and (call.include_usage or self.usage_always)
        if answer.usage and wanted and self.usage_on_finish:
            last["usage"] = self.usage(answer.usage)
        yield self.decorate(last, call)
        if answer.usage and wanted and not self.usage_on_finish:
            yield self.decorate(envelope | {"choices": [], "usage": self.usage(answer.usage)}, call)

    def stream_error(self, status: int) -> Iterable[Event]:
        reply = self.refuse(Refused("fault", "The server had an error while streaming.", status=status))
        return (Event(b"data: " + reply.body + b"\n\n"),)


class ChatCall(Call):
    """A checked chat completion request."""

    def __init__(self, api: ChatApi, body: Json) -> None:
        self.api = api
        self.said = ""
        self.stream = bool(body.get("stream"))
        self.include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        self.stream_type = api.stream_type
        self.prompt, self.settings = read_prompt(body)
        self.prompt.reasoning = api.shows_reasoning and api.reasons(body)
        self.tags_thoughts = api.tags_thoughts(body)

    def body(self, answer: Answer) -> Json:
        answer = self._tagged(answer)
        reply = self.api.envelope(answer, self.prompt.model, "chat.completion")
        reply["choices"] = [self.api.choice(at, answer) for at in range(answer.n)]
        if answer.usage:
            reply["usage"] = self.api.usage(answer.usage)
        return reply | self.api.reply_extras

    def events(self, answer: Answer) -> Iterator[Event]:
        answer = self._tagged(answer)
        api, envelope = self.api, self.api.envelope(answer, self.prompt.model, "chat.completion.chunk")
        yield from api.preamble
        extras = api.first_chunk_extras
        for delta, content in self._deltas(answer):
            for at in range(answer.n):
                chunk = envelope | {"choices": [api.chunk_choice(at, delta)]} | extras
                yield Event(sse(api.decorate(chunk, self)), content)
            extras = {}
        for chunk in api.final_chunks(self, envelope, answer):
            yield Event(sse(chunk))
        yield from api.trailer

    def _tagged(self, answer: Answer) -> Answer:
        if not self.tags_thoughts or not answer.reasoning:
            return answer
        thoughts = ["<think>\n", *answer.reasoning, "\n</", "think>\n\n"]
        told = answer.pieces
        pieces = [*thoughts, *told] if isinstance(told, list) else itertools.chain(thoughts, told)
        return replace(answer, pieces=pieces, reasoning=[])

    def _deltas(self, answer: Answer) -> Iterator[tuple[Json, bool]]:
        if self.api.role_first:
            yield self.api.role_delta(answer), False
        role: Json = {} if self.api.role_first else {"role": "assistant"}
        for delta in self._content_deltas(answer):
            yield role | delta, True

    def _content_deltas(self, answer: Answer) -> Iterator[Json]:
        for piece in answer.reasoning if self.api.reasoning_field else ():
            yield self.api.reasoning_delta(piece)
        for piece in answer.pieces:
            yield self.api.text_delta(piece)
        for at, call in enumerate(answer.calls):
            yield from self.api.tool_deltas(call, at)


def check_effort(told: Any, levels: tuple[str, ...]) -> None:
    """Raises Refused."""
    if told is not None and levels and told not in levels:
        message = f"Unsupported value: 'reasoning_effort' does not support '{told}' with this model."
        message += f" Supported values are: {', '.join(levels)}."
        raise Refused("out_of_range", message, param="reasoning_effort", code="unsupported_value")


def without_logprobs(choice: Json) -> Json:
    """For providers whose choices have no such field."""
    choice.pop("logprobs", None)
    return choice
