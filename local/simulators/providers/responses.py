"""OpenAI's responses endpoint, basic: text in, text (or a schema instance) out, whole or as typed events."""

from collections.abc import Callable, Iterator
from typing import Any

from local.simulators.providers.conversation import read_content
from local.simulators.script import TOKENS_PER_MESSAGE, Answer, Prompt, count_tokens
from local.simulators.switches import strip_directives
from local.simulators.wire import (
    ANY,
    FLAG,
    LIST,
    OBJECT,
    TEXT,
    UNKNOWN_MODEL,
    Call,
    Event,
    Json,
    Refused,
    check_messages,
    check_parameters,
    decimal,
    integer,
    now_s,
    require,
    sse,
)

RULES = {
    "background": FLAG,
    "include": LIST,
    "input": ANY,
    "instructions": TEXT,
    "max_output_tokens": integer(16),
    "max_tool_calls": integer(1),
    "metadata": OBJECT,
    "model": TEXT,
    "parallel_tool_calls": FLAG,
    "previous_response_id": TEXT,
    "prompt_cache_key": TEXT,
    "reasoning": OBJECT,
    "safety_identifier": TEXT,
    "service_tier": TEXT,
    "store": FLAG,
    "stream": FLAG,
    "stream_options": OBJECT,
    "temperature": decimal(0, 2),
    "text": OBJECT,
    "tool_choice": ANY,
    "tools": LIST,
    "top_logprobs": integer(0, 20),
    "top_p": decimal(0, 1),
    "truncation": TEXT,
    "user": TEXT,
}
PART_NAMES = {"input_text": "text", "output_text": "text"}


class ResponsesCall(Call):
    """A checked request to POST /responses."""

    def __init__(self, body: Json, reply_model: Callable[[str], str]) -> None:
        """Raises Refused."""
        require(body, "model", "input")
        check_parameters(body, RULES, strict=True)
        if body["model"] == UNKNOWN_MODEL:
            message = f"The requested model '{UNKNOWN_MODEL}' does not exist."
            raise Refused("model_not_found", message, param="model", code="model_not_found")
        self.request = body
        self.model = reply_model(body["model"])
        self.stream = bool(body.get("stream"))
        self.prompt, self.settings = read_prompt(body)

    def body(self, answer: Answer) -> Json:
        return self._response(answer, "incomplete" if answer.finish == "length" else "completed", answer.text)

    def events(self, answer: Answer) -> Iterator[Event]:
        typed = self._typed_events(answer)
        for sequence, (fields, content) in enumerate(typed):
            yield Event(sse(fields | {"sequence_number": sequence}, fields["type"]), content)

    def _typed_events(self, answer: Answer) -> Iterator[tuple[Json, bool]]:
        place = {"item_id": _item_id(answer), "output_index": 0, "content_index": 0}
        started = self._response(answer, "in_progress", None)
        yield {"type": "response.created", "response": started}, False
        yield {"type": "response.in_progress", "response": started}, False
        yield {"type": "response.output_item.added", "output_index": 0, "item": _item(answer, None)}, False
        yield {"type": "response.content_part.added", **place, "part": _part("")}, False
        said = ""
        for piece in answer.pieces:
            said += piece
            yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}, True
        yield {"type": "response.output_text.done", **place, "text": said, "logprobs": []}, False
        yield {"type": "response.content_part.done", **place, "part": _part(said)}, False
        yield {"type": "response.output_item.done", "output_index": 0, "item": _item(answer, said)}, False
        status = "incomplete" if answer.finish == "length" else "completed"
        yield {"type": f"response.{status}", "response": self._response(answer, status, said)}, False

    def _response(self, answer: Answer, status: str, text: str | None) -> Json:
        asked = self.request
        response: Json = {
            "id": f"resp_sim{answer.number:08d}",
            "object": "response",
            "created_at": now_s(),
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": asked.get("instructions"),
            "max_output_tokens": asked.get("max_output_tokens"),
            "model": self.model,
            "output": [] if text is None else [_item(answer, text)],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": asked.get("store", True),
            "temperature": asked.get("temperature", 1.0),
            "text": asked.get("text") or {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": asked.get("top_p", 1.0),
            "truncation": "disabled",
            "usage": None,
            "user": None,
            "metadata": asked.get("metadata") or {},
        }
        if text is not None and answer.usage:
            output = answer.usage.reply + answer.usage.reasoning
            response["usage"] = {
                "input_tokens": answer.usage.prompt,
                "input_tokens_details": {"cached_tokens": answer.usage.cached},
                "output_tokens": output,
                "output_tokens_details": {"reasoning_tokens": answer.usage.reasoning},
                "total_tokens": answer.usage.prompt + output,
            }
        return response


def read_prompt(body: Json) -> tuple[Prompt, dict[str, str]]:
    """The neutral prompt and the directives of the last user message. Raises Refused."""
    prompt = Prompt(model=body["model"], max_tokens=body.get("max_output_tokens"))
    prompt.input_tokens = count_tokens(body.get("instructions") or "")
    settings: dict[str, str] = {}
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list):
        raise Refused("wrong_type", "Invalid type for 'input': expected string or array.", param="input")
    check_messages(items, "input")
    for item in items:
        content = item.get("content")
        if isinstance(content, list):
            content = [_as_chat_part(part) for part in content]
        parts = read_content(content, "input")
        text, found = strip_directives(parts.text)
        prompt.input_tokens += TOKENS_PER_MESSAGE + count_tokens(text)
        if item.get("role") == "user":
            prompt.user_text, prompt.media, settings = text, parts.media, found
    effort = (body.get("reasoning") or {}).get("effort")
    prompt.reasoning = effort not in (None, "none")
    form = (body.get("text") or {}).get("format") or {}
    prompt.schema = form.get("schema") if form.get("type") == "json_schema" else None
    prompt.json_object = form.get("type") == "json_object"
    return prompt, settings


def _as_chat_part(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "input_image":
        return {"type": "image_url", "image_url": part.get("image_url")}
    if kind == "input_file":
        return {"type": "file", "file": {"file_data": part.get("file_data"), "file_id": part.get("file_id")}}
    return part | {"type": PART_NAMES[kind]} if kind in PART_NAMES else part


def _item_id(answer: Answer) -> str:
    return f"msg_sim{answer.number:08d}"


def _item(answer: Answer, text: str | None) -> Json:
    status = "in_progress" if text is None else "completed"
    content = [] if text is None else [_part(text)]
    return {"id": _item_id(answer), "type": "message", "status": status, "content": content, "role": "assistant"}


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
