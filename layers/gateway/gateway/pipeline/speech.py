"""Speech from key to recording, in reading order."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Literal, TypeAlias

import msgspec
from msgspec import structs

from gateway.hooks.speech import SpeechRequest
from gateway.model.call import MAX_BEGIN_MS, MAX_STREAM_MS
from gateway.model.catalog import SpeechFormat
from gateway.model.job import Job
from gateway.model.money import cost_nano_usd
from gateway.model.speech import CONTENT_TYPES, Speech, SpeechCall, SpeechDelta, SpeechDone, SpeechUsage
from gateway.model.tenant import Principal
from gateway.model.wav import with_sizes
from gateway.pipeline.agree import agreed
from gateway.pipeline.candidates import Candidates, candidates_of
from gateway.pipeline.demand import demand_at_most
from gateway.pipeline.enter import enter
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.fallback import answer_of, stream_of
from gateway.pipeline.generated_media import KeptMedia, keep_made
from gateway.pipeline.hooks import Chain
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_accept import accepted
from gateway.pipeline.meters import Demand
from gateway.pipeline.read import read_json
from gateway.pipeline.report import report
from gateway.pipeline.route import SPEECH, Route, resolve
from gateway.pipeline.speech_check import checked, usage_at_most, usage_of
from gateway.pipeline.speech_stream import Recording
from gateway.pipeline.timeouts import timed
from gateway.pipeline.watch import lease_s
from gateway.ports import World
from gateway.providers.contract import SpeechWire

_SPEECH = msgspec.json.Decoder(SpeechCall)
_JSON = "application/json"
STORE_S = 2.0
"""Left for storing the end of a recording, of which most is stored while it comes."""
Form: TypeAlias = Literal["stored", "bytes", "events"]


class SpeechPlan(msgspec.Struct, frozen=True):
    """A call as the client asked it and as its provider can be asked, and the most it can use."""

    asked: SpeechCall
    call: SpeechCall
    route: Route[SpeechWire]
    demand: Demand

    @property
    def content_type(self) -> str:
        assert self.call.response_format is not None  # noqa: S101 - `checked` has set it
        return CONTENT_TYPES[self.call.response_format]


class SpokenBytes(msgspec.Struct, frozen=True):
    """`planned`: of the model that was asked for; all speak in its format."""

    planned: SpeechPlan
    exchange: Exchange
    pieces: AsyncGenerator[bytes, None]

    @property
    def usage(self) -> SpeechUsage:
        """Once the first piece has come, by the model that speaks: exact where characters are paid; tokens are
        estimated, since they are told after the last byte.
        """
        facts, attempts = self.exchange.attempts[-1].route.facts, self.exchange.attempts
        usage = usage_of(self.planned.call, facts, None)
        cost = cost_nano_usd(usage, facts)
        if cost is None or self.exchange.unpriced_attempts:
            return SpeechUsage.of(usage, None)
        return SpeechUsage.of(usage, cost + sum(one.cost_nano_usd or 0 for one in attempts[:-1]))


SpeechEvents: TypeAlias = AsyncGenerator[SpeechDelta | SpeechDone, None]


async def run(inbound: Inbound, exchange: Exchange, world: World) -> Speech | SpokenBytes | SpeechEvents | Job:
    """The stored recording, or its bytes or events, of which nothing is made before the first is asked for; or the job
    that the request became.

    Raises GatewayError; bytes and events raise it from their iteration, also in the middle.
    """
    form: Form = "stored"

    def read() -> SpeechCall:
        nonlocal form
        call = read_json(_SPEECH, inbound.content_type, inbound.body)
        form = "stored" if call.async_ else _form(call, inbound.accept)
        exchange.note(call, stream=form != "stored")
        return call

    async def plan(call: SpeechCall, principal: Principal) -> Candidates[SpeechPlan]:
        return await plan_speech(call, principal, world, _longest_ms(form))

    planned = await enter(inbound.authorization, "speech", read, plan, exchange, world)
    asked = planned.asked.asked
    if (job := await accepted(asked, inbound, exchange, world)) is not None:
        return job
    chain = Chain(exchange, world)
    request = SpeechRequest(asked, partial(read_json, _SPEECH, _JSON))
    planned = await agreed(planned, request, plan, chain, exchange, world)
    if form == "stored":
        return speech(await kept_recording(planned, chain, exchange, world), exchange, world)
    exchange.is_held_back = chain.enforces_replies

    def spoken(planned: SpeechPlan, attempt: Attempt) -> AsyncGenerator[bytes, None]:
        return Recording(planned.call, attempt, chain, exchange, world, is_streamed=True).agreed()

    pieces = await stream_of(planned, spoken, exchange, world)
    if form == "events":
        return _events(pieces, exchange, world)
    return SpokenBytes(planned.asked, exchange, pieces)


def _form(call: SpeechCall, accept: str) -> Form:
    """OpenAI's clients accept application/octet-stream."""
    if call.stream_format == "sse":
        return "events"
    types = [one.partition(";")[0].strip().lower() for one in accept.split(",")]
    wants_bytes = any(one.startswith("audio/") or one == "application/octet-stream" for one in types)
    return "bytes" if wants_bytes or call.stream_format == "audio" else "stored"


def _longest_ms(form: Form) -> int:
    return MAX_BEGIN_MS if form == "stored" else MAX_STREAM_MS


async def plan_speech(
    asked: SpeechCall, principal: Principal, world: World, longest_ms: int = MAX_BEGIN_MS
) -> Candidates[SpeechPlan]:
    """All of them speak in the format of the model that is asked for: a client that names none takes what it usually
    gets.
    """
    form: SpeechFormat | None = None

    async def plan(call: SpeechCall) -> SpeechPlan:
        nonlocal form
        route = resolve(SPEECH, call.model, principal, world.catalog, world.clock.now_s())
        call = checked(call if form is None else structs.replace(call, response_format=form), route)
        call = timed(call, route.model_id, principal.tenant)
        demand = demand_at_most(
            usage_at_most(call, route.facts), route, principal, lease_s(call, principal.tenant, longest_ms)
        )
        form = call.response_format
        return SpeechPlan(asked, call, route, demand)

    return await candidates_of(asked, principal.tenant, world, plan)


async def kept_recording(
    candidates: Candidates[SpeechPlan], chain: Chain, exchange: Exchange, world: World
) -> KeptMedia:
    kept = partial(_kept, chain, exchange, world)
    return await answer_of(candidates, kept, exchange, world, spare_s=chain.spare_s + STORE_S)


async def _kept(chain: Chain, exchange: Exchange, world: World, planned: SpeechPlan, attempt: Attempt) -> KeptMedia:
    """Stores it as it comes; a WAV file when it is whole, for its header says how long it is."""
    async with aclosing(Recording(planned.call, attempt, chain, exchange, world).agreed()) as pieces:
        is_wav = planned.call.response_format == "wav"
        media: bytes | AsyncIterator[bytes] = with_sizes(await whole(pieces)) if is_wav else pieces
        left_s = exchange.answer_by_s - world.clock.monotonic_s()
        return await keep_made(media, planned.content_type, attempt, exchange, world, left_s)


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    gathered = bytearray()
    async for piece in pieces:
        gathered += piece
    return bytes(gathered)


def speech(kept: KeptMedia, exchange: Exchange, world: World) -> Speech:
    attempt = exchange.attempts[-1]
    return Speech(
        **kept.told(),
        model=attempt.route.model_id,
        usage=_usage(exchange),
        gateway=report(exchange, world.clock),
    )


async def _events(pieces: AsyncGenerator[bytes, None], exchange: Exchange, world: World) -> SpeechEvents:
    async with aclosing(pieces):
        async for piece in pieces:
            yield SpeechDelta(audio=b64encode(piece).decode())
    yield SpeechDone(usage=_usage(exchange), gateway=report(exchange, world.clock))


def _usage(exchange: Exchange) -> SpeechUsage:
    assert exchange.usage is not None  # noqa: S101 - a recording that has ended is accounted for
    return SpeechUsage.of(exchange.usage, exchange.whole_cost_nano_usd)
