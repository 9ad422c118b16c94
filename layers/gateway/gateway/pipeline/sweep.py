"""The sweeper: ends the holds of requests whose function died before it could, each exactly once.

Events are sent before anything is settled, so what is recorded of a request says how far it came:

    there are usage records              it was executed; what still stands is settled at what they cost, but for what
                                         they have booked themselves, since the ledger could not be asked
    none, and one account has a hold     it died while it was admitted, nobody was asked; the hold is released
    none, of a request for a job         its worker makes the lease longer before it asks anybody; it is released
    none, and both accounts have one     nobody knows what it did: it is lost, and costs what its tenant's policy says

From the end of its lease on a hold no longer counts among what runs at once, for that is over whatever it has cost.
The records may still be on their way, so a hold is judged when what was told `grace_s` after the end of its lease has
come through (`Watermark`). Before anything is settled the request is closed in the usage store, which fixes what it
cost; a record that comes later is not counted. Every step may be repeated, so it does not matter where a sweep dies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.model.errors import GatewayError
from gateway.model.ledger import Account, Hold, Level, Reading, leaving, lost_by_rule, settling
from gateway.model.limits import Allowance
from gateway.model.record import Attribution, AuditEvent, Told, UsageRecord, Watermark
from gateway.model.tenant import Tenant, User
from gateway.model.usage import TokenUsage
from gateway.pipeline.alerts import Settled, tell_alerts
from gateway.pipeline.conclude import ending_of
from gateway.pipeline.meters import Share, budget_meters, by_rule
from gateway.pipeline.outbox import tell_what_was_left
from gateway.record_ports import SweepWorld

LOST = "lost"


class Place(Struct, frozen=True):
    """An account, as its id says. `user_id`: None for a tenant's."""

    account_id: str
    level: Level
    tenant_id: str
    shard: int
    user_id: str | None = None

    @classmethod
    def of(cls, account_id: str) -> Place:
        kind, tenant_id, shard, *user = account_id.split("#", 3)
        if kind == "T":
            return cls(account_id, "tenant", tenant_id, int(shard))
        return cls(account_id, "user", tenant_id, int(shard), user[0])


class Overdue(Struct, frozen=True):
    """A request whose lease has ended, and the holds that still stand for it."""

    tenant_id: str
    name: str
    holds: list[tuple[Place, Hold]]

    @property
    def is_in_both(self) -> bool:
        return {place.level for place, _ in self.holds} == {"tenant", "user"}

    @property
    def user_id(self) -> str | None:
        """None while only the tenant's account has a hold."""
        return next((place.user_id for place, _ in self.holds if place.user_id is not None), None)

    @property
    def facts(self) -> dict[str, Any]:
        """Of the request, as its user's hold has them; empty when that one is gone."""
        return next((hold.request for _, hold in self.holds if hold.request is not None), {})


class Ended(Struct, frozen=True):
    """A hold whose lease has ended, and which still counts as running. `shards`: as its account has it."""

    place: Place
    name: str
    hold: Hold
    shards: int


class Swept(Struct):
    """Requests by how their holds ended. `failed`: those that a later sweep has to end.

    `lag_s`: how old the latest watermark is that has come through, None before the first.
    """

    settled: int = 0
    released: int = 0
    lost: int = 0
    failed: int = 0
    lag_s: float | None = None


async def sweep(world: SweepWorld, *, grace_s: float, at_most: int, until_s: float) -> Swept:
    """Ends as many as `at_most`, and begins none after `until_s` (Unix seconds); the next sweep goes on.

    Raises AdmissionUnavailable and StorageUnavailable (503) when it cannot begin.
    """
    await tell_what_was_left(world)
    now_s = world.clock.now_s()
    watermark_s = await world.usage.watermark_s()
    await world.events.send([Watermark(id=f"watermark.{now_s:.3f}", at_s=now_s)])
    swept = Swept(lag_s=round(now_s - watermark_s, 3) if watermark_s else None)
    overdues, ended = await _found(world, now_s, min(now_s, watermark_s) - grace_s, at_most)
    await _free(ended, until_s, world)
    for overdue in overdues:
        if world.clock.now_s() >= until_s:
            break
        try:
            outcome = await _end(overdue, world)
        except GatewayError as error:
            swept.failed += 1
            world.records.trouble("sweep.failed", tenant_id=overdue.tenant_id, hold=overdue.name, reason=error.message)
        else:
            setattr(swept, outcome, getattr(swept, outcome) + 1)
    return swept


async def _found(
    world: SweepWorld, now_s: float, judged_before_s: float, at_most: int
) -> tuple[list[Overdue], list[Ended]]:
    """What can be judged, and what only has ended. Holds of one request have one name and one lease, whatever the
    shards that they are in.
    """
    found: dict[tuple[str, str], Overdue] = {}
    ended: list[Ended] = []
    async for account_id, reading in world.ledger.accounts():
        place = Place.of(account_id)
        for name, hold in reading.holds.items():
            key = (place.tenant_id, name)
            if hold.until_s <= judged_before_s and (key in found or len(found) < at_most):
                found.setdefault(key, Overdue(*key, [])).holds.append((place, hold))
            elif hold.until_s <= now_s and hold.runs and len(ended) < at_most:
                ended.append(Ended(place, name, hold, reading.shards or 1))
    return list(found.values()), ended


async def _free(ended: Sequence[Ended], until_s: float, world: SweepWorld) -> None:
    """Takes what has ended out of what runs at once. What cannot be now, the next sweep does."""
    for one in ended:
        if world.clock.now_s() >= until_s:
            break
        meters, left = leaving(one.hold)
        account = Account(one.place.account_id, one.place.level, meters, one.shards)
        try:
            await world.ledger.enlarge(account, one.name, one.hold, left)
        except GatewayError as error:
            world.records.trouble("sweep.failed", tenant_id=one.place.tenant_id, hold=one.name, reason=error.message)
            break


async def _end(overdue: Overdue, world: SweepWorld) -> str:
    """The name of the outcome, as in Swept."""
    recorded = await world.usage.requests(overdue.tenant_id, overdue.name)
    if recorded:
        request_id = overdue.facts.get("request_id")
        known_id = request_id if request_id in recorded else recorded[0]
        return await _settle(overdue, await world.usage.close(overdue.tenant_id, known_id), world)
    if not (overdue.is_in_both and overdue.facts):
        await _settle_holds(overdue, {}, None, world)
        world.records.trouble("sweep.released", tenant_id=overdue.tenant_id, hold=overdue.name)
        return "released"
    assert overdue.user_id is not None  # noqa: S101 - its user's account has a hold
    holder = await world.holders.holder(overdue.tenant_id, overdue.user_id)
    lost = lost_record(overdue, overdue.user_id, holder, world.clock.now_s())
    return await _settle(overdue, await world.usage.claim(lost), world)


async def _settle(overdue: Overdue, records: Sequence[UsageRecord], world: SweepWorld) -> str:
    cost_nano_usd = sum(record.cost_nano_usd or 0 for record in records)
    await world.events.send([*_told(overdue, records, cost_nano_usd)])
    costs: Counter[str] = Counter()
    for record in records:
        costs[record.model or ""] += 0 if record.unbooked else record.cost_nano_usd or 0
    of, last = records[0].of, records[-1]
    await _settle_holds(overdue, costs, of.user_id, world, is_lost=last.is_lost_without_trace)
    facts = {"tenant_id": overdue.tenant_id, "request_id": of.request_id, "cost_nano_usd": cost_nano_usd}
    if last.outcome == "lost":
        world.records.trouble("sweep.lost", **facts)
        return "lost"
    world.records.trouble("sweep.settled", **facts)
    return "settled"


def lost_record(overdue: Overdue, user_id: str, holder: tuple[Tenant, User] | None, now_s: float) -> UsageRecord:
    """All it could have cost, unless the tenant's policy is that lost requests cost nothing."""
    facts, held_nano_usd = overdue.facts, min(hold.cost_nano_usd for _, hold in overdue.holds)
    model: str | None = facts.get("model") or None
    is_free = holder is not None and holder[0].lost_requests == "release"
    return UsageRecord(
        of=Attribution(
            request_id=facts["request_id"],
            tenant_id=overdue.tenant_id,
            user_id=user_id,
            key_id=facts.get("key_id") or "",
            operation=facts["operation"],
            conversation_id=facts.get("conversation_id"),
            trace_id=facts.get("trace_id"),
        ),
        attempt=0,
        at_s=now_s,
        outcome="lost",
        code=LOST,
        provider=model.partition("/")[0] if model else None,
        model=model,
        model_requested=facts.get("model_requested") or model,
        stream=bool(facts.get("stream")),
        usage=TokenUsage(estimated=True),
        cost_nano_usd=0 if is_free else held_nano_usd,
    )


def _told(overdue: Overdue, records: Sequence[UsageRecord], cost_nano_usd: int) -> Iterator[Told]:
    """What its function would have told, under the same ids: whoever heard it from there ignores it here."""
    last = records[-1]
    of, ended_s = last.of, max(record.at_s for record in records)
    started_s = float(overdue.facts.get("arrived_s") or overdue.holds[0][1].admitted_s)
    yield AuditEvent(
        id=f"{of.request_id}.started", event="request.started", at_s=started_s, tenant_id=of.tenant_id, of=of
    )
    if last.outcome == "lost":
        yield last
    facts = {
        "model_requested": last.model_requested,
        "model_used": last.model if last.attempt else None,
        "provider": last.provider if last.attempt else None,
        "stream": last.stream,
        "code": last.code,
        "attempts": sum(record.attempt > 0 for record in records),
        "cost_nano_usd": cost_nano_usd,
    }
    yield AuditEvent(
        id=f"{of.request_id}.ended",
        event=ending_of(last.code, was_asked=bool(last.attempt)),
        at_s=ended_s,
        tenant_id=of.tenant_id,
        of=of,
        facts={name: value for name, value in facts.items() if value is not None},
    )


async def _settle_holds(
    overdue: Overdue, costs: Mapping[str, int], user_id: str | None, world: SweepWorld, *, is_lost: bool = False
) -> None:
    """And tells of budgets that this brought to a mark. `costs`: by "provider/model". `is_lost`: it may have asked any
    model under whose rules it is held.
    """
    cost_nano_usd = sum(costs.values())
    holder = await world.holders.holder(overdue.tenant_id, user_id) if cost_nano_usd and user_id else None
    settled: list[Settled] = []
    for place, hold in overdue.holds:
        spent = {} if holder is None else by_rule(_allowance(place, *holder), hold.rules, costs)
        if is_lost:
            spent = lost_by_rule(hold, cost_nano_usd)
        changes = settling(hold, cost_nano_usd, {**hold.booked_by_rule, **spent})
        reading = await world.ledger.settle(place.account_id, overdue.name, changes, (), hold)
        if holder is not None and reading is not None:
            settled.append(_settled(place, hold, reading, cost_nano_usd, *holder))
    await tell_alerts(settled, world.ledger, world.events, world.clock.now_s())


def _settled(place: Place, hold: Hold, reading: Reading, cost_nano_usd: int, tenant: Tenant, user: User) -> Settled:
    allowance = _allowance(place, tenant, user)
    shards = tenant.shards if place.level == "tenant" else user.shards
    meters = budget_meters(allowance, hold, Share(shards, place.shard))
    of = (place.account_id, place.level, place.tenant_id, place.user_id)
    return Settled(*of, shards, allowance.alerts, [*meters], cost_nano_usd, reading)


def _allowance(place: Place, tenant: Tenant, user: User) -> Allowance:
    if place.level == "tenant":
        return tenant.allowance
    return tenant.user_allowance if user.allowance is None else user.allowance
