"""What an attempt used and cost, whatever came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.model.completion import UsageReport
from gateway.model.errors import HookUnavailable, ReplyBreaksSchema, ResponseBlocked
from gateway.model.money import cost_nano_usd
from gateway.model.provider_errors import ProviderError, ProviderTimeout
from gateway.model.usage import TokenUsage
from gateway.pipeline.exchange import Exchange


def account(exchange: Exchange, usage: TokenUsage) -> UsageReport:
    """Enters what the last attempt used and cost; the report's cost is that of the whole request."""
    attempt = exchange.attempts[-1]
    attempt.usage = usage
    attempt.cost_nano_usd = cost_nano_usd(usage, attempt.route.facts, attempt.answered.service_tier)
    exchange.usage_report = UsageReport.of(usage, exchange.cost_nano_usd)
    return exchange.usage_report


@contextmanager
def account_interrupted(asked: Callable[[], TokenUsage], exchange: Exchange) -> Iterator[None]:
    """A provider that was asked and not waited for has begun to work, and charges for what it was `asked`, whatever
    came back.
    """
    try:
        yield
    except BaseException:
        attempt = exchange.attempts[-1]
        charged = attempt.error.charged if isinstance(attempt.error, ProviderError) else None
        if attempt.usage is None and (charged or attempt.error is None or isinstance(attempt.error, ProviderTimeout)):
            account(exchange, charged or asked())
        raise


@contextmanager
def usage_in_the_error(usage: UsageReport | None) -> Iterator[None]:
    """A reply that is not given is paid all the same."""
    try:
        yield
    except (ReplyBreaksSchema, ResponseBlocked, HookUnavailable) as error:
        error.usage = usage
        raise
