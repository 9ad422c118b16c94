"""OpenAI's responses endpoint: text, function calls and encrypted reasoning, whole or as typed events.

https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Callable, Generator, Iterable, Iterator

from local.simulators.providers.responses_request import ENCRYPTED_REASONING, check, read_prompt
from local.simulators.script import Answer, ToolCall, fragments
from local.simulators.wire import Call, Event, Json, now_s, sse


class ResponsesCall(Call):
    """A checked request to POST /responses."""

    def __init__(self, body: Json, reply_model: Callable[[str], str]) -> None:
        """Raises Refused."""
        check(body)
        self.request = body
        self.reply_model = reply_model(body["model"])
        self.stream = bool(body.get("stream"))
        self.prompt, self.settings = read_prompt(body)
        self._encrypted = ENCRYPTED_REASONING in (body.get("include") or ())

    def body(self, answer: Answer) -> Json:
        items = list(self._thoughts(answer))
        items += [_call(call, call.arguments) for call in answer.calls] or [_message(answer, answer.text)]
        return self._response(answer, _status(answer), items)

    def events(self, answer: Answer) -> Iterator[Event]:
        for sequence, (fields, content) in enumerate(self._typed_events(answer)):
            yield Event(sse(fields | {"sequence_number": sequence}, fields["type"]), content)

    def _typed_events(self, answer: Answer) -> Iterator[tuple[Json, bool]]:
        started = self._response(answer, "in_progress", None)
        yield {"type": "response.created", "response": started}, False
        yield {"type": "response.in_progress", "response": started}, False
        items: list[Json] = []
        for item in self._thoughts(answer):
            yield from _whole(item, len(items))
            items.append(item)
        for call in answer.calls:
            yield from _call_events(call, len(items))
            items.append(_call(call, call.arguments))
        if not answer.calls:
            said = yield from _text_events(answer, answer.pieces, len(items))
            items.append(_message(answer, said))
        status = _status(answer)
        yield {"type": f"response.{status}", "response": self._response(answer, status, items)}, False

    def _thoughts(self, answer: Answer) -> Iterator[Json]:
        """A reasoning item; its content can be had encrypted only."""
        if answer.reasoning:
            item: Json = {"id": f"rs_sim{answer.number:08d}", "type": "reasoning", "summary": []}
            yield item | ({"encrypted_content": f"gAAAAsim{answer.number:08d}"} if self._encrypted else {})

    def _response(self, answer: Answer, status: str, items: list[Json] | None) -> Json:
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
            "model": self.reply_model,
            "output": items or [],
            "parallel_tool_calls": asked.get("parallel_tool_calls", True),
            "previous_response_id": None,
            "reasoning": {"effort": (asked.get("reasoning") or {}).get("effort"), "summary": None},
            "store": asked.get("store", True),
            "temperature": asked.get("temperature", 1.0),
            "text": asked.get("text") or {"format": {"type": "text"}},
            "tool_choice": asked.get("tool_choice") or "auto",
            "tools": asked.get("tools") or [],
            "top_p": asked.get("top_p", 1.0),
            "truncation": "disabled",
            "usage": None,
            "user": None,
            "metadata": asked.get("metadata") or {},
        }
        if items is not None and answer.usage:
            output = answer.usage.reply + answer.usage.reasoning
            response["usage"] = {
                "input_tokens": answer.usage.prompt,
                "input_tokens_details": {"cached_tokens": answer.usage.cached},
                "output_tokens": output,
                "output_tokens_details": {"reasoning_tokens": answer.usage.reasoning},
                "total_tokens": answer.usage.prompt + output,
            }
        return response


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish == "length" else "completed"


def _whole(item: Json, index: int) -> Iterator[tuple[Json, bool]]:
    yield {"type": "response.output_item.added", "output_index": index, "item": item}, False
    yield {"type": "response.output_item.done", "output_index": index, "item": item}, False


def _call_events(call: ToolCall, index: int) -> Iterator[tuple[Json, bool]]:
    item = _call(call, call.arguments)
    place = {"item_id": item["id"], "output_index": index}
    begun = _call(call, "") | {"status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}, False
    for piece in fragments(call.arguments):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}, True
    yield {"type": "response.function_call_arguments.done", **place, "arguments": call.arguments}, False
    yield {"type": "response.output_item.done", "output_index": index, "item": item}, False


def _text_events(answer: Answer, pieces: Iterable[str], index: int) -> Generator[tuple[Json, bool], None, str]:
    """Returns the whole text."""
    place = {"item_id": _message_id(answer), "output_index": index, "content_index": 0}
    yield {"type": "response.output_item.added", "output_index": index, "item": _message(answer, None)}, False
    yield {"type": "response.content_part.added", **place, "part": _part("")}, False
    said = ""
    for piece in pieces:
        said += piece
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}, True
    yield {"type": "response.output_text.done", **place, "text": said, "logprobs": []}, False
    yield {"type": "response.content_part.done", **place, "part": _part(said)}, False
    yield {"type": "response.output_item.done", "output_index": index, "item": _message(answer, said)}, False
    return said


def _call(call: ToolCall, arguments: str) -> Json:
    ids = {"id": f"fc_sim{call.number:08d}", "call_id": f"call_sim{call.number:08d}"}
    return {**ids, "type": "function_call", "status": "completed", "name": call.name, "arguments": arguments}


def _message_id(answer: Answer) -> str:
    return f"msg_sim{answer.number:08d}"


def _message(answer: Answer, text: str | None) -> Json:
    status = "in_progress" if text is None else "completed"
    content = [] if text is None else [_part(text)]
    return {"id": _message_id(answer), "type": "message", "status": status, "content": content, "role": "assistant"}


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
