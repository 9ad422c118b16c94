"""One line of a batch, carried out as the request that it stands for: its hooks, its provider, its records."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from gateway.model.batch import BatchGroup, BatchTotals, Ending, LineEnd, PartLine, request_id_of
from gateway.model.errors import GatewayError, InternalError, JobInterrupted
from gateway.model.job import Job
from gateway.model.ledger import hold_name
from gateway.model.provider_errors import CircuitOpen, ProviderBusy, ProviderRateLimited
from gateway.model.record import AuditEvent, Told, UsageRecord
from gateway.model.tenant import Principal
from gateway.model.trace import Trace
from gateway.model.usage import TokenUsage
from gateway.pipeline.admit import Ticket, give_back
from gateway.pipeline.batch_endpoints import LINE_ENDPOINTS
from gateway.pipeline.conclude import told_of
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_causes import LOST
from gateway.pipeline.job_end import Unforeseen
from gateway.pipeline.meters import Demand
from gateway.pipeline.report import explain
from gateway.pipeline.request_line import line_of
from gateway.pipeline.upload import delete_uploads
from gateway.pipeline.vital_signs import tell_health
from gateway.ports import World

JSON = "application/json"
T = TypeVar("T")


class Lines(msgspec.Struct, frozen=True):
    """What the lines of one part have in common."""

    job: Job
    group: BatchGroup
    principal: Principal

    @property
    def trace(self) -> Trace:
        return Trace(self.job.facts["trace_id"], is_sampled=False)

    def exchange_of(
        self, line: PartLine, world: World, *, held_from_s: float | None = None, lease_s: float = 0.0
    ) -> Exchange:
        """With a ticket for what its batch holds for it. `held_from_s`, `lease_s`: since when and for how long what it
        needs besides is held; from now on for LINE_S at least.
        """
        clock = world.clock
        exchange = Exchange(
            request_id_of(self.job.id, line.line),
            LINE_ENDPOINTS[self.group.endpoint].operation,
            clock.monotonic_s(),
            trace=self.trace,
            arrived_s=clock.now_s(),
            principal=self.principal,
            model_requested=self.group.model,
            batch_id=self.job.id,
        )
        demand = Demand(self.group.model, 0, line.held_nano_usd, max(LINE_S, lease_s), of_batch=True)
        from_s = clock.now_s() if held_from_s is None else held_from_s
        exchange.ticket = Ticket(hold_name(exchange.request_id), demand, self.principal, world.ledger, from_s)
        return exchange


LINE_S = 300.0
"""For which what a line needs besides is held: longer than any may take."""
PATIENCE_S, PAUSE_S, LONGEST_PAUSE_S = 60.0, 5.0, 30.0
"""For how long a line waits for room at its provider, before whoever carries it out looks what has become of its batch;
and between two tries."""


class CarriedOut(msgspec.Struct, frozen=True):
    """`besides`: what is held for it beside what its batch holds, until its cost is booked."""

    end: LineEnd
    besides: Ticket | None


class NoRoom(msgspec.Struct, frozen=True):
    """Of a line that its provider had no room for, and has done nothing for. `at`: its place in the part."""

    at: int


async def carried_out(
    at: int, line: PartLine, lines: Lines, world: World, unforeseen: Unforeseen | None, until_s: float
) -> CarriedOut | NoRoom:
    """Never raises a GatewayError: that is how it ended. A line that its provider has no room for is asked again for a
    while, but not after `until_s`, by the monotonic clock.
    """
    clock = world.clock
    patient_until_s = clock.monotonic_s() + PATIENCE_S
    while True:
        exchange = lines.exchange_of(line, world)
        answer = await tried(_run(line, lines, exchange, world), exchange, unforeseen)
        body = await body_of(answer, exchange, world)
        await tell_health(exchange, world)
        pause_s = _pause_s(exchange)
        if pause_s is None:
            break
        if exchange.ticket is not None and exchange.ticket.besides is not None:
            await give_back(exchange.ticket.besides)
        if clock.monotonic_s() + pause_s >= until_s:
            return NoRoom(at)
        await clock.sleep(pause_s)
        if clock.monotonic_s() >= patient_until_s:
            return NoRoom(at)
    return ended(at, line, body, exchange, world)


def _pause_s(exchange: Exchange) -> float | None:
    """After which it is worth asking again, of a line for which its provider has done nothing; None of all others."""
    error = exchange.error
    if not isinstance(error, ProviderBusy | ProviderRateLimited | CircuitOpen) or exchange.cost_nano_usd:
        return None
    return min(max(error.ask_again_s or error.retry_after_s or PAUSE_S, 1.0), LONGEST_PAUSE_S)


async def _run(line: PartLine, lines: Lines, exchange: Exchange, world: World) -> bytes:
    path = lines.group.endpoint
    return msgspec.json.encode(await LINE_ENDPOINTS[path].run(path)(inbound_of(line, lines), exchange, world))


def inbound_of(line: PartLine, lines: Lines) -> Inbound:
    """As the request that it stands for would have come."""
    return Inbound("", JSON, bytes(line.body), accept=JSON, path=lines.group.endpoint)


async def tried(asking: Awaitable[T], exchange: Exchange, unforeseen: Unforeseen | None) -> T | None:
    """None where it failed: why, the exchange says then."""
    try:
        return await asking
    except GatewayError as error:
        exchange.error = error
    except Exception as defect:  # one line's defect is no other's
        exchange.error = InternalError("The gateway failed.") if unforeseen is None else unforeseen(defect, exchange)
    return None


async def body_of(answer: bytes | None, exchange: Exchange, world: World) -> bytes:
    """The reply, or the error where that is what it has come to; which the log has its line of from then on."""
    exchange.ended_s = world.clock.monotonic_s()
    await asyncio.gather(*exchange.observers, return_exceptions=True)
    if exchange.error is not None:
        explain(exchange.error, exchange, world.clock)
        answer = msgspec.json.encode(exchange.error.wire(exchange.request_id))
    exchange.status = 200 if exchange.error is None else exchange.error.status
    world.records.write(line_of(exchange, exchange.ended_s))
    await delete_uploads(exchange, world)
    return answer or b""


def ended(at: int, line: PartLine, body: bytes, exchange: Exchange, world: World) -> CarriedOut:
    end = LineEnd(
        at=at,
        line=line.line,
        custom_id=line.custom_id,
        request_id=exchange.request_id,
        ending="completed" if exchange.error is None else "failed",
        status_code=exchange.status,
        body=Raw(body),
        totals=_totals(exchange, line),
        **_told(told_of(exchange, world)),
    )
    return CarriedOut(end, None if exchange.ticket is None else exchange.ticket.besides)


def _totals(exchange: Exchange, line: PartLine) -> BatchTotals:
    is_ok = exchange.error is None
    used = [attempt.usage for attempt in exchange.attempts if attempt.usage is not None]
    return BatchTotals(
        completed=int(is_ok),
        failed=int(not is_ok),
        held_nano_usd=line.held_nano_usd,
        cost_nano_usd=exchange.cost_nano_usd or 0,
        unpriced=int(exchange.unpriced_attempts > 0),
        input_tokens=sum(usage.prompt_tokens for usage in used),
        cached_tokens=sum(usage.prompt.cached_tokens for usage in used),
        output_tokens=sum(usage.completion_tokens for usage in used),
        reasoning_tokens=sum(usage.completion.reasoning_tokens for usage in used),
    )


def _told(told: Iterable[Told]) -> dict[str, Any]:
    both = [*told]
    return {
        "records": tuple(one for one in both if isinstance(one, UsageRecord)),
        "events": tuple(one for one in both if isinstance(one, AuditEvent)),
    }


def lost(at: int, line: PartLine, lines: Lines, world: World) -> LineEnd:
    """Of a line whose worker died when it may have been asked. It costs what its tenant's policy for such requests
    says.
    """
    exchange = lines.exchange_of(line, world)
    exchange.error, exchange.ended_s = JobInterrupted(LOST), world.clock.monotonic_s()
    is_charged = lines.principal.tenant.lost_requests == "charge"
    cost_nano_usd = line.held_nano_usd if is_charged else 0
    told = _told(told_of(exchange, world))
    told["records"] = tuple(
        msgspec.structs.replace(
            record,
            outcome="lost",
            provider=lines.group.model.partition("/")[0],
            model=lines.group.model,
            cost_nano_usd=cost_nano_usd,
            usage=TokenUsage(estimated=True),
        )
        for record in told["records"]
    )
    world.records.write(line_of(exchange, exchange.ended_s))
    totals = BatchTotals(failed=1, held_nano_usd=line.held_nano_usd, cost_nano_usd=cost_nano_usd)
    return LineEnd(
        at=at,
        line=line.line,
        custom_id=line.custom_id,
        request_id=exchange.request_id,
        ending="failed",
        error={"code": exchange.error.code, "message": exchange.error.message},
        totals=totals,
        **told,
    )


class Closing(msgspec.Struct, frozen=True):
    """Why lines end that were not asked, or for which their provider had no room."""

    ending: Ending
    code: str
    message: str

    def of(self, at: int, line: PartLine, lines: Lines) -> LineEnd:
        """Nobody has done anything for it, so nothing is told of it."""
        is_cancelled = self.ending == "cancelled"
        return LineEnd(
            at=at,
            line=line.line,
            custom_id=line.custom_id,
            request_id=request_id_of(lines.job.id, line.line),
            ending=self.ending,
            error={"code": self.code, "message": self.message},
            totals=BatchTotals(
                cancelled=int(is_cancelled),
                failed=int(not is_cancelled),
                expired=int(self.code == EXPIRED.code),
                held_nano_usd=line.held_nano_usd,
            ),
        )


CANCELLED = Closing("cancelled", "batch_cancelled", "The batch was cancelled before this line was carried out.")
EXPIRED = Closing("failed", "batch_expired", "The batch's time was over before this line was carried out.")
CANCELLED_BY_PROVIDER = Closing(
    "cancelled", "batch_cancelled", "The batch was cancelled before its provider had answered this line."
)
EXPIRED_AT_PROVIDER = Closing(
    "failed", "batch_expired", "The batch's time was over before its provider had answered this line."
)
DISABLED = Closing("failed", "tenant_disabled", "The tenant or the user was disabled before this line was carried out.")
INTERRUPTED = Closing("failed", "job_interrupted", "The batch's execution ended before this line was carried out.")
