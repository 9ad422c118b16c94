"""What a job's record has of the models that were asked for it before the one that is at it, which its end tells."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.model.completion import AttemptReport, LeftOut
from gateway.model.errors import GatewayError
from gateway.model.job import Job
from gateway.model.money import NANO_PER_USD
from gateway.model.usage import TokenUsage
from gateway.pipeline.exchange import Attempt, Exchange, Switch, milliseconds
from gateway.pipeline.remote_attempt import attempt_at
from gateway.ports import World

FACT = "asked_before"


class Tried(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt that failed. `model`: by its provider's name for it. `usage`: None where nothing was charged,
    `cost_nano_usd` also where the price is unknown.
    """

    provider: str
    model: str
    code: str
    latency_ms: float
    usage: TokenUsage | None = None
    cost_nano_usd: int | None = None

    @classmethod
    def of(cls, attempt: Attempt, now_s: float) -> Tried:
        ended_s = now_s if attempt.ended_s is None else attempt.ended_s
        return cls(
            provider=attempt.route.provider.name,
            model=attempt.route.facts.id,
            code=attempt.error.code if attempt.error else "",
            latency_ms=milliseconds(ended_s - attempt.started_s),
            usage=attempt.usage,
            cost_nano_usd=attempt.cost_nano_usd,
        )

    @property
    def report(self) -> AttemptReport:
        cost_nano_usd = 0 if self.usage is None else self.cost_nano_usd
        return AttemptReport(
            provider=self.provider,
            model=f"{self.provider}/{self.model}",
            status="error",
            code=self.code,
            latency_ms=self.latency_ms,
            ttft_ms=None,
            cost_estimate=None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD,
        )


class AskedBefore(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`model_asked`, `switches`, `left_out`: as of an exchange."""

    model_asked: str | None = None
    tried: tuple[Tried, ...] = ()
    switches: tuple[Switch, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def cost_nano_usd(self) -> int:
        """As far as it is known."""
        return sum(one.cost_nano_usd or 0 for one in self.tried)


def noted(exchange: Exchange, now_s: float) -> dict[str, Any]:
    """For the record of a job whose last attempt is just beginning. `now_s`: of the monotonic clock."""
    before = AskedBefore(
        model_asked=exchange.model_asked,
        tried=tuple(Tried.of(attempt, now_s) for attempt in exchange.attempts[:-1]),
        switches=tuple(exchange.switches),
        left_out=exchange.left_out,
    )
    return {FACT: msgspec.to_builtins(before)}


def asked_before(job: Job) -> AskedBefore:
    return msgspec.convert(job.facts.get(FACT, {}), AskedBefore)


def recall(job: Job, exchange: Exchange, world: World) -> float:
    """Enters them in the exchange, as if one had followed the other since the job's queue had ended. When the last one
    ended, by the monotonic clock.
    """
    before, at_s = asked_before(job), exchange.started_s + (exchange.queued_s or 0)
    exchange.model_asked, exchange.left_out = before.model_asked, before.left_out
    exchange.switches, exchange.attempts = [*before.switches], []
    for tried in before.tried:
        attempt = attempt_at(tried.provider, tried.model, job, world)
        attempt.started_s, attempt.provider_wait_s = at_s, tried.latency_ms / 1000
        at_s = attempt.ended_s = at_s + attempt.provider_wait_s
        attempt.usage, attempt.cost_nano_usd = tried.usage, tried.cost_nano_usd
        attempt.error = _error(tried.code)
        exchange.attempts.append(attempt)
    return at_s


def _error(code: str) -> GatewayError:
    """Nothing else is known of it any more."""
    error = GatewayError("")
    error.code = code  # type: ignore[misc]  # of this one alone
    return error
