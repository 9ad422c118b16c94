"""A call to a provider's endpoint, unless that has failed so often that it is left alone for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from gateway.model.circuit import PATIENCE_S, Call, Verdict, endpoint_of
from gateway.model.provider_errors import CircuitOpen, ProviderError, ProviderFailure, ProviderTimeout
from gateway.pipeline.contact import Contact
from gateway.pipeline.exchange import Attempt
from gateway.pipeline.watch import Watch
from gateway.ports import World

BROKEN = frozenset({408, 500, 502, 503, 504, 529})


@dataclass(slots=True)
class Passage:
    """`status`: of the answer, once its head has come."""

    status: int | None = None


@contextmanager
def through_circuit(reached: Contact, watch: Watch) -> Iterator[Passage]:
    """Notes how it went. Raises CircuitOpen (503), before anything is sent."""
    passage, world = Passage(), watch.world
    if not world.health.circuits.rules.watch(reached.route.provider.name):
        yield passage
        return
    call = _call(reached, watch.attempt, world)
    if (wait_s := world.health.circuits.enter(call)) > 0:
        raise CircuitOpen(reached.route.provider.name, ceil(wait_s))
    try:
        yield passage
    except BaseException as error:
        _note(call, _verdict(error, passage, watch, call), world)
        raise
    _note(call, _verdict(None, passage, watch, call), world)


def _call(reached: Contact, attempt: Attempt, world: World) -> Call:
    provider = reached.route.provider.name
    endpoint = endpoint_of(provider, reached.target.base_url)
    return Call(endpoint, f"{provider}/{reached.route.facts.id}", attempt.tenant_id, world.clock.now_s())


def _note(call: Call, verdict: Verdict | None, world: World) -> None:
    circuits, now_s = world.health.circuits, world.clock.now_s()
    if verdict is None:
        circuits.give_up(call, now_s)
        return
    match circuits.note(call, verdict, now_s):
        case "opened":
            world.records.trouble("circuit.opened", endpoint=call.endpoint)
        case "closed":
            world.records.trouble("circuit.closed", endpoint=call.endpoint)


def _verdict(error: BaseException | None, passage: Passage, watch: Watch, call: Call) -> Verdict | None:
    """None where it is not known: of a call that was broken off, and of a failure that its model may have caused."""
    if passage.status is not None and not 200 <= passage.status < 300:
        return "failed" if passage.status in BROKEN else "answered"
    if isinstance(error, ProviderTimeout):
        had_s = watch.world.clock.now_s() - call.entered_s
        return "failed" if had_s >= PATIENCE_S else "slow"
    if isinstance(error, ProviderError):
        return "failed" if error.provider_code is None else None
    if error is None or isinstance(error, ProviderFailure) or watch.attempt.ttft_s is not None:
        return "answered"
    return None
