"""Gemini's server-sent events as normalised chunks: each event is an answer of its own, `usageMetadata` cumulative.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.model.provider_errors import ProviderError
from gateway.model.reply import Chunk, ChunkChoice, Delta, FunctionCallDelta, ToolCallDelta
from gateway.providers.wire.gemini_answer import ANSWER, Candidate, Figures, PromptFeedback, finish_reason, given
from gateway.providers.wire.gemini_failures import failure_in
from gateway.providers.wire.gemini_parse import index_of, told
from gateway.providers.wire.gemini_parts import CandidateReader, Gathered, searches
from gateway.providers.wire.sse import SseDecoder


class AnswerStream:
    """Finish reasons are kept back until `close`: an early one is taken back by a later one (STOP, then RECITATION).

    The chunk from `close` has them, the final usage and what only Google tells.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._sse = SseDecoder()
        self._readers: dict[int, CandidateReader] = {}
        self._figures: Figures | None = None
        self._blocked: PromptFeedback | None = None

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for event in self._sse.feed(data):
            yield self._chunk(event.data)

    def close(self) -> Iterator[Chunk]:
        """Raises ProviderError when a candidate has not finished, or none has come and the prompt was not blocked, and
        when one has been broken off.
        """
        readers = sorted(self._readers.values(), key=lambda reader: reader.index)
        if self._blocked is None and not (readers and all(reader.finished is not None for reader in readers)):
            raise ProviderError(f"{self._provider}'s stream ended early")
        for reader in readers:
            reader.check(self._provider, self._figures)
        ends = [
            ChunkChoice(
                index=reader.index,
                delta=Delta(),
                finish_reason=finish_reason(
                    "SAFETY" if reader.finished is None else reader.finished, has_calls=reader.calls > 0
                ),
            )
            for reader in readers
        ]
        facts = [{"index": reader.index, **reader.facts} for reader in readers if reader.facts]
        extra = told(facts)
        if self._blocked is not None:
            extra = {**(extra or {}), **self._blocked.facts()}
            ends = ends or [ChunkChoice(index=0, delta=Delta(role="assistant"), finish_reason="content_filter")]
        usage = self._figures.tokens(searches(facts)) if self._figures else None
        yield Chunk(choices=ends, usage=usage, extra=extra)

    def _chunk(self, data: bytes) -> Chunk:
        try:
            answer = ANSWER.decode(data)
            choices = [
                said
                for position, candidate in enumerate(answer.candidates or ())
                if (said := self._said(candidate, position, data, answer.response_id)) is not None
            ]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ProviderError(f"{self._provider} sent an event that is not documented") from error
        if given(answer.error):
            raise failure_in(data, self._provider) or ProviderError(f"{self._provider} reported an unnamed error")
        self._blocked = answer.blocked or self._blocked
        figures = answer.usage_metadata
        if figures is not None:
            self._figures = self._figures.updated(figures) if self._figures else figures
        return Chunk(
            id=answer.response_id or "",
            model=answer.model_version or "",
            created_s=answer.created_s,
            choices=choices,
            usage=self._figures.tokens() if self._figures else None,
            service_tier=figures.tier if figures else None,
        )

    def _said(self, candidate: Candidate, position: int, data: bytes, response_id: str | None) -> ChunkChoice | None:
        """None when there is nothing to pass on: no text, or an empty one that only ends the answer."""
        index = index_of(candidate, position)
        reader = self._readers.get(index)
        first = reader is None
        if reader is None:
            reader = self._readers[index] = CandidateReader(index)
        calls = reader.calls
        gathered = reader.take(candidate, data, position, response_id)
        delta = _delta(gathered, calls, first=first)
        if delta == _SILENT and gathered.logprobs is None:
            return None
        return ChunkChoice(index=index, delta=delta, logprobs=gathered.logprobs)


_SILENT = Delta()


def _delta(gathered: Gathered, calls_before: int, *, first: bool) -> Delta:
    return Delta(
        role="assistant" if first else None,
        content=gathered.text or None,
        tool_calls=_call_deltas(gathered, calls_before) if gathered.calls else None,
        reasoning_content=gathered.reasoning,
        reasoning_details=gathered.details,
        annotations=gathered.annotations,
        media=gathered.media,
    )


def _call_deltas(gathered: Gathered, calls_before: int) -> list[ToolCallDelta]:
    """Gemini's calls come whole."""
    return [
        ToolCallDelta(
            index=index,
            id=call.id,
            type="function",
            function=FunctionCallDelta(name=call.function.name, arguments=call.function.arguments),
            extra_content=call.extra_content,
        )
        for index, call in enumerate(gathered.calls or (), start=calls_before)
    ]
