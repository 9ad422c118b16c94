"""From the provider's normalised reply or chunks to what the client receives, with usage, cost and report."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.model.chat import ChatCall, Json, TextPart
from gateway.model.completion import Completion, CompletionChunk, UsageReport
from gateway.model.estimate import at_least, estimated_usage, generated_bytes
from gateway.model.reply import Chunk, Reply
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import Counted, account
from gateway.pipeline.demand import prompt_tokens_at_most
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.parts import parts_of
from gateway.pipeline.reasoning import reasons
from gateway.pipeline.report import report
from gateway.pipeline.route import ChatRoute
from gateway.pipeline.structured import Promise
from gateway.pipeline.structured_stream import StreamedExpectation
from gateway.pipeline.whole_lists import WholeLists
from gateway.ports import Clock


def account_whole(reply: Reply, call: ChatCall, attempt: Attempt, exchange: Exchange) -> UsageReport:
    """What the reply of a call that is not streamed used, by the provider's figures where it gave some."""
    generated = sum(generated_bytes(choice.message) for choice in reply.choices)
    return account(attempt, reply.usage or estimated_usage(call, generated), exchange)


def completion(reply: Reply, usage: UsageReport, exchange: Exchange, clock: Clock) -> Completion:
    """What the client gets of a call that is not streamed."""
    route = exchange.attempts[-1].route
    return Completion(
        id=reply.id or f"chatcmpl-{exchange.request_id}",
        created=reply.created_s or int(clock.now_s()),
        model=route.model_id,
        choices=reply.choices,
        usage=usage,
        gateway=report(exchange, clock),
        service_tier=reply.service_tier,
        system_fingerprint=reply.system_fingerprint,
        provider_data=reply.extra,
    )


class ChunkResponder:
    """Chunks of one stream on their way to the client.

    The chunk that finishes a choice is held back until another one follows, so that the last chunk can carry usage
    and report. A client that asked for OpenAI's separate usage chunk (empty `choices`) gets that instead.
    """

    def __init__(self, call: ChatCall, promise: Promise, attempt: Attempt, exchange: Exchange, clock: Clock) -> None:
        self._call, self._attempt, self._exchange, self._clock = call, attempt, exchange, clock
        self._names = promise.names
        self._lists = WholeLists()
        self._expected = None if promise.expectation is None else StreamedExpectation(promise.expectation)
        self._route: ChatRoute = attempt.route
        self._separate_usage = bool(call.stream_options and call.stream_options.include_usage)
        self._id = f"chatcmpl-{exchange.request_id}"
        self._created_s = int(clock.now_s())
        self._held: CompletionChunk | None = None
        self._extra: Json = {}
        self._generated_bytes = 0
        self._known: TokenUsage | None = None
        self._has_begun = False

    def read(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        """What the provider says, in the client's own terms; what it used is noted."""
        return [self._read(chunk) for chunk in chunks]

    def _read(self, chunk: Chunk) -> Chunk:
        if self._expected is not None:
            chunk = self._expected.shaped(chunk)
        chunk = self._names.in_chunk(self._lists.take(chunk))
        if chunk.usage is not None:
            self._known = chunk.usage
        if chunk.choices:
            self._has_begun = True
            self._generated_bytes += sum(generated_bytes(choice.delta) for choice in chunk.choices)
        return chunk

    def take(self, chunks: Iterable[Chunk]) -> list[CompletionChunk]:
        """Of chunks that were read: what may be sent now."""
        ready: list[CompletionChunk] = []
        for chunk in chunks:
            if self._expected is not None:
                self._expected.collect(chunk)
            if not chunk.choices:
                self._extra |= chunk.extra or {}
                continue
            if self._held is not None:
                ready.append(self._held)
                self._held = None
            mine = self._mine(chunk)
            if any(choice.finish_reason for choice in chunk.choices):
                self._held = mine
            else:
                ready.append(mine)
        return ready

    def account(self) -> UsageReport:
        """Of a stream that came to its end."""
        counted = estimated_usage(self._call, self._generated_bytes)
        return account(self._attempt, self._known or counted, self._exchange)

    def finish(self, usage: UsageReport) -> list[CompletionChunk]:
        """The rest of a stream that came to its end: the last of them has `usage` and `gateway`.

        Raises ReplyBreaksSchema (422).
        """
        if self._expected is not None:
            self._expected.finish()
        gateway = report(self._exchange, self._clock)
        held = [] if self._held is None else [self._held]
        last = held.pop() if held and not self._separate_usage else self._mine(Chunk(choices=[]))
        provider_data = {**(last.provider_data or {}), **self._extra} or None
        return [*held, msgspec.structs.replace(last, usage=usage, gateway=gateway, provider_data=provider_data)]

    def counted(self) -> Counted:
        """Of a stream that broke off: what came of it, and whether its model could do more than was seen."""
        counted = estimated_usage(self._call, self._generated_bytes)
        if self._known is not None:
            counted = at_least(self._known, counted)
        return Counted(counted, self._has_begun, self._at_most() if self._has_begun and self._shows_all() else None)

    def _at_most(self) -> TokenUsage:
        """By the bounds that were held: whoever breaks a stream off, its provider has read the whole prompt."""
        output_tokens = self._generated_bytes
        if (limit := self._call.output_limit_tokens) is not None:
            output_tokens = min(output_tokens, limit * (self._call.n or 1))
        prompt_tokens = prompt_tokens_at_most(self._call, self._route.facts)
        bound = TokenUsage(prompt_tokens=prompt_tokens, completion_tokens=output_tokens, estimated=True)
        return bound if self._known is None else at_least(self._known, bound)

    def _shows_all(self) -> bool:
        """Neither reasoning nor searches of the provider's own, nor media of which nobody told what they count."""
        call = self._call
        if call.provider_options or call.web_search_options is not None or reasons(call, self._route) is not False:
            return False
        return self._known is not None or all(isinstance(part, TextPart) for _, part in parts_of(call))

    def _mine(self, chunk: Chunk) -> CompletionChunk:
        return CompletionChunk(
            id=self._id,
            created=self._created_s,
            model=self._route.model_id,
            choices=chunk.choices,
            service_tier=chunk.service_tier,
            system_fingerprint=chunk.system_fingerprint,
            provider_data=chunk.extra,
        )
