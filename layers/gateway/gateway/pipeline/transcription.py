"""A transcript from key to text, in reading order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import TypeAlias

from msgspec import UNSET, Struct
from msgspec.structs import replace

from gateway.hooks.transcription import TranscriptionRequest
from gateway.model.call import MAX_BEGIN_MS, MAX_STREAM_MS
from gateway.model.job import Job
from gateway.model.tenant import Principal
from gateway.model.transcription import (
    Sound,
    Transcript,
    TranscriptChunk,
    TranscriptDelta,
    TranscriptDone,
    Transcription,
    TranscriptionCall,
    TranscriptionUsage,
    TranscriptionVerbose,
)
from gateway.pipeline.agree import agreed
from gateway.pipeline.candidates import Candidates, candidates_of
from gateway.pipeline.demand import demand_at_most
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.fallback import answer_of, stream_of
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.meters import Demand
from gateway.pipeline.report import report
from gateway.pipeline.route import TRANSCRIPTIONS, Route, resolve
from gateway.pipeline.sound import length_of, sound_in
from gateway.pipeline.subtitles import CONTENT_TYPES, written
from gateway.pipeline.timeouts import timed
from gateway.pipeline.transcription_check import check_transcription, usage_at_most
from gateway.pipeline.transcription_read import AskedTranscription, read_call, read_transcription
from gateway.pipeline.transcription_stream import Writing
from gateway.pipeline.watch import lease_s
from gateway.ports import World
from gateway.providers.contract import TranscriptionWire


class TranscriptionPlan(Struct, frozen=True):
    """A call as the client asked it and as its provider can be asked, and the most it can use. `sound`: the recording,
    once it is read.
    """

    asked: AskedTranscription
    call: TranscriptionCall
    route: Route[TranscriptionWire]
    demand: Demand
    sound: Sound | None = None

    @property
    def max_bytes(self) -> int | None:
        facts = self.route.facts.transcription
        return facts.max_bytes if facts else None


class WrittenText(Struct, frozen=True):
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

    async def plan(asked: AskedTranscription, principal: Principal) -> Candidates[TranscriptionPlan]:
        return await plan_transcription(asked, principal, world)

    planned = await enter(inbound.authorization, "transcriptions", read, plan, exchange, world)
    if (job := await accepted(planned.asked.asked.call, inbound, exchange, world)) is not None:
        return job
    chain = Chain(exchange, world)
    asked = planned.asked.asked

    async def plan_anew(call: TranscriptionCall, principal: Principal) -> Candidates[TranscriptionPlan]:
        return await plan(replace(asked, call=call), principal)

    request = TranscriptionRequest(asked.call, read_call)
    planned = await agreed(planned, request, plan_anew, chain, exchange, world)
    if asked.call.stream:
        exchange.is_held_back = chain.enforces_replies
        pieces = partial(_pieces, chain, exchange, world)
        ready = partial(_ready, exchange, world)
        return _events(await stream_of(planned, pieces, exchange, world, ready), exchange, world)
    writing, made = await made_transcript(planned, chain, exchange, world)
    return _formed(await writing.agreed(made), asked.call, exchange, world)


async def plan_transcription(
    asked: AskedTranscription, principal: Principal, world: World
) -> Candidates[TranscriptionPlan]:
    async def plan(call: TranscriptionCall) -> TranscriptionPlan:
        planned = await _planned(replace(asked, call=call), principal, world)
        return replace(planned, asked=asked)

    return await candidates_of(asked.call, principal.tenant, world, plan)


async def _planned(asked: AskedTranscription, principal: Principal, world: World) -> TranscriptionPlan:
    call = asked.call
    route = resolve(TRANSCRIPTIONS, call.model, principal, world.catalog, world.clock.now_s())
    check_transcription(call, route)
    call = timed(call, route.model_id, principal.tenant)
    facts = route.facts.transcription
    length = await length_of(asked, principal.tenant.id, facts.max_bytes if facts else None, world)
    lease = lease_s(call, principal.tenant, MAX_STREAM_MS if call.stream else MAX_BEGIN_MS)
    demand = demand_at_most(usage_at_most(call, length, route.facts), route, principal, lease)
    return TranscriptionPlan(asked, call, route, demand)


async def made_transcript(
    candidates: Candidates[TranscriptionPlan], chain: Chain, exchange: Exchange, world: World
) -> tuple[Writing, Transcript]:
    async def made(planned: TranscriptionPlan, attempt: Attempt) -> tuple[Writing, Transcript]:
        writing = _writing(planned, attempt, chain, exchange, world)
        return writing, await writing.made()

    return await answer_of(candidates, made, exchange, world, partial(_ready, exchange, world), chain.spare_s)


async def _ready(exchange: Exchange, world: World, planned: TranscriptionPlan) -> TranscriptionPlan:
    """With the recording read."""
    return replace(planned, sound=await sound_in(planned.asked, planned.max_bytes, exchange, world))


def _pieces(
    chain: Chain, exchange: Exchange, world: World, planned: TranscriptionPlan, attempt: Attempt
) -> AsyncGenerator[TranscriptChunk, None]:
    return _writing(planned, attempt, chain, exchange, world).pieces()


def _writing(planned: TranscriptionPlan, attempt: Attempt, chain: Chain, exchange: Exchange, world: World) -> Writing:
    assert planned.sound is not None  # noqa: S101 - it is ready
    return Writing(planned.call, planned.sound, attempt, chain, exchange, world)


def _formed(made: Transcript, call: TranscriptionCall, exchange: Exchange, world: World) -> Outcome:
    usage, model = _usage(exchange), exchange.attempts[-1].route.model_id
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


async def _events(writing: AsyncGenerator[TranscriptChunk, None], exchange: Exchange, world: World) -> TranscriptEvents:
    async with aclosing(writing) as pieces:
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
    return TranscriptionUsage.of(exchange.usage, exchange.whole_cost_nano_usd)
