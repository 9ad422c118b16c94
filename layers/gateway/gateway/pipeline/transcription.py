"""A transcript from key to text, in reading order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeAlias

from msgspec import UNSET

from gateway.hooks.transcription import TranscriptionRequest
from gateway.model.call import MAX_BEGIN_MS, MAX_STREAM_MS
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.model.transcription import (
    Transcript,
    TranscriptDelta,
    TranscriptDone,
    Transcription,
    TranscriptionCall,
    TranscriptionUsage,
    TranscriptionVerbose,
)
from gateway.pipeline.agree import agreed
from gateway.pipeline.ask import begin
from gateway.pipeline.demand import demand_at_most
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.meters import Demand
from gateway.pipeline.read import refuse_fallback
from gateway.pipeline.report import report
from gateway.pipeline.route import TRANSCRIPTIONS, Route, resolve
from gateway.pipeline.sound import length_of, sound_in
from gateway.pipeline.subtitles import CONTENT_TYPES, written
from gateway.pipeline.transcription_check import check_transcription, usage_at_most
from gateway.pipeline.transcription_read import AskedTranscription, read_call, read_transcription
from gateway.pipeline.transcription_stream import Writing
from gateway.pipeline.watch import lease_s
from gateway.ports import World
from gateway.providers.contract import TranscriptionWire


@dataclass(frozen=True, slots=True)
class TranscriptionPlan:
    """A call that its provider can be asked, and the most it can use."""

    asked: AskedTranscription
    route: Route[TranscriptionWire]
    demand: Demand

    @property
    def max_bytes(self) -> int | None:
        facts = self.route.facts.transcription
        return facts.max_bytes if facts else None


@dataclass(frozen=True, slots=True)
class WrittenText:
    """A transcript that is no JSON: plain text or subtitles."""

    content_type: str
    text: str
    usage: TranscriptionUsage


TranscriptEvents: TypeAlias = AsyncGenerator[TranscriptDelta | TranscriptDone, None]
Outcome: TypeAlias = Transcription | TranscriptionVerbose | WrittenText | TranscriptEvents


async def run(inbound: Inbound, exchange: Exchange, world: World) -> Outcome | Job:
    """The transcript as it was asked for; events do nothing before the first of them is. Or the job it became.

    Raises GatewayError; events raise it from their iteration, also in the middle.
    """

    def read() -> AskedTranscription:
        asked = read_transcription(inbound.content_type, inbound.body)
        exchange.note(asked.call, stream=asked.call.is_streamed)
        return asked

    async def plan(asked: AskedTranscription, principal: Principal) -> TranscriptionPlan:
        return await plan_transcription(asked, principal, world)

    planned = await enter(inbound.authorization, "transcriptions", read, plan, exchange, world)
    if (job := await accepted(planned.asked.call, inbound, exchange, world)) is not None:
        return job
    chain = Chain(exchange, world)
    asked = planned.asked

    async def plan_anew(call: TranscriptionCall, principal: Principal) -> TranscriptionPlan:
        return await plan(replace(asked, call=call), principal)

    request = TranscriptionRequest(asked.call, read_call)
    planned = await agreed(planned, request, plan_anew, chain, exchange, world)
    writing = await begun(planned, chain, exchange, world)
    if planned.asked.call.stream:
        exchange.is_held_back = chain.enforces_replies
        return _events(writing, exchange, world)
    return _formed(await writing.whole(), planned, exchange, world)


async def plan_transcription(asked: AskedTranscription, principal: Principal, world: World) -> TranscriptionPlan:
    call = asked.call
    refuse_fallback(call)
    route = resolve(TRANSCRIPTIONS, call.model, principal, world.catalog, world.clock.now_s())
    check_transcription(call, route)
    facts = route.facts.transcription
    length = await length_of(asked, principal.tenant.id, facts.max_bytes if facts else None, world)
    lease = lease_s(call, MAX_STREAM_MS if call.stream else MAX_BEGIN_MS)
    demand = demand_at_most(usage_at_most(call, length, route.facts), route, principal, lease)
    return TranscriptionPlan(asked, route, demand)


async def begun(planned: TranscriptionPlan, chain: Chain, exchange: Exchange, world: World) -> Writing:
    """With the recording read; nothing is asked yet."""
    sound = await sound_in(planned.asked, planned.max_bytes, exchange, world)
    attempt = begin(planned.route, exchange, world.clock)
    return Writing(planned.asked.call, sound, attempt, chain, exchange, world)


def _formed(made: Transcript, planned: TranscriptionPlan, exchange: Exchange, world: World) -> Outcome:
    call, usage, model = planned.asked.call, _usage(exchange), planned.route.model_id
    form = call.response_format or "json"
    if form in CONTENT_TYPES:
        return WrittenText(CONTENT_TYPES[form], written(made, form), usage)
    gateway = report(exchange, world.clock)
    if form == "json":
        logprobs = UNSET if made.logprobs is None else made.logprobs
        languages = made.heard_languages
        return Transcription(
            text=made.text, model=model, usage=usage, gateway=gateway, languages=languages, logprobs=logprobs
        )
    return TranscriptionVerbose(
        text=made.text,
        language=made.language or call.language,
        duration=None if made.duration_ms is None else made.duration_ms / 1000,
        model=model,
        usage=usage,
        gateway=gateway,
        segments=[*made.segments] if "segment" in call.timed else UNSET,
        words=[*made.words] if "word" in call.timed else UNSET,
    )


async def _events(writing: Writing, exchange: Exchange, world: World) -> TranscriptEvents:
    async with aclosing(writing.pieces()) as pieces:
        async for piece in pieces:
            if piece.whole is None:
                yield TranscriptDelta(delta=piece.delta, logprobs=piece.logprobs or UNSET)
                continue
            yield TranscriptDone(
                text=piece.whole.text,
                usage=_usage(exchange),
                gateway=report(exchange, world.clock),
                languages=piece.whole.heard_languages,
                logprobs=piece.whole.logprobs or UNSET,
            )


def _usage(exchange: Exchange) -> TranscriptionUsage:
    assert exchange.usage is not None  # noqa: S101 - what has ended is accounted for
    return TranscriptionUsage.of(exchange.usage, exchange.cost_nano_usd)
