"""A call to a provider's endpoint, unless that has failed so often that it is left alone for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from math import ceil

from msgspec import Struct

from gateway.model.circuit import Call, Change, Place, Verdict, endpoint_of
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import CircuitOpen, ProviderError, ProviderFailure, ProviderTimeout
from gateway.pipeline.contact import Contact
from gateway.pipeline.exchange import Attempt
from gateway.pipeline.patience import has_failed
from gateway.pipeline.watch import Watch
from gateway.ports import Incoming, World

BROKEN = frozenset({408, 500, 502, 503, 504, 529})


class Passage(Struct):
    """`status`: of the answer, once its head has come."""

    watch: Watch
    call: Call | None = None
    status: int | None = None

    def following(self, incoming: Incoming) -> Incoming:
        """The same answer. Of one that tries whether all is well its first content is news, not its end."""
        if self.call is None or not self.watch.world.health.circuits.is_tried_by(self.call):
            return incoming
        return _Followed(incoming, self.call, self.watch)


@contextmanager
def through_circuit(reached: Contact, watch: Watch) -> Iterator[Passage]:
    """Notes how it went. Raises CircuitOpen (503), and ProviderTimeout (504) where no time is left for it, before
    anything is sent.
    """
    watch.check()
    world = watch.world
    if not world.health.circuits.rules.watch(reached.route.provider.name):
        yield Passage(watch)
        return
    call = _call(reached, watch)
    if not watch.attempt.is_let_through and (wait_s := world.health.circuits.enter(call)) > 0:
        raise CircuitOpen(reached.route.provider.name, ceil(wait_s))
    watch.attempt.is_let_through = True
    passage = Passage(watch, call)
    try:
        yield passage
    except BaseException as error:
        _note(call, _verdict(error, passage, call), world)
        raise
    _note(call, _verdict(None, passage, call), world)


def refuse_if_open(reached: Contact, watch: Watch) -> None:
    """Before anything is done for a call. Raises CircuitOpen (503)."""
    circuits, provider = watch.world.health.circuits, reached.route.provider.name
    if watch.attempt.is_let_through or not circuits.rules.watch(provider):
        return
    if (wait_s := circuits.wait_s(_call(reached, watch))) > 0:
        raise CircuitOpen(provider, ceil(wait_s))


class _Followed:
    def __init__(self, incoming: Incoming, call: Call, watch: Watch) -> None:
        self._incoming, self._call, self._watch = incoming, call, watch
        self.status, self.headers = incoming.status, incoming.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        is_told = False
        async for data in self._incoming.chunks():
            yield data
            if not is_told and self._watch.attempt.ttft_s is not None:
                is_told, world = True, self._watch.world
                _tell(world.health.circuits.begun(self._call, world.clock.now_s()), world)

    async def whole(self) -> HttpResponse:
        return await self._incoming.whole()


def _call(reached: Contact, watch: Watch) -> Call:
    attempt, clock = watch.attempt, watch.world.clock
    endpoint = endpoint_of(reached.route.provider.name, reached.target.base_url, reached.key_of)
    allowed_s = watch.deadline_s - clock.monotonic_s()
    return Call(endpoint, reached.route.facts.id, attempt.tenant_id, clock.now_s(), allowed_s)


def _note(call: Call, verdict: Verdict | None, world: World) -> None:
    circuits, now_s = world.health.circuits, world.clock.now_s()
    if verdict is None:
        circuits.give_up(call, now_s)
    else:
        _tell(circuits.note(call, verdict, now_s), world)


def _tell(changes: list[tuple[Place, Change]], world: World) -> None:
    """What one tenant's own key meets is no news for the operator."""
    records = world.records
    for place, change in changes:
        match change, place.is_shared:
            case "opened", True:
                records.trouble("circuit.opened", endpoint=place.name)
            case "closed", True:
                records.trouble("circuit.closed", endpoint=place.name)
            case "opened", False:
                records.trouble("own_circuit.opened", endpoint=place.name)
            case "closed", False:
                records.trouble("own_circuit.closed", endpoint=place.name)


def _verdict(error: BaseException | None, passage: Passage, call: Call) -> Verdict | None:
    """None where it is not known: of a call that was broken off, and of a failure that its model may have caused."""
    attempt = passage.watch.attempt
    if passage.status is not None and not 200 <= passage.status < 300:
        return "failed" if passage.status in BROKEN else "answered"
    if isinstance(error, ProviderTimeout):
        return _of_timeout(error, attempt, passage.watch.world.clock.now_s() - call.entered_s)
    if isinstance(error, ProviderError):
        if error.provider_code is not None:
            return None
        return "unreachable" if passage.status is None else "failed"
    if error is None or isinstance(error, ProviderFailure) or attempt.ttft_s is not None:
        return "answered"
    return None


def _of_timeout(timeout: ProviderTimeout, attempt: Attempt, had_s: float) -> Verdict:
    if has_failed(timeout, attempt, had_s):
        return "failed"
    return "slow" if attempt.ttft_s is None else "answered"
