"""A session of voice in the hands of one function: from where the last one left it, over as many connections to its
provider as it takes, until it ends or the next function has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from gateway.gts.naming import Names
from gateway.model.catalog import ModelFacts
from gateway.model.errors import AdmissionUnavailable, GatewayError
from gateway.model.provider_errors import ProviderFailure
from gateway.model.realtime import SessionConfig, SessionUpdate
from gateway.model.realtime_call import Terms
from gateway.model.realtime_errors import SlowConsumer
from gateway.model.realtime_session import Frame, Snapshot, Taken
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.realtime_admitted import exchange_of, is_settled, still_usable
from gateway.pipeline.realtime_books import SessionBooks
from gateway.pipeline.realtime_end import Farewell
from gateway.pipeline.realtime_hall import Dropped, Hall, Moving, Over, Schedule, carried_of
from gateway.pipeline.realtime_incoming import Incoming
from gateway.pipeline.realtime_lease import Holding
from gateway.pipeline.realtime_outgoing import Outgoing, SlowClient
from gateway.pipeline.realtime_talk import Talk
from gateway.pipeline.realtime_tools import to_functions
from gateway.pipeline.route import REALTIME, AnyRoute, Route, resolve
from gateway.pipeline.through_circuit import through_circuit
from gateway.pipeline.watch import Watch
from gateway.ports import World
from gateway.providers.contract.realtime import Opening
from gateway.providers.lookup import provider_named, realtime_wire
from gateway.realtime_ports import (
    ClientGone,
    ClientUnreachable,
    Fenced,
    HandshakeRefused,
    ProviderSocket,
    ProviderSockets,
    SocketClosed,
    Voice,
)

CHECK_EVERY_S = 60.0
OPENING_S = 15.0
"""For a provider to take a connection."""
SWITCHED = 200
"""What stands for 101, with which a connection begins: all went well."""
PAUSES_S = (0.1, 1.0, 2.0, 4.0)
"""Before another connection to a provider that has dropped one, or does not take any: then it has failed."""
STEADY_S = 30.0
"""Of a connection that lasted so long the failures before it do not count."""
REFUSED_HANDLE_S = 5.0
"""A provider that does not know a session any more says so at once."""
DRAINED_S = 10.0
"""For the client to take what waits before the next function speaks to it."""
GRACE_S = 60.0
"""From when a quiet moment is looked for until it has to go without one."""
LOOKS_S, LAST_S = 90.0, 20.0
"""Before Lambda ends the function: when a quiet moment is looked for, and when it has to hand over."""

Outcome: TypeAlias = Literal["not taken", "ended", "handed over", "fenced"]
Unforeseen: TypeAlias = Callable[[Exception, Exchange], GatewayError]


class Order(msgspec.Struct, frozen=True):
    """`deadline_s`: Unix seconds at which Lambda ends the function."""

    connection_id: str
    epoch: int
    deadline_s: float


class Means(msgspec.Struct, frozen=True):
    """What a holder works with. `unforeseen`: what is made of a defect."""

    terms: Terms
    world: World
    voice: Voice
    sockets: ProviderSockets
    unforeseen: Unforeseen


async def hold(order: Order, means: Means) -> Outcome:
    """Raises StorageUnavailable, AdmissionUnavailable (503) where it cannot begin: then another is to."""
    clock, begun_s = means.world.clock, means.world.clock.monotonic_s()
    taken = await means.voice.sessions.take(order.connection_id, order.epoch, clock.now_s())
    if taken is None:
        return "not taken"
    holding = Holding(order.connection_id, order.epoch, means.voice.sessions, clock, begun_s, taken.is_left)
    exchange = await exchange_of(taken.admitted, means.world)
    if is_settled(taken.admitted, exchange):
        with suppress(ClientUnreachable):
            await means.voice.clients.close(taken.admitted.link)
        await holding.end()
        return "ended"
    return await Holder(taken, holding, exchange, order, means).run()


class Holder:
    def __init__(self, taken: Taken, holding: Holding, exchange: Exchange, order: Order, means: Means) -> None:
        self._taken, self._admitted, self._holding, self._exchange = taken, taken.admitted, holding, exchange
        self._means, self._world, self._clock = means, means.world, means.world.clock
        self._schedule = _schedule(order, means.terms, self._clock.now_s(), self._clock.monotonic_s())
        opened_s = self._clock.monotonic_s() - (self._clock.now_s() - self._admitted.arrived_s)
        link, clients = self._admitted.link, means.voice.clients
        self._outgoing = Outgoing(link, clients, self._clock, holding.is_sure, opened_s)
        self._incoming = Incoming(
            holding.connection_id, means.voice.frames, means.terms.window_ms, self._clock, self._clock.now_s()
        )
        self._books: SessionBooks | None = None
        self._hall: Hall | None = None
        self._told = 0
        self._has_talked = False

    async def run(self) -> Outcome:
        beating = asyncio.create_task(self._holding.beat())
        speaking = asyncio.create_task(self._speak())
        talking = asyncio.create_task(self._talks())
        checking = asyncio.create_task(self._check())
        try:
            await asyncio.wait({beating, talking}, return_when=asyncio.FIRST_COMPLETED)
            checking.cancel()
            if talking.done():
                return await self._conclude(talking, speaking)
        except Fenced:
            pass
        finally:
            tasks = (beating, speaking, talking, checking)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._world.records.trouble("realtime.fenced", request_id=self._admitted.request_id)
        return "fenced"

    async def _conclude(self, talking: asyncio.Task[Snapshot], speaking: asyncio.Task[None]) -> Outcome:
        """Raises Fenced, StorageUnavailable (503)."""
        try:
            snapshot = talking.result()
        except Over as over:
            ending = over
        except GatewayError as refusal:
            ending = Over(refusal, refusal)
        except Fenced:
            raise
        except Exception as defect:  # the last resort: whatever it is, the client is told and the session settled
            unforeseen = self._means.unforeseen(defect, self._exchange)
            ending = Over(unforeseen, unforeseen)
        else:
            return await self._hand_over(snapshot, speaking)
        await self._holding.confirm()
        clients = self._means.voice.clients
        farewell = Farewell(self._admitted, self._exchange, self._outgoing, speaking, clients, self._world)
        await farewell.take(ending, self._books)
        await self._holding.end()
        return "ended"

    async def _hand_over(self, snapshot: Snapshot, speaking: asyncio.Task[None]) -> Outcome:
        """Nothing is said any more before another may speak."""
        drained = asyncio.create_task(self._outgoing.drained())
        await asyncio.wait({drained, speaking}, timeout=DRAINED_S, return_when=asyncio.FIRST_COMPLETED)
        for task in (drained, speaking):
            task.cancel()
        await asyncio.gather(drained, speaking, return_exceptions=True)
        if self._books is not None:
            await self._books.keep()
        await self._holding.keep(snapshot)
        await self._holding.hand_over()
        await self._means.voice.holders.start(self._holding.connection_id, self._holding.epoch + 1)
        return "handed over"

    # -- beside the talk --------------------------------------------------------------------------------------------

    async def _speak(self) -> None:
        try:
            await self._outgoing.run()
        except ClientGone:
            self._holding.is_left = True
        except SlowClient:
            self._slow()
        except Exception as defect:  # nobody would hear anything more
            unforeseen = self._means.unforeseen(defect, self._exchange)
            self._end(Over(unforeseen, unforeseen))

    def _slow(self) -> Over:
        slow = SlowConsumer("The client is too far behind with what it is told.")
        over = Over(slow, slow)
        self._end(over)
        return over

    def _end(self, over: Over) -> None:
        if self._hall is not None:
            self._hall.over = over

    async def _check(self) -> None:
        """Every minute: whether the key may still be used, and whether there still is room."""
        while True:
            await self._clock.sleep(CHECK_EVERY_S)
            if self._books is None or self._hall is None:
                continue
            try:
                principal = await still_usable(self._admitted, self._world)
                await self._books.check(principal)
            except AdmissionUnavailable as error:
                self._world.records.trouble("realtime.not_checked", reason=error.message)
            except GatewayError as error:
                self._end(Over(error, error))
            except Exception as defect:  # nobody would look again
                unforeseen = self._means.unforeseen(defect, self._exchange)
                self._end(Over(unforeseen, unforeseen))

    # -- the talk ---------------------------------------------------------------------------------------------------

    async def _talks(self) -> Snapshot:
        """Where the next function goes on. Raises Over, GatewayError, Fenced."""
        try:
            self._hall = hall = await self._entered()
            return await self._one_after_the_other(hall)
        except SlowClient:
            raise self._slow() from None

    async def _entered(self) -> Hall:
        """Raises as `resolve`, `contact` and `SessionBooks.begin`."""
        admitted, principal = self._admitted, self._exchange.principal
        assert principal is not None  # noqa: S101 - a session is somebody's
        self._books, model_id = self._books_kept(), self._model_id
        route = resolve(REALTIME, model_id, principal, self._world.catalog, self._clock.now_s())
        wire = realtime_wire(route.provider, route.facts.api)
        assert wire is not None  # noqa: S101 - its name is in the route
        key_of = self._exchange.key_of(route.provider.name)
        attempt = Attempt(route, self._clock.monotonic_s(), self._exchange.trace.headers(), key_of=key_of)
        self._reached: Contact = await contact(attempt, self._world)
        snapshot = self._taken.snapshot or Snapshot()
        carried = carried_of(snapshot)
        said = SessionUpdate(session=admitted.config)
        begins, names = await to_functions(said, admitted.tenant_id, self._world.types)
        assert isinstance(begins, SessionUpdate)  # noqa: S101 - as it went in
        self._begins_with = begins.session
        config = begins.session if carried is None else carried.config
        wire.check(config, self._reached.target)
        follows = self._holding.epoch > 1
        await self._books.begin(config, wire.also_used(config), follows=follows)
        if follows and not snapshot.is_whole:
            self._world.records.trouble("realtime.recovered", request_id=admitted.request_id)
            self._recovered()
        return Hall(
            session_id=admitted.id,
            request_id=admitted.request_id,
            tenant_id=admitted.tenant_id,
            ends_s=admitted.ends_s,
            target=self._reached.target,
            wire=wire,
            books=self._books,
            holding=self._holding,
            incoming=self._incoming,
            outgoing=self._outgoing,
            schedule=self._schedule,
            terms=self._means.terms,
            world=self._world,
            snapshot=replace(snapshot, names={**names.own, **snapshot.names}, is_whole=False),
        )

    @property
    def _model_id(self) -> str:
        """For which it was let in. What the client calls it may mean another one by now."""
        ticket = self._exchange.ticket
        assert ticket is not None  # noqa: S101 - it was handed over
        return ticket.demand.model_id

    def _books_kept(self) -> SessionBooks:
        """Before anything is asked that may be refused by now: what was used has to be told all the same."""
        provider, _, model = self._model_id.partition("/")
        facts = self._world.catalog.find(provider, model) or ModelFacts(id=model, name="", source="")
        route: AnyRoute = Route(provider_named(provider), facts, "")
        return SessionBooks(self._taken.books, route, self._exchange, self._holding, self._world)

    async def _one_after_the_other(self, hall: Hall) -> Snapshot:
        snapshot, failures = hall.snapshot, 0
        while True:
            hall.check(self._clock.now_s())
            begun_s = self._clock.monotonic_s()
            ended = await self._one_talk(hall, snapshot)
            if isinstance(ended, Moving):
                if ended.is_handover:
                    return ended.snapshot
                snapshot, failures = ended.snapshot, 0
                if not snapshot.is_whole:
                    await hall.books.lose_and_hold()
                    self._recovered()
                continue
            await hall.books.lose_and_hold()
            lasted_s = self._clock.monotonic_s() - begun_s
            failures = 0 if lasted_s > STEADY_S else failures
            carried = carried_of(snapshot)
            if carried is not None and carried.handle and lasted_s < REFUSED_HANDLE_S:
                snapshot = replace(snapshot, carried=msgspec.to_builtins(carried.without_handle()))
                continue
            await self._pause(ended.failure, failures)
            failures += 1
            snapshot = hall.snapshot

    async def _pause(self, failure: ProviderFailure, failures: int) -> None:
        """Raises Over."""
        if not failure.retryable or failure.refuses_credential or failures >= len(PAUSES_S):
            raise Over(failure, failure)
        self._world.records.trouble("realtime.reconnected", reason=failure.message)
        await self._clock.sleep(PAUSES_S[failures])
        if self._has_talked:
            self._recovered()

    def _recovered(self) -> None:
        """The client may have heard half of a response, which will come again or never."""
        self._told += 1
        event_id = f"event_gw{self._holding.epoch}{self._told:03}"
        self._outgoing.put({"type": "gateway.session.recovered", "event_id": event_id})

    async def _one_talk(self, hall: Hall, snapshot: Snapshot) -> Dropped | Moving:
        """Raises Over, Fenced, SlowClient, GatewayError."""
        hall.incoming.go_on_from(snapshot)
        hall.names = Names(snapshot.names)
        carried = carried_of(snapshot)
        config = self._begun_with(hall) if carried is None else carried.config
        opening = Opening(self._admitted.id, self._admitted.model, config, carried)
        try:
            return await self._connected(hall, opening, config, snapshot)
        except SocketClosed as closed:
            return Dropped(hall.wire.closed(closed.code, closed.reason, hall.target))
        except ProviderFailure as failure:
            return Dropped(failure)

    async def _connected(
        self, hall: Hall, opening: Opening, config: SessionConfig, snapshot: Snapshot
    ) -> Dropped | Moving:
        unheard = await self._unheard(hall, snapshot)
        asked_s = self._clock.monotonic_s()
        async with AsyncExitStack() as stack:
            socket = await self._let_in(hall, stack)
            self._has_talked, hall.books.connected_s = True, self._clock.monotonic_s() - asked_s
            session = hall.wire.session(opening, hall.target)
            return await Talk(hall, session, socket, config, snapshot).run(unheard)

    async def _let_in(self, hall: Hall, stack: AsyncExitStack) -> ProviderSocket:
        """With a credential that is newer, where it is refused. Raises ProviderFailure."""
        used = self._reached.credential
        try:
            return await self._opened(hall, stack)
        except HandshakeRefused as refused:
            failure = hall.wire.fail(refused.response, hall.target)
        if failure.refuses_credential and await self._reached.is_renewed(used, self._world):
            with suppress(HandshakeRefused):
                return await self._opened(hall, stack)
        raise failure

    async def _opened(self, hall: Hall, stack: AsyncExitStack) -> ProviderSocket:
        """Unless the provider has failed so often that it is left alone for a while. Raises HandshakeRefused,
        ProviderError (502), CircuitOpen (503).
        """
        request = self._reached.authorized(hall.wire.connect(hall.target), self._clock.now_s())
        attempt = self._attempt()
        with through_circuit(self._reached, Watch(attempt, self._world, attempt.started_s + OPENING_S)) as passage:
            try:
                socket = await stack.enter_async_context(self._means.sockets.open(request))
            except HandshakeRefused as refused:
                passage.status = refused.response.status
                raise
            passage.status = SWITCHED
        return socket

    def _attempt(self) -> Attempt:
        reached, tenant_id = self._reached, self._admitted.tenant_id
        started_s, trace = self._clock.monotonic_s(), self._exchange.trace.headers()
        return Attempt(reached.route, started_s, trace, key_of=reached.key_of, tenant_id=tenant_id)

    def _begun_with(self, hall: Hall) -> SessionConfig:
        """With a bound for responses, where spending is limited."""
        config, told = self._begins_with, hall.books.told_output_tokens
        if told is None or isinstance(config.max_output_tokens, int):
            return config
        return replace(config, max_output_tokens=told)

    async def _unheard(self, hall: Hall, snapshot: Snapshot) -> list[Frame]:
        if snapshot.open_from is None or not snapshot.cursor:
            return []
        return await hall.incoming.said_between(snapshot.open_from, snapshot.cursor)


def _schedule(order: Order, terms: Terms, now_s: float, monotonic_s: float) -> Schedule:
    left_s = order.deadline_s - now_s
    looks_s = min(terms.rollover_s, left_s - LOOKS_S)
    return Schedule(monotonic_s + looks_s, monotonic_s + min(looks_s + GRACE_S, left_s - LAST_S))
