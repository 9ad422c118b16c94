"""OpenAI's stream of response events as normalised chunks.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec

from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Chunk, ChunkChoice
from gateway.providers.contract import Target
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_responses_answer import Answer
from gateway.providers.wire.openai_responses_parse import broken, check, decoded, ending, opening, unstreamed
from gateway.providers.wire.sse import SseDecoder

NO_RESPONSE = msgspec.Raw(b"{}")


class WireEvent(msgspec.Struct):
    """Members of the events that are read. An error comes in `error`, or without it (as documented) beside `type`."""

    type: str | None = None
    delta: Any = None
    output_index: Any = 0
    summary_index: Any = 0
    content_index: Any = 0
    logprobs: Any = None
    item: Any = None
    response: msgspec.Raw = NO_RESPONSE
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None


_decoder = msgspec.json.Decoder(WireEvent)


def _read(data: bytes) -> WireEvent | None:
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class ResponseStream:
    """Complete when the provider said that the response is completed or incomplete."""

    def __init__(self, target: Target, quirks: Quirks) -> None:
        self._target, self._quirks = target, quirks
        self._decoder = SseDecoder()
        self._answer = Answer(target.provider)
        self._opened = self._complete = False

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for event in self._decoder.feed(data):
            yield from self._event(event.data)

    def close(self) -> Iterator[Chunk]:
        for event in self._decoder.feed(b"\n\n"):  # the last event may lack its empty line
            if _read(event.data) is not None:
                yield from self._event(event.data)
        if not self._complete:
            raise ProviderError(f"{self._target.provider}'s stream ended early.")

    def _event(self, data: bytes) -> Iterator[Chunk]:
        """Unknown events say nothing. Raises ProviderFailure."""
        if self._complete or data in (b"", b"[DONE]"):
            return
        event = _read(data)
        if event is None:
            raise ProviderError(f"{self._target.provider} sent something that is not an event.")
        if not isinstance(event.output_index, int):
            event.output_index = 0
        if (piece := _PIECES.get(event.type)) is not None:
            if isinstance(event.delta, str) and event.delta and (told := piece(self._answer, event)) is not None:
                yield Chunk(choices=[told])
        elif (handle := _HANDLERS.get(event.type)) is not None:
            yield from handle(self, event)

    def _begin(self, event: WireEvent) -> Iterator[Chunk]:
        if not self._opened:
            self._opened = True
            yield opening(decoded(event.response, self._target))

    def _item_added(self, event: WireEvent) -> Iterator[Chunk]:
        if isinstance(event.item, dict) and (told := self._answer.added(event.output_index, event.item)) is not None:
            yield Chunk(choices=[told])

    def _item_done(self, event: WireEvent) -> Iterator[Chunk]:
        if isinstance(event.item, dict) and (told := self._answer.done(event.output_index, event.item)) is not None:
            yield Chunk(choices=[told])

    def _end(self, event: WireEvent) -> Iterator[Chunk]:
        whole = decoded(event.response, self._target)
        check(whole, self._target, self._quirks)
        yield from self._begin(event)
        if not self._answer.begun:
            yield from unstreamed(whole, self._answer)
        self._complete = True
        yield ending(whole, self._answer, self._quirks)

    def _fail(self, event: WireEvent) -> Iterator[Chunk]:
        check(decoded(event.response, self._target), self._target, self._quirks)
        raise ProviderError(f"{self._target.provider} broke off its answer.")

    def _error(self, event: WireEvent) -> Iterator[Chunk]:
        error = event.error or {"code": event.code, "message": event.message, "param": event.param}
        raise broken(error, self._target, self._quirks)


Piece: TypeAlias = Callable[[Answer, WireEvent], ChunkChoice | None]
Handler: TypeAlias = Callable[[ResponseStream, WireEvent], Iterator[Chunk]]


def _text(answer: Answer, event: WireEvent) -> ChunkChoice:
    return answer.text_piece(event.output_index, event.delta, event.logprobs)


def _refusal(answer: Answer, event: WireEvent) -> ChunkChoice:
    return answer.refusal_piece(event.output_index, event.delta)


def _arguments(answer: Answer, event: WireEvent) -> ChunkChoice | None:
    return answer.arguments_piece(event.output_index, event.delta)


def _summary(answer: Answer, event: WireEvent) -> ChunkChoice | None:
    return answer.thought_piece(event.output_index, "summary", event.summary_index, event.delta)


def _reasoning(answer: Answer, event: WireEvent) -> ChunkChoice | None:
    return answer.thought_piece(event.output_index, "content", event.content_index, event.delta)


_PIECES: dict[str | None, Piece] = {
    "response.output_text.delta": _text,
    "response.refusal.delta": _refusal,
    "response.function_call_arguments.delta": _arguments,
    "response.reasoning_summary_text.delta": _summary,
    "response.reasoning_text.delta": _reasoning,
}
_HANDLERS: dict[str | None, Handler] = {
    "response.created": ResponseStream._begin,
    "response.in_progress": ResponseStream._begin,
    "response.output_item.added": ResponseStream._item_added,
    "response.output_item.done": ResponseStream._item_done,
    "response.completed": ResponseStream._end,
    "response.incomplete": ResponseStream._end,
    "response.failed": ResponseStream._fail,
    "response.cancelled": ResponseStream._fail,
    "error": ResponseStream._error,
}
