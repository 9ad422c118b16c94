"""What is known of one request while it runs: each step of the pipeline adds its part, `conclude` reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Any

from msgspec import Struct, field

from gateway.model.call import MAX_BEGIN_MS, MAX_JOB_MS, MAX_STREAM_MS, Call
from gateway.model.claim import Claimed
from gateway.model.completion import LeftOut, UsageReport
from gateway.model.errors import GatewayError
from gateway.model.hook import HookRun
from gateway.model.http import Sending
from gateway.model.job import Job
from gateway.model.reply import Chunk, Reply
from gateway.model.tenant import Principal
from gateway.model.trace import Trace
from gateway.model.units import UnitName
from gateway.model.usage import TokenUsage
from gateway.pipeline.admit import Ticket
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_record import JobRecord
from gateway.pipeline.route import AnyRoute
from gateway.providers.contract import RemoteFile

ANSWER_S = MAX_BEGIN_MS / 1000
"""From its arrival until a request's whole answer begins, whatever is waited for and stored. API Gateway ends a stream
that has had no byte for 300 s: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html
"""
RESULT_S = MAX_JOB_MS / 1000 + 30
"""From the beginning of a job's worker until its result is stored: time to record that is left to its function."""
RECORD_S = RESULT_S + 20
"""From there until the last try to record it."""

OVERTAKEN = "cancelled"
"""The code of an attempt that was ended because another model had answered, or had ended the request."""


class Answered(Struct):
    """`model`, `service_tier`: as the provider names what served the call. `finish_reasons`: one for each choice."""

    model: str = ""
    service_tier: str | None = None
    finish_reasons: dict[int, str] = field(default_factory=dict)

    def take(self, part: Reply | Chunk) -> None:
        self.model = part.model or self.model
        self.service_tier = part.service_tier or self.service_tier
        for choice in part.choices:
            if choice.finish_reason:
                self.finish_reasons[choice.index] = choice.finish_reason


class Attempt(Struct):
    """One call to a provider. Times in seconds of the monotonic clock; `provider_wait_s`: spent waiting for it.

    `trace_headers`: those that it carries. `usage`, `cost_nano_usd`: None until known, the cost also when the price
    is not. `sending`: how far its request came. `answered`: what the reply says of itself. `uploads`: what the
    provider was given for this call alone. `until_s`: when its whole answer has to be there, or the first content of a
    stream, whatever the call says; `stream_until_s`: when a stream has to end. `most_nano_usd`: what is held for it,
    None: all that is held for the request. `chances`: how many models may still be asked, with this one.
    `is_beside_others`: whether it was begun at the same time as they were. `is_overtaken`: whether it was ended because
    another one had ended the race. `wins`: makes it the one that counts of those. `tenant_id`: whose request it is for.
    `limit_s`: when its own time limits end it, once it has asked. `key_of`: the tenant whose own key it has, None for
    the owner's. `made`: ids of the files that were made of what it brought. `leaving`: gives back what it took, while
    nobody waits for it. `places`: how many it has for its requests. `is_let_through`: whether the circuit has let it
    through, with all of them. `enough_s`: after how long without anything of an answer its provider has failed for
    everybody.
    """

    route: AnyRoute
    started_s: float
    trace_headers: dict[str, str]
    sending: Sending = field(default_factory=Sending)
    provider_wait_s: float = 0.0
    ttft_s: float | None = None
    ended_s: float | None = None
    error: GatewayError | None = None
    usage: TokenUsage | None = None
    cost_nano_usd: int | None = None
    answered: Answered = field(default_factory=Answered)
    uploads: list[RemoteFile] = field(default_factory=list)
    until_s: float = inf
    stream_until_s: float = inf
    limit_s: float = inf
    key_of: str | None = None
    leaving: list[asyncio.Task[None]] = field(default_factory=list)
    places: int = 0
    is_let_through: bool = False
    enough_s: float = inf
    most_nano_usd: int | None = None
    chances: int = 1
    is_beside_others: bool = False
    is_overtaken: bool = False
    wins: Callable[[], Awaitable[None]] | None = None
    tenant_id: str = ""
    made: list[str] = field(default_factory=list)

    async def has_answered(self) -> None:
        """To be said once its provider's answer is whole, before anything else is done with that."""
        if self.wins is not None:
            await self.wins()


class Switch(Struct, frozen=True):
    """From one model to another, "provider/model", because of an error of that code. `at_s`: Unix seconds."""

    model: str
    to: str
    code: str
    at_s: float


class Exchange(Struct):
    """`request_id`: the gateway's own, unique. `lambda_request_id`: of the invocation, None outside of Lambda.

    `arrived_s`: Unix seconds. `started_s`, `ended_s`: of the monotonic clock. `status`: the one that the client was
    given, which is not that of an error that came later. `conversation_id`: from the caller's metadata.
    `hooks`: those that have answered.
    `spare_s`: how much of the time for a whole answer is kept for what comes after a provider's.
    `observers`: hooks that are being told, which nobody waits for before the client has its answer.
    `is_held_back`: whether a stream has to be whole before any of it may be seen.
    `inbound`: the request itself, `is_async`: whether it orders a job, `ordered`: the one that it had ordered before.
    `claimed`: what it has claimed for its Idempotency-Key.
    `batch_id`: of the one that this is a line of, which holds what it needs.
    `job`: the one that is carried out here. `job_id`: of that, or of the one that this request became.
    `worked_from_s`: since when that job is carried out, of the monotonic clock.
    `queued_s`: how long it waited for that. `began_s`: when what was done before its provider was asked began, of one
    whose reply came when nobody waited for it, by the monotonic clock.
    `goes_on`: whether that job is still to tell of its end, and to settle what is held. `is_out_of_time`: whether its
    caller waited for the end in vain. `closing`: ends that job, once the client has its answer.
    `made`: ids of the files that were made of what the provider made.
    `asks_model`: whether it is executed by an attempt. `is_quiet`: leaves no record, unless it is refused.
    `model_asked`: "provider/model" that the name meant, of one that may fall back on others.
    `about`, `units`: ids and amounts of what one that asks no model did.
    """

    request_id: str
    operation: str
    started_s: float
    trace: Trace
    lambda_request_id: str | None = None
    arrived_s: float = 0.0
    ended_s: float = 0.0
    principal: Principal | None = None
    model_requested: str | None = None
    conversation_id: str | None = None
    stream: bool = False
    ticket: Ticket | None = None
    attempts: list[Attempt] = field(default_factory=list)
    model_asked: str | None = None
    switches: list[Switch] = field(default_factory=list)
    left_out: tuple[LeftOut, ...] = ()
    media_wait_s: float = 0.0
    hook_wait_s: float = 0.0
    spare_s: float = 0.0
    hooks: list[HookRun] = field(default_factory=list)
    observers: list[asyncio.Task[None]] = field(default_factory=list)
    is_held_back: bool = False
    client_wait_s: float = 0.0
    schemas_used: Mapping[str, str] = field(default_factory=dict)
    usage_report: UsageReport | None = None
    error: GatewayError | None = None
    status: int | None = None
    inbound: Inbound | None = None
    is_async: bool = False
    ordered: Job | None = None
    claimed: Claimed | None = None
    batch_id: str | None = None
    job: JobRecord | None = None
    worked_from_s: float | None = None
    queued_s: float | None = None
    began_s: float | None = None
    job_id: str | None = None
    goes_on: bool = False
    is_out_of_time: bool = False
    closing: Callable[[], Awaitable[None]] | None = None
    made: list[str] = field(default_factory=list)
    asks_model: bool = True
    is_quiet: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    units: dict[UnitName, int] = field(default_factory=dict)

    @property
    def is_admitted(self) -> bool:
        """Whether what it needs was taken when its job, or its batch, was accepted."""
        return self.job is not None or self.batch_id is not None

    @property
    def becomes_job(self) -> bool:
        """A video is one even where it is answered at once."""
        return self.is_async or self.operation in ("videos", "batches")

    @property
    def leaves_job(self) -> bool:
        """Whether its job goes on without it, however it is answered."""
        return self.goes_on and self.closing is None

    @property
    def was_executed(self) -> bool:
        """Whether anything was done beyond finding out whether it may be."""
        let_in = self.ticket is not None and self.ticket.refusal is None
        return bool(self.attempts) or (let_in and not self.asks_model)

    @property
    def usage(self) -> TokenUsage | None:
        """Of the last attempt."""
        return self.attempts[-1].usage if self.attempts else None

    @property
    def cost_nano_usd(self) -> int | None:
        """Of all attempts whose price is known; None when some were charged and none of them has one."""
        known = [attempt.cost_nano_usd for attempt in self.attempts if attempt.cost_nano_usd is not None]
        return sum(known) if known or not self.unpriced_attempts else None

    @property
    def unpriced_attempts(self) -> int:
        """How many were charged what nobody knows."""
        return sum(attempt.usage is not None and attempt.cost_nano_usd is None for attempt in self.attempts)

    @property
    def whole_cost_nano_usd(self) -> int | None:
        """What the client is told, who takes it for all: None when that of one attempt is unknown."""
        return None if self.unpriced_attempts else self.cost_nano_usd

    @property
    def waited_s(self) -> float:
        """For providers, media, hooks and the client: what the gateway itself cannot help."""
        own = self.own_wait_s + self.client_wait_s
        beside = [attempt.provider_wait_s for attempt in self.attempts if attempt.is_beside_others]
        after = (attempt.provider_wait_s for attempt in self.attempts if not attempt.is_beside_others)
        return own + max(beside, default=0.0) + sum(after)

    @property
    def answer_by_s(self) -> float:
        """By the monotonic clock: when the whole answer has to begin, or the result of a job, which may have waited for
        long before its worker began, has to be stored.
        """
        return self.started_s + ANSWER_S if self.worked_from_s is None else self.worked_from_s + RESULT_S

    @property
    def ask_until_s(self) -> float:
        """By the monotonic clock: until when a provider is waited for, whatever was done before: for its whole answer,
        or for the first content of a stream.
        """
        by_s = self.answer_by_s if self.worked_from_s is None else self.worked_from_s + MAX_JOB_MS / 1000
        return by_s - self.spare_s

    @property
    def stream_until_s(self) -> float:
        """By the monotonic clock: until when a stream may last."""
        began_s = self.started_s if self.worked_from_s is None else self.worked_from_s
        return began_s + MAX_STREAM_MS / 1000

    @property
    def record_by_s(self) -> float:
        """By the monotonic clock: until when a job's worker tries to record its end, which nobody else can tell."""
        return -inf if self.worked_from_s is None else self.worked_from_s + RECORD_S

    def charge(self, error: GatewayError) -> None:
        """With what the request has cost all the same: what was paid would be paid again."""
        if self.usage_report is not None:
            error.usage = self.usage_report
            error.retryable &= self.cost_nano_usd == 0

    @property
    def own_wait_s(self) -> float:
        """For media and hooks."""
        return self.media_wait_s + self.hook_wait_s

    def latency_ms(self, now_s: float) -> float:
        """Since arrival, or since the job's first worker began. `now_s`: of the monotonic clock."""
        return milliseconds(now_s - self._begun_s)

    def overhead_ms(self, now_s: float) -> float:
        return milliseconds(now_s - self._begun_s - self.waited_s)

    @property
    def queue_ms(self) -> float | None:
        """What a job waited for before its worker began; None for what is none."""
        return None if self.queued_s is None else milliseconds(self.queued_s)

    @property
    def _begun_s(self) -> float:
        """What its provider works at while nobody waits was begun before whoever gives the reply came to it."""
        if self.began_s is not None:
            return self.began_s
        if self.worked_from_s is None:
            return self.started_s
        return min([self.worked_from_s, *(attempt.started_s for attempt in self.attempts)])

    async def left(self) -> None:
        """Hooks that are being told have been, and what attempts took is given back; each within its own time limit."""
        if tasks := [*self.observers, *(task for attempt in self.attempts for task in attempt.leaving)]:
            await asyncio.gather(*tasks, return_exceptions=True)

    def key_of(self, provider: str) -> str | None:
        """The tenant whose own key this provider is asked with; None for the owner's."""
        if self.principal is None or provider not in self.principal.tenant.own_keys:
            return None
        return self.principal.tenant.id

    def note(self, call: Call, *, stream: bool = False) -> None:
        """What was asked for."""
        self.model_requested, self.conversation_id, self.stream = call.model, call.conversation_id, stream
        self.is_async = bool(call.async_)

    def facts(self) -> dict[str, Any]:
        """What the hold keeps, for the record of a request that is lost with its function; none of a quiet one, and of
        one that becomes a job, which asks nobody before there is a record that has them.
        """
        if self.is_quiet or self.is_async:
            return {}
        return {
            "request_id": self.request_id,
            "operation": self.operation,
            "key_id": self.principal.key.id if self.principal else None,
            "arrived_s": self.arrived_s,
            "model_requested": self.model_requested,
            "conversation_id": self.conversation_id,
            "trace_id": self.trace.id,
            "stream": self.stream,
        }


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
