"""OpenAI's stream of chat completion chunks.

Source: https://platform.openai.com/docs/api-reference/chat-streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from gateway.model.chat import Json
from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Chunk, ChunkChoice, Delta, FinishReason, FunctionCallDelta, ToolCallDelta
from gateway.model.tagged_thoughts import TaggedThoughts
from gateway.providers.contract import Target
from gateway.providers.wire.openai_chat_failure import interruption
from gateway.providers.wire.openai_chat_parse import (
    WireAnswer,
    WireCall,
    WireChoice,
    WireFunction,
    WireMessage,
    arguments,
    decoded,
    extra,
    figures,
    finish_reason,
    objects,
    seconds,
    service_tier,
    spoken,
    text,
)
from gateway.providers.wire.openai_chat_quirks import Quirks
from gateway.providers.wire.openai_chat_usage import token_usage
from gateway.providers.wire.sse import Event, SseDecoder

_NOTHING = WireMessage()


class _Progress(msgspec.Struct):
    """How far one choice has come. `calls`: the id of every tool call so far, in our order; `places`: our index by
    the provider's. `thoughts`: pieces of Mistral's thinking by block, to be given whole. `tagged`: of a model that
    thinks within its content.
    """

    begun: bool = False
    finished: bool = False
    thinking: bool = False
    thoughts: list[list[Json]] = msgspec.field(default_factory=list)
    calls: list[str] = msgspec.field(default_factory=list)
    places: dict[int, int] = msgspec.field(default_factory=dict)
    tagged: TaggedThoughts | None = None


class ChatStream:
    """Complete when the provider said `[DONE]` or finished every choice."""

    def __init__(self, target: Target, quirks: Quirks) -> None:
        self._target, self._quirks = target, quirks
        self._decoder = SseDecoder()
        self._choices: dict[int, _Progress] = {}
        self._extra: Json = {}
        self._done = False

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for event in self._decoder.feed(data):
            if (chunk := self._chunk(event)) is not None:
                yield chunk

    def close(self) -> Iterator[Chunk]:
        if not self._done and self._decoder.pending:  # the last event may lack its empty line
            for event in self._decoder.feed(b"\n\n"):
                if _is_whole(event.data) and (chunk := self._chunk(event)) is not None:
                    yield chunk
        finished = bool(self._choices) and all(progress.finished for progress in self._choices.values())
        if not self._done and not finished:
            raise ProviderError(f"{self._target.provider}'s stream ended early.")

    def _chunk(self, event: Event) -> Chunk | None:
        if self._done or not event.data:
            return None
        if event.data == b"[DONE]":
            self._done = True
            return self._ending()
        if event.name == "error":
            raise interruption(event.data, self._target, self._quirks)
        answer = decoded(event.data, self._target)
        if answer.error:
            raise interruption({"error": answer.error}, self._target, self._quirks)
        choices = [mine for choice in answer.choices or () if (mine := self._choice(choice)) is not None]
        raw_usage = figures(answer)
        usage = token_usage(raw_usage, self._quirks) if raw_usage else None
        added = self._added(answer) if self._quirks.extra or self._quirks.cost else None
        if not choices and usage is None and not added:
            return None
        return Chunk(
            choices=choices,
            id=text(answer.id),
            created_s=seconds(answer.created),
            model=text(answer.model),
            usage=usage,
            service_tier=service_tier(answer),
            system_fingerprint=text(answer.system_fingerprint) or None,
            extra=added or None,
        )

    def _added(self, answer: WireAnswer) -> Json:
        """Of what the provider adds, what it has not said before."""
        said = extra(answer, self._quirks)
        new = {name: value for name, value in said.items() if self._extra.get(name) != value}
        self._extra |= new
        return new

    def _ending(self) -> Chunk | None:
        """Finishes the choices that the provider left open although it says that it is done."""
        if not self._choices:
            raise ProviderError(f"{self._target.provider} answered without a choice.")
        open_choices = [(index, progress) for index, progress in self._choices.items() if not progress.finished]
        if not open_choices:
            return None
        return Chunk(choices=[self._finish(index, progress) for index, progress in open_choices])

    def _finish(self, index: int, progress: _Progress) -> ChunkChoice:
        progress.finished = True
        reason = finish_reason(None, bool(progress.calls), self._target)
        return ChunkChoice(index=index, delta=_at_the_end(Delta(), progress), finish_reason=reason)

    def _choice(self, choice: WireChoice) -> ChunkChoice | None:
        """None when the choice says nothing new."""
        if choice.error:
            raise interruption({"error": choice.error}, self._target, self._quirks)
        index = choice.index or 0
        progress = self._choices.get(index)
        if progress is None:
            tagged = TaggedThoughts() if self._target.model.tagged_thoughts else None
            progress = self._choices[index] = _Progress(tagged=tagged)
        delta = self._delta(choice.delta or _NOTHING, progress)
        finish: FinishReason | None = None
        if choice.finish_reason and not progress.finished:
            finish = finish_reason(choice.finish_reason, bool(progress.calls), self._target)
            progress.finished = True
            delta = _at_the_end(delta or Delta(), progress)
        if delta is None and finish is None and choice.logprobs is None:
            return None
        logprobs = None if progress.tagged else choice.logprobs  # they are of the tags and thoughts too
        return ChunkChoice(index=index, delta=delta or Delta(), finish_reason=finish, logprobs=logprobs)

    def _delta(self, message: WireMessage, progress: _Progress) -> Delta | None:
        content, thinking, blocks = spoken(message)
        if content and progress.tagged:
            tagged, content = progress.tagged.take(content)
            thinking = thinking or tagged
        calls = [self._call(call, progress) for call in message.tool_calls] if message.tool_calls else None
        annotations, audio = objects(message.annotations), message.audio if isinstance(message.audio, dict) else None
        if self._quirks.reasoning_blocks == "content":
            self._think(progress, blocks, spoke=bool(content or calls))
            blocks = None
        first = not progress.begun
        progress.begun = True
        if not (first or content or thinking or calls or blocks or message.refusal or annotations or audio):
            return None
        return Delta(
            role="assistant" if first else None,
            content=content or None,
            refusal=message.refusal or None,
            tool_calls=calls,
            reasoning_content=thinking or None,
            reasoning_details=blocks,
            annotations=annotations,
            audio=audio,
        )

    @staticmethod
    def _think(progress: _Progress, pieces: list[Json] | None, *, spoke: bool) -> None:
        """Keeps pieces for the block that they make; one is over when something else was said."""
        for piece in pieces or ():
            if not progress.thinking:
                progress.thoughts.append([])
            progress.thoughts[-1].append(piece)
            progress.thinking = True
        if spoke:
            progress.thinking = False

    def _call(self, call: WireCall, progress: _Progress) -> ToolCallDelta:
        function = call.function or WireFunction()
        place = progress.places.get(len(progress.places) - 1 if call.index is None else call.index)
        begins = place is None or self._is_another(call, progress.calls[place])
        if not begins and place is not None:
            piece = FunctionCallDelta(arguments=arguments(function.arguments) or "")
            return ToolCallDelta(index=place, function=piece, extra_content=call.extra_content)
        place = len(progress.calls)
        progress.places[len(progress.places) if call.index is None else call.index] = place
        progress.calls.append(call.id or f"call_{place}")
        return ToolCallDelta(
            index=place,
            id=progress.calls[place],
            type="function",
            function=FunctionCallDelta(name=function.name or "", arguments=arguments(function.arguments) or ""),
            extra_content=call.extra_content,
        )

    @staticmethod
    def _is_another(call: WireCall, current: str) -> bool:
        """Some number every parallel call 0, or none at all; then a new id begins a new call, and so does a name."""
        if call.id:
            return call.id != current
        return call.index is None and bool(call.function and call.function.name)


def _at_the_end(delta: Delta, progress: _Progress) -> Delta:
    """With what has waited for the end of the choice."""
    if progress.tagged:
        thought, said = progress.tagged.finish()
        thinking, content = (delta.reasoning_content or "") + thought, (delta.content or "") + said
        delta = msgspec.structs.replace(delta, reasoning_content=thinking or None, content=content or None)
    if not progress.thoughts:
        return delta
    return msgspec.structs.replace(delta, reasoning_details=[_block(pieces) for pieces in progress.thoughts])


def _block(pieces: list[Json]) -> Json:
    """The thinking of a whole reply: texts that follow each other are one.

    Source: https://docs.mistral.ai/capabilities/reasoning
    """
    thinking: list[Json] = []
    inner = [part for piece in pieces for part in objects(piece.get("thinking")) or ()]
    for kind, group in groupby(inner, key=lambda part: part.get("type")):
        run = list(group)
        thinking += [{**run[0], "text": "".join(text(part.get("text")) for part in run)}] if kind == "text" else run
    return {**{name: value for piece in pieces for name, value in piece.items()}, "thinking": thinking}


def _is_whole(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data == b"[DONE]"
    return True
