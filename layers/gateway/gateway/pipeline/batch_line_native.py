"""The two halves of a line that its provider is given with many others: what it is asked, and the reply, later."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct

from gateway.model.batch import PartLine, batch_of
from gateway.model.catalog import ModelFacts
from gateway.model.errors import (
    AdmissionUnavailable,
    CapabilityNotSupported,
    GatewayError,
    HookUnavailable,
    JobInterrupted,
    StorageUnavailable,
)
from gateway.model.money import BATCH_TIER
from gateway.model.provider_errors import ProviderError
from gateway.pipeline.admit import Ticket, give_back
from gateway.pipeline.ask import begin, ending
from gateway.pipeline.background import raise_failure
from gateway.pipeline.background_cancel import NOTHING_SEEN
from gateway.pipeline.batch_endpoints import LINE_ENDPOINTS
from gateway.pipeline.batch_halves import Halves, Item
from gateway.pipeline.batch_hold import GRACE_S
from gateway.pipeline.batch_line import (
    CANCELLED_BY_PROVIDER,
    EXPIRED_AT_PROVIDER,
    CarriedOut,
    Closing,
    Lines,
    body_of,
    ended,
    inbound_of,
    lost,
    tried,
)
from gateway.pipeline.client_places import in_the_clients_places
from gateway.pipeline.contact import Contact, contact
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.generated_media import discard_made
from gateway.pipeline.handed_over import kept_of, ticket_of
from gateway.pipeline.job_end import Unforeseen
from gateway.pipeline.route import AnyRoute, Route
from gateway.pipeline.upload import delete_uploads
from gateway.ports import World
from gateway.providers.contract import BatchResult, BatchWire, RemoteFile, Target
from gateway.providers.lookup import provider_named

MOMENTARY = (StorageUnavailable, AdmissionUnavailable, HookUnavailable)
"""What is tried again: before a line is asked nothing is lost by it, and afterwards its reply is paid."""
PAUSES_S = (0.5, 2.0)
"""Between tries. What lasts longer meets all lines, of which a worker has thousands."""


# -- Where a group's lines go -----------------------------------------------------------------------------------------


class Native(msgspec.Struct, frozen=True):
    """How the provider of a native group is given its batches. `own_key`: whether that is with the tenant's own key."""

    wire: BatchWire[Any, Any]
    reached: Contact

    @property
    def target(self) -> Target:
        return self.reached.target

    @property
    def own_key(self) -> bool:
        return self.reached.key_of is not None


async def native_of(lines: Lines, world: World, *, own_key: bool | None = None) -> Native:
    """Of the lines' group, whatever its model is approved for by now. `own_key`: of a batch that was made; None: as the
    tenant has it now.

    Raises ProviderError (502) without a credential, or without a setting that the base URL needs;
    CapabilityNotSupported (400) where the provider has no such batches any more.
    """
    route, tenant, wire = _route_of(lines, world), lines.principal.tenant, wire_of(lines, world)
    is_own = route.provider.name in tenant.own_keys if own_key is None else own_key
    trace_headers = lines.trace.headers()
    attempt = Attempt(route, world.clock.monotonic_s(), trace_headers, key_of=tenant.id if is_own else None)
    return Native(wire, await contact(attempt, world))


def wire_of(lines: Lines, world: World) -> BatchWire[Any, Any]:
    """Raises CapabilityNotSupported (400) where the provider has no such batches any more."""
    route = _route_of(lines, world)
    wire: BatchWire[Any, Any] | None = route.wire
    if wire is None:
        raise CapabilityNotSupported(f"{route.provider.name} has no batches for {route.model_id}.", param="model")
    return wire


def _route_of(lines: Lines, world: World) -> AnyRoute:
    """By the model as the catalog has it now, or by its name alone. Its wire is that of batches."""
    group = lines.group
    provider_name, _, model = group.model.partition("/")
    provider = provider_named(provider_name)
    facts = world.catalog.find(provider_name, model) or ModelFacts(id=model, name=model)
    wire = _halves_of(lines).wires(provider.batches).get(group.api)
    return Route(provider, msgspec.structs.replace(facts, api=group.api), wire)


def _halves_of(lines: Lines) -> Halves:
    return LINE_ENDPOINTS[lines.group.endpoint].halves


# -- Until its provider is asked --------------------------------------------------------------------------------------


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is needed to give a line's reply, by whoever is told it. Times in Unix seconds: `began_at_s`, when it was
    taken up; `ready_at_s`, from when on it was its provider's to answer.

    `besides`: what is held for it beside what its batch holds. `uploads`: name and reference of each of its media that
    its provider was given before. `half`: as its endpoint left it.
    """

    began_at_s: float
    ready_at_s: float
    own_key: bool
    half: Raw
    model_requested: str | None = None
    conversation_id: str | None = None
    media_wait_s: float = 0.0
    besides: dict[str, Any] | None = None
    uploads: tuple[tuple[str, str], ...] = ()


_KEPT = msgspec.json.Decoder(Kept)


class Ready(msgspec.Struct, frozen=True):
    """`piece`: of a batch's input. `inputs`: texts to embed, as `Filling.takes` counts them. `kept`: all that is needed
    to give the reply later, as secret as the request.
    """

    piece: bytes
    inputs: int
    kept: bytes


async def ready_line(
    item_id: str,
    at: int,
    line: PartLine,
    lines: Lines,
    native: Native,
    world: World,
    *,
    unforeseen: Unforeseen | None = None,
) -> Ready | CarriedOut:
    """As far as its provider would be asked. It may be repeated, as long as nothing has been made of its piece.
    CarriedOut: it ended here, and nothing was paid. Never raises a GatewayError.

    `item_id`: matches ITEM_ID, the same whenever the line is made ready.
    """
    for pause_s in (*PAUSES_S, None):
        exchange = _exchange_of(line, lines, world)
        ready = await tried(_made_ready(item_id, line, lines, native, exchange, world), exchange, unforeseen)
        if ready is not None:
            return ready
        if pause_s is None or not isinstance(exchange.error, MOMENTARY):
            break
        await _taken_back(exchange, world)
        await world.clock.sleep(pause_s)
    return ended(at, line, await body_of(None, exchange, world), exchange, world)


async def refused_line(error: GatewayError, at: int, line: PartLine, lines: Lines, world: World) -> CarriedOut:
    """Of one that cannot be made ready at all, like the others of its group."""
    exchange = _exchange_of(line, lines, world)
    exchange.error = copy.copy(error)
    return ended(at, line, await body_of(None, exchange, world), exchange, world)


async def _made_ready(
    item_id: str, line: PartLine, lines: Lines, native: Native, exchange: Exchange, world: World
) -> Ready:
    began_at_s = world.clock.now_s()
    item, half = await _halves_of(lines).ready(inbound_of(line, lines), exchange, world)
    _check_api(item, lines)
    with in_the_clients_places(item.messages_added):
        piece = native.wire.piece(item_id, item.call, native.target)
    besides = exchange.ticket and exchange.ticket.besides
    uploads = [file for attempt in exchange.attempts for file in attempt.uploads]
    kept = Kept(
        began_at_s=began_at_s,
        ready_at_s=world.clock.now_s(),
        own_key=native.own_key,
        half=Raw(half),
        model_requested=exchange.model_requested,
        conversation_id=exchange.conversation_id,
        media_wait_s=exchange.media_wait_s,
        besides=kept_of(besides, world) if besides else None,
        uploads=tuple((file.name, file.reference) for file in uploads),
    )
    return Ready(piece, item.inputs, msgspec.json.encode(kept))


def _check_api(item: Item, lines: Lines) -> None:
    """Raises CapabilityNotSupported (400) for what hooks or media have made another kind of request of."""
    if item.route.facts.api != lines.group.api:
        raise CapabilityNotSupported(
            f"What this became {item.route.model_id} takes by another of its APIs than the others of its batch. Order "
            'the batch with "processing": "direct".'
        )


def _exchange_of(line: PartLine, lines: Lines, world: World) -> Exchange:
    """What it needs besides is held as long as what its batch holds."""
    from_s = batch_of(lines.job).held_from_s or lines.job.created_at_s
    lease_s = lines.job.expires_at_s + GRACE_S - from_s
    return lines.exchange_of(line, world, held_from_s=float(from_s), lease_s=lease_s)


async def _taken_back(exchange: Exchange, world: World) -> None:
    """Of a try that another one follows."""
    await exchange.left()
    await delete_uploads(exchange, world)
    if exchange.ticket is not None and exchange.ticket.besides is not None:
        await give_back(exchange.ticket.besides)


# -- Once its provider has answered -----------------------------------------------------------------------------------

Outcome: TypeAlias = BatchResult[Any] | Closing | GatewayError
"""What came of a line that was ready: what its provider says of it; why nobody was asked; or an error by which nothing
was done for it, and nothing is paid. JobInterrupted: nobody knows, so it costs what its tenant's `lost_requests` says.
"""
_UNDONE = {"cancelled": CANCELLED_BY_PROVIDER, "expired": EXPIRED_AT_PROVIDER}


async def given_line(
    kept: bytes,
    outcome: Outcome,
    at: int,
    line: PartLine,
    lines: Lines,
    world: World,
    *,
    unforeseen: Unforeseen | None = None,
) -> CarriedOut:
    """Its end. Never raises a GatewayError. What it costs and what is told of it stand in the end alone: nothing else
    is written but media, and the log's line, until the end is.
    """
    before = _KEPT.decode(kept)
    if isinstance(outcome, BatchResult) and outcome.ending in _UNDONE:
        outcome = _UNDONE[outcome.ending]
    if isinstance(outcome, Closing | JobInterrupted):
        exchange = _late_exchange_of(before, line, lines, world)
        await delete_uploads(exchange, world)
        end = outcome.of(at, line, lines) if isinstance(outcome, Closing) else lost(at, line, lines, world)
        return CarriedOut(end, _besides_of(before, lines, world))
    for pause_s in (None,) if isinstance(outcome, GatewayError) else (*PAUSES_S, None):
        exchange = _late_exchange_of(before, line, lines, world)
        answer = await tried(_given(before, outcome, lines, exchange, world), exchange, unforeseen)
        if exchange.error is not None:
            await discard_made(exchange.attempts[-1], exchange, world)
        if pause_s is None or not isinstance(exchange.error, MOMENTARY):
            break
        await exchange.left()
        await world.clock.sleep(pause_s)
    carried = ended(at, line, await body_of(answer, exchange, world), exchange, world)
    return CarriedOut(carried.end, _besides_of(before, lines, world))


async def _given(
    before: Kept, outcome: BatchResult[Any] | GatewayError, lines: Lines, exchange: Exchange, world: World
) -> bytes:
    if isinstance(outcome, GatewayError):
        with ending(exchange.attempts[-1], world.clock):
            raise copy.copy(outcome)
    if outcome.reply is None:
        nothing = ProviderError(f"{exchange.attempts[-1].route.provider.name} says nothing of this item.")
        raise_failure(outcome.failure or nothing, NOTHING_SEEN, exchange, world)
    return msgspec.json.encode(await _halves_of(lines).given(bytes(before.half), outcome.reply, exchange, world))


def _late_exchange_of(before: Kept, line: PartLine, lines: Lines, world: World) -> Exchange:
    """As if its only attempt had lasted from when it was ready until now."""
    exchange, clock = _exchange_of(line, lines, world), world.clock
    now_s, monotonic_s = clock.now_s(), clock.monotonic_s()
    exchange.arrived_s, exchange.media_wait_s = before.began_at_s, before.media_wait_s
    exchange.began_s = monotonic_s - max(0.0, now_s - before.began_at_s)
    exchange.model_requested, exchange.conversation_id = before.model_requested, before.conversation_id
    attempt = begin(_route_of(lines, world), exchange, clock)
    attempt.started_s = max(exchange.began_s, monotonic_s - max(0.0, now_s - before.ready_at_s))
    attempt.ended_s, attempt.provider_wait_s = monotonic_s, monotonic_s - attempt.started_s
    attempt.key_of = lines.principal.tenant.id if before.own_key else None
    attempt.answered.service_tier = BATCH_TIER
    attempt.uploads = _uploads_of(before.uploads)
    return exchange


def _uploads_of(uploads: Sequence[tuple[str, str]]) -> list[RemoteFile]:
    return [RemoteFile(name, reference) for name, reference in uploads]


def _besides_of(before: Kept, lines: Lines, world: World) -> Ticket | None:
    return None if before.besides is None else ticket_of(before.besides, lines.principal, world)
