"""Step 5: from the provider's normalised reply or chunks to what the client receives, with usage, cost and report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec
from msgspec import UNSET

from gateway.model.chat import ChatCall, Json
from gateway.model.completion import (
    AttemptReport,
    Completion,
    CompletionChunk,
    GatewayReport,
    HookReport,
    UsageReport,
)
from gateway.model.errors import HookUnavailable, ReplyBreaksSchema, ResponseBlocked
from gateway.model.estimate import at_least, estimated_usage, generated_bytes
from gateway.model.hook import HookRun
from gateway.model.money import cost_nano_usd
from gateway.model.provider_errors import ProviderError, ProviderTimeout
from gateway.model.reply import Chunk, Reply
from gateway.model.usage import TokenUsage
from gateway.pipeline.exchange import Attempt, Exchange, milliseconds
from gateway.pipeline.structured import Promise, StreamedExpectation
from gateway.pipeline.whole_lists import WholeLists
from gateway.ports import Clock


def account_whole(reply: Reply, call: ChatCall, exchange: Exchange) -> UsageReport:
    """What the reply of a call that is not streamed used, by the provider's figures where it gave some."""
    generated = sum(generated_bytes(choice.message) for choice in reply.choices)
    return account(exchange, reply.usage or estimated_usage(call, generated))


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

    def __init__(self, call: ChatCall, promise: Promise, exchange: Exchange, clock: Clock) -> None:
        self._call, self._exchange, self._clock = call, exchange, clock
        self._names = promise.names
        self._lists = WholeLists()
        self._expected = None if promise.expectation is None else StreamedExpectation(promise.expectation)
        self._attempt = exchange.attempts[-1]
        self._route = self._attempt.route
        self._separate_usage = bool(call.stream_options and call.stream_options.include_usage)
        self._id = f"chatcmpl-{exchange.request_id}"
        self._created_s = int(clock.now_s())
        self._held: CompletionChunk | None = None
        self._extra: Json = {}
        self._generated_bytes = 0
        self._has_begun = self._is_settled = False

    def read(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        """What the provider says, in the client's own terms; what it used is noted."""
        return [self._read(chunk) for chunk in chunks]

    def _read(self, chunk: Chunk) -> Chunk:
        if self._expected is not None:
            chunk = self._expected.shaped(chunk)
        chunk = self._names.in_chunk(self._lists.take(chunk))
        if chunk.usage is not None:
            self._attempt.usage = chunk.usage
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
        self._is_settled = True
        counted = estimated_usage(self._call, self._generated_bytes)
        return account(self._exchange, self._attempt.usage or counted)

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

    def settle(self) -> None:
        """Accounts for a stream that broke off, by what came of it. Nothing after `account`, or when nothing came."""
        if self._is_settled or not self._has_begun:
            return
        self._is_settled = True
        counted = estimated_usage(self._call, self._generated_bytes)
        known = self._attempt.usage
        account(self._exchange, counted if known is None else at_least(known, counted))

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


def report(exchange: Exchange, clock: Clock) -> GatewayReport:
    """What happened so far; `overhead_ms` covers everything from arrival that was not waiting."""
    used, now_s = exchange.attempts[-1].route, clock.monotonic_s()
    return GatewayReport(
        request_id=exchange.request_id,
        provider=used.provider.name,
        model_requested=exchange.model_requested or used.model_id,
        model_used=used.model_id,
        fallback_used=len({attempt.route.model_id for attempt in exchange.attempts}) > 1,
        attempts=[_attempt_report(attempt, now_s) for attempt in exchange.attempts],
        latency_ms=exchange.latency_ms(now_s),
        overhead_ms=exchange.overhead_ms(now_s),
        schemas_used=exchange.schemas_used or UNSET,
        hooks=[_hook_report(run) for run in exchange.hooks] or UNSET,
    )


def _hook_report(run: HookRun) -> HookReport:
    return HookReport(id=run.id, stage=run.stage, mode=run.mode, action=run.action, latency_ms=run.latency_ms)


def _attempt_report(attempt: Attempt, now_s: float) -> AttemptReport:
    ended_s = now_s if attempt.ended_s is None else attempt.ended_s
    return AttemptReport(
        provider=attempt.route.provider.name,
        model=attempt.route.model_id,
        status="error" if attempt.error else "ok",
        code=attempt.error.code if attempt.error else None,
        latency_ms=milliseconds(ended_s - attempt.started_s),
        ttft_ms=None if attempt.ttft_s is None else milliseconds(attempt.ttft_s),
    )


@contextmanager
def usage_in_the_error(usage: UsageReport) -> Iterator[None]:
    """A reply that is not given is paid all the same."""
    try:
        yield
    except (ReplyBreaksSchema, ResponseBlocked, HookUnavailable) as error:
        error.usage = usage
        raise


@contextmanager
def account_interrupted(call: ChatCall, exchange: Exchange) -> Iterator[None]:
    """A provider that was asked and not waited for has read the prompt, and charges for it, whatever came back."""
    try:
        yield
    except BaseException:
        attempt = exchange.attempts[-1]
        charged = attempt.error.charged if isinstance(attempt.error, ProviderError) else None
        if attempt.usage is None and (charged or attempt.error is None or isinstance(attempt.error, ProviderTimeout)):
            account(exchange, charged or estimated_usage(call, 0))
        raise


def account(exchange: Exchange, usage: TokenUsage) -> UsageReport:
    """Enters what the last attempt used and cost; the report's cost is that of the whole request."""
    attempt = exchange.attempts[-1]
    attempt.usage = usage
    attempt.cost_nano_usd = cost_nano_usd(usage, attempt.route.facts, attempt.answered.service_tier)
    exchange.usage_report = UsageReport.of(usage, exchange.cost_nano_usd)
    return exchange.usage_report
