"""A chat that its provider answers in the background, in reading order: recorded, begun, waited for or handed over.

The request that waits is the worker of its own job. Nobody is told of that job until the time is up: then it is the
answer, and its execution goes on from there. Where the request dies before, the record is found by the sweeper.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import NoReturn

import msgspec
from msgspec.structs import replace as with_members

from gateway.hooks.masking import Masking
from gateway.model.call import MAX_BEGIN_MS
from gateway.model.chat import ChatCall
from gateway.model.errors import AdmissionUnavailable, GatewayError, StorageUnavailable
from gateway.model.estimate import estimated_usage
from gateway.model.job import Job, RemoteWork
from gateway.model.provider_errors import ProviderFailure, ProviderGone
from gateway.model.reply import Reply
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import Counted, account_interrupted, account_unseen
from gateway.pipeline.admit import Ticket
from gateway.pipeline.ask import ending
from gateway.pipeline.asked_before import noted
from gateway.pipeline.attempt import begun
from gateway.pipeline.contact import contact
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.halfway import Halfway
from gateway.pipeline.handed_over import count_as_job, held_of, still_held
from gateway.pipeline.hidden import hidden, shown
from gateway.pipeline.hooks import Chain
from gateway.pipeline.job_accept import START_AGAIN_S, created, job_of, started
from gateway.pipeline.job_end import due_of, end_by, settled
from gateway.pipeline.job_record import BELIEVED_S, BUSY, TRIES, JobRecord, Overtaken
from gateway.pipeline.once import stands_for
from gateway.pipeline.remote_look import LOOK_TIMEOUT_S, state_of
from gateway.pipeline.remote_taken import taken
from gateway.pipeline.route import ChatRoute, Route
from gateway.pipeline.structured import Promise
from gateway.pipeline.watch import patience_s
from gateway.ports import World
from gateway.providers.contract import BackgroundState, BackgroundWire

EVERY_S = 5.0
WAIT_MS = MAX_BEGIN_MS - 30_000
"""From its arrival until who waits is answered: time for the last look, and to store and settle, is left."""
FIRST_PAUSE_S, BACK_OFF, MAX_PAUSE_S = 2.0, 1.5, 15.0
SEEN_TO_S = 60
"""After which the sweeper sees to a request that died while it waited. What is made is not kept for long."""
ENDING_S = 60.0
"""For how long an end that was answered is tried to be recorded: nobody waits for that, and nobody else can tell it."""


class Begun(Halfway, frozen=True, kw_only=True):
    """What is needed of a request to give its reply later, as secret as the request: it takes the request's place.

    `asked`: the call as its hooks left it. `promise`: what was promised of its reply, whatever is registered or
    approved by then.
    """

    asked: msgspec.Raw
    promise: Promise

    @classmethod
    def of(cls, asked: ChatCall, promise: Promise, masking: Masking, exchange: Exchange) -> Begun:
        return cls(
            asked=msgspec.Raw(msgspec.json.encode(asked)),
            promise=promise,
            masked=masking.remembered(),
            hooks=list(exchange.hooks),
            hook_wait_s=exchange.hook_wait_s,
            left_out=exchange.left_out,
        )


def in_the_background(call: ChatCall, route: ChatRoute) -> Route[BackgroundWire] | None:
    """The route of a call that may take longer than anybody should be connected; None of all others, and of streams."""
    if call.stream or not route.facts.background:
        return None
    wire = route.provider.background.get(route.facts.api)
    return None if wire is None else Route(route.provider, route.facts, wire)


class Background:
    """The job of one request, as its models are asked in turn: recorded from the first one on that may answer in the
    background, and worked at here as long as it is entered.
    """

    def __init__(self, chain: Chain, exchange: Exchange, world: World) -> None:
        self._chain, self._exchange, self._world = chain, exchange, world
        self._stack = AsyncExitStack()
        self._is_own = False

    async def __aenter__(self) -> Background:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def is_passed_on(self) -> None:
        """To a model that answers at once: what the one before was asked for is nobody's any more."""
        if self._exchange.attempts[:-1] and self._exchange.job is not None:
            await self._is_asked()

    async def reply(self, call: ChatCall, kept: Begun) -> Reply | Job | None:
        """The model's reply, None when the caller's time is up or somebody else has ended the job; for the worker of a
        job that, as begun. Raises GatewayError.
        """
        exchange, world = self._exchange, self._world
        if exchange.job is None:
            await self._opened(call)
        if not self._is_own:
            await self._is_asked()
            await _kept(kept, exchange, world)
            return await _begun(call, exchange, world)
        await _kept(kept, exchange, world)
        await self._is_asked()
        await _begun(call, exchange, world)
        wait_s = exchange.inbound.wait_s if exchange.inbound else None
        until_s = exchange.started_s + patience_s(call, WAIT_MS, wait_s, self._chain.spare_s)
        return await _waited(call, until_s, exchange, world)

    def ends(self) -> None:
        """The request is answered here, and its job ends with it; the worker of a job ends that himself."""
        if self._is_own:
            self._exchange.closing = partial(_ended, self._exchange, self._world)

    async def _opened(self, call: ChatCall) -> None:
        """Recorded before anybody is asked, and as such: it may stand though no answer came. From then on the end is
        the job's: whoever comes to it tells and settles.
        """
        exchange, world, ticket = self._exchange, self._world, self._exchange.ticket
        inbound, now_s = exchange.inbound, world.clock.now_s()
        assert inbound is not None  # noqa: S101 - it came by a door
        facts = noted(exchange, world.clock.monotonic_s())
        job = hidden(job_of(call, inbound, exchange, world, remote=_remote(exchange), facts=facts))
        asked = {"model": exchange.model_requested or job.model, "alive_until_s": now_s + BELIEVED_S}
        job = with_members(job.begun(now_s), revision=0, **asked)
        await created(job, int(now_s) + SEEN_TO_S, world)
        exchange.job, self._is_own = JobRecord(job, world.jobs, world.clock, SEEN_TO_S), True
        exchange.job_id, exchange.goes_on = job.id, True
        await self._stack.enter_async_context(exchange.job.beating())
        await stands_for(job, exchange, world)
        if ticket is not None and ticket.ledger is world.ledger:
            await _held_as_long_as_it_takes(ticket, job)

    async def _is_asked(self) -> None:
        """Said before he is, with who was asked before, and what is held by now."""
        exchange, world = self._exchange, self._world
        assert exchange.job is not None  # noqa: S101 - it was opened
        facts = {**exchange.job.now.facts, **noted(exchange, world.clock.monotonic_s())}
        held = held_of(exchange, world)
        await exchange.job.change(is_asked=True, remote=_remote(exchange), facts=facts, held=held)


def raise_failure(failure: ProviderFailure, counted: TokenUsage, exchange: Exchange, world: World) -> NoReturn:
    """What a provider ended with that was at work, and may charge for it."""
    attempt = exchange.attempts[-1]
    attempt.sending.has_left = True
    with account_interrupted(attempt, lambda: Counted(counted), exchange), ending(attempt, world.clock):
        raise failure


def _remote(exchange: Exchange) -> RemoteWork:
    route = exchange.attempts[-1].route
    return RemoteWork(provider=route.provider.name, model=route.facts.id)


async def _held_as_long_as_it_takes(ticket: Ticket, job: Job) -> None:
    if not await still_held(ticket, job.expires_at_s):
        raise AdmissionUnavailable("Nothing is held for the request any more.")


async def _kept(kept: Begun, exchange: Exchange, world: World) -> None:
    """Who dies after this and `_begun` has left all that is needed to give the reply."""
    assert exchange.job is not None  # noqa: S101 - it was opened
    await world.payloads.put(exchange.job.now, msgspec.json.encode(kept))


async def _begun(call: ChatCall, exchange: Exchange, world: World) -> Job:
    record, attempt = exchange.job, exchange.attempts[-1]
    assert record is not None  # noqa: S101 - it was opened
    nothing_seen = estimated_usage(call, 0)
    with account_interrupted(attempt, lambda: Counted(nothing_seen), exchange):
        remote_id = await begun(call, attempt, world)
    try:
        job = await taken(record.now, remote_id, exchange, world, EVERY_S)
    except GatewayError:
        account_unseen(attempt, nothing_seen, exchange)
        raise
    record.follow(job)
    return job


async def _waited(call: ChatCall, until_s: float, exchange: Exchange, world: World) -> Reply | None:
    """Looks again and again, more and more seldom."""
    record, attempt, clock = exchange.job, exchange.attempts[-1], world.clock
    assert record is not None  # noqa: S101 - it was opened
    with suppress(StorageUnavailable, Overtaken):  # what it cannot say now it says within seconds
        await record.change()
    pause_s = FIRST_PAUSE_S
    while clock.monotonic_s() + pause_s < until_s and not record.now.has_ended:
        paused_s = clock.monotonic_s()
        await clock.sleep(pause_s)
        state = await _looked(record.now, exchange, world)
        attempt.provider_wait_s += clock.monotonic_s() - paused_s
        pause_s = min(pause_s * BACK_OFF, MAX_PAUSE_S)
        if state.failure is not None:
            raise_failure(state.failure, estimated_usage(call, 0), exchange, world)
        if state.reply is not None:
            attempt.ended_s = clock.monotonic_s()
            return state.reply
    return None


async def _looked(job: Job, exchange: Exchange, world: World) -> BackgroundState:
    """What nobody can tell at the moment is told by a later look."""
    assert job.remote is not None and job.remote.id is not None  # noqa: S101 - it was begun
    try:
        reached = await contact(exchange.attempts[-1], world)
        found: BackgroundState = await state_of(job.remote.id, reached, world, LOOK_TIMEOUT_S)
    except ProviderGone as gone:
        return BackgroundState(failure=gone)
    except ProviderFailure as failure:
        world.records.trouble("job.not_looked_at", request_id=job.request_id, reason=failure.message)
        return BackgroundState()
    return found


async def handed_over(exchange: Exchange, world: World) -> Job:
    """The job, of which its tenant may know from now on; its execution goes on. Raises StorageUnavailable (503)."""
    assert exchange.job is not None and exchange.principal is not None  # noqa: S101 - it was opened
    exchange.is_out_of_time = True
    await _counted_as_job(exchange, world)
    job, now_s = exchange.job.now, world.clock.now_s()
    for _ in range(TRIES):
        told = shown(job, exchange.principal.tenant).changed(alive_until_s=0)
        due_at_s = due_of(told, now_s) if told.has_ended else int(now_s) + START_AGAIN_S
        if await world.jobs.change(told, due_at_s):
            if not told.has_ended:
                await started(told, world)
            return told
        job = await world.jobs.get(job.tenant_id, job.id)
    raise StorageUnavailable(BUSY)


async def _counted_as_job(exchange: Exchange, world: World) -> None:
    ticket = exchange.ticket
    if ticket is None or ticket.ledger is not world.ledger:
        return
    try:
        await count_as_job(ticket)
    except AdmissionUnavailable as error:
        world.records.trouble("job.not_counted", request_id=exchange.request_id, reason=error.message)


async def _ended(exchange: Exchange, world: World) -> None:
    """The answer was given here, so nothing of it is kept. What cannot be recorded for a while is ended by the job's
    execution, which does not know what was answered.
    """
    assert exchange.job is not None  # noqa: S101 - it was opened
    try:
        async with exchange.job.beating():
            ended = await end_by(exchange, None, world, world.clock.monotonic_s() + ENDING_S)
        await settled(ended, world)
    except StorageUnavailable as error:
        world.records.trouble("job.not_ended", request_id=exchange.request_id, reason=error.message)
    exchange.job_id = None  # of which nobody was told: an Idempotency-Key stands for the request
