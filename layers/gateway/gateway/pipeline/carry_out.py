"""How the administrator's changes are made: planned, committed whole, told; and answered again when asked again.

A plan says all that is to happen, so that the answer to a request with an Idempotency-Key is stored by the very write
that carries it out: both are there afterwards, or neither. So is the event that tells of it, in an outbox: whoever made
the change tells it, or the sweeper where that one died.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.admin_ports import AdminWorld
from gateway.model.admin_errors import Conflict
from gateway.model.directory import Answered, Change, NotCommitted
from gateway.model.errors import StorageUnavailable
from gateway.model.idempotency_errors import IdempotencyConflict
from gateway.model.record import AuditEvent
from gateway.pipeline.administrator import Act, Once
from gateway.pipeline.reshard import Accounts, Spread, bring_home
from gateway.pipeline.sealed import NotOpened, opened, seal

KEPT_S = 24 * 3600
TRIES = 5
ACTOR = "admin"


class Answer(msgspec.Struct, frozen=True):
    """`etag`: the version of what is answered, where it has one. `is_replay`: it was given before."""

    status: int
    body: dict[str, Any]
    etag: str | None = None
    is_replay: bool = False


class Plan(msgspec.Struct, frozen=True):
    """`change`: nothing, where all is already as it should be; then nothing is told. `event`: "admin.<noun>.<verb>".

    `facts`: names of what changed, never what it was or is. `spread`: over which accounts somebody is, afterwards.
    """

    answer: Answer
    change: Change
    event: str
    tenant_id: str
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    spread: tuple[Accounts, Spread] | None = None


Planning = Callable[[], Awaitable[Plan]]


async def carry_out(act: Act, planning: Planning, world: AdminWorld) -> Answer:
    """Plans again with what is there by then, whenever something else changed meanwhile.

    Raises what planning raises, Conflict and IdempotencyConflict (409), StorageUnavailable (503).
    """
    if act.once is not None and (before := await world.directory.answered(act.once.name, world.clock.now_s())):
        return _replayed(before, act.once, act)
    for _ in range(TRIES):
        plan = await planning()
        event = _event_of(plan, act, world.clock.now_s())
        try:
            await _commit(plan, event, act, world)
        except NotCommitted as failure:
            if failure.obstacle == "answered" and act.once is not None:
                before = await world.directory.answered(act.once.name, world.clock.now_s())
                if before is not None:
                    return _replayed(before, act.once, act)
            continue
        if event is not None:
            await tell(event, world)
        if plan.spread is not None:
            await bring_home(*plan.spread, world)
        return plan.answer
    raise Conflict("Others change it at this moment; try again.")


def _event_of(plan: Plan, act: Act, now_s: float) -> AuditEvent | None:
    return told(plan.event, plan.tenant_id, plan.facts, act, now_s) if plan.change.writes else None


async def _commit(plan: Plan, event: AuditEvent | None, act: Act, world: AdminWorld) -> None:
    change, now_s = replace(plan.change, event=event), world.clock.now_s()
    if act.once is not None:
        sealed = seal(msgspec.json.encode(plan.answer), act.key, act.once.name)
        answered = Answered(act.once.name, act.once.fingerprint, sealed, int(now_s) + KEPT_S)
        change = replace(change, answered=answered)
    if change != Change():
        await world.directory.commit(change, now_s)


async def tell(event: AuditEvent, world: AdminWorld) -> None:
    """Of what is committed. Whatever keeps this from being done, the sweeper does it."""
    await world.events.send([event])
    with suppress(StorageUnavailable):
        await world.outbox.told(event.id)


def _replayed(before: Answered, once: Once, act: Act) -> Answer:
    if before.fingerprint != once.fingerprint:
        raise IdempotencyConflict
    try:
        answer = msgspec.json.decode(opened(before.sealed, act.key, before.name), type=Answer)
    except NotOpened:
        said = "This Idempotency-Key was used before the administrator's key was rotated"
        raise IdempotencyConflict(f"{said}; its answer cannot be read any more.") from None
    return msgspec.structs.replace(answer, is_replay=True)


def told(event: str, tenant_id: str, facts: dict[str, Any], act: Act, now_s: float) -> AuditEvent:
    origin = {"source_ip": act.source_ip} if act.source_ip else {}
    return AuditEvent(
        id=f"{act.request_id}.changed",
        event=event,
        at_s=now_s,
        tenant_id=tenant_id,
        actor=ACTOR,
        facts={"request_id": act.request_id, **facts, **origin},
    )


def listing(data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """A page, as every list of the API is one."""
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more}
