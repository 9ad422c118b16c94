"""What an attempt used and cost, whatever came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct
from msgspec.structs import replace

from gateway.model.completion import UsageReport
from gateway.model.http import Sending
from gateway.model.money import cost_nano_usd
from gateway.model.provider_errors import ProviderFailure
from gateway.model.usage import TokenUsage
from gateway.pipeline.admit import Ticket
from gateway.pipeline.exchange import Attempt, Exchange


class Counted(Struct, frozen=True):
    """What an answer that broke off used, as far as it can be counted. `has_begun`: whether something of it came.
    `at_most`: what its provider can have charged for it at most; None where it can have done much that nobody saw.
    """

    usage: TokenUsage
    has_begun: bool = False
    at_most: TokenUsage | None = None


def account(attempt: Attempt, usage: TokenUsage, exchange: Exchange) -> UsageReport:
    """Enters what an attempt used and cost; the report's cost is that of the whole request."""
    attempt.usage = usage
    attempt.cost_nano_usd = cost_nano_usd(usage, attempt.route.facts, attempt.answered.service_tier)
    exchange.usage_report = UsageReport.of(usage, exchange.whole_cost_nano_usd)
    return exchange.usage_report


def account_unseen(attempt: Attempt, counted: TokenUsage, exchange: Exchange) -> None:
    """Of an attempt that its provider may have charged for more than anybody saw: all that was held for it, so that no
    budget is overspent, or what was counted. Its tenant's `lost_requests` says which, as for a request that died.
    """
    account(attempt, replace(counted, estimated=True), exchange)
    if exchange.ticket is None or _is_released(exchange):
        return
    if held_nano_usd := _held_nano_usd(attempt, exchange.ticket):
        attempt.cost_nano_usd = max(attempt.cost_nano_usd or 0, held_nano_usd)
        exchange.usage_report = UsageReport.of(attempt.usage or counted, exchange.whole_cost_nano_usd)


def _held_nano_usd(attempt: Attempt, ticket: Ticket) -> int:
    held_nano_usd = ticket.demand.cost_nano_usd
    return held_nano_usd if attempt.most_nano_usd is None else min(held_nano_usd, attempt.most_nano_usd)


@contextmanager
def account_interrupted(attempt: Attempt, counted: Callable[[], Counted], exchange: Exchange) -> Iterator[None]:
    """A provider that was reached has begun to work, and may charge for it, whatever came back. It costs nothing where
    no connection was made, and where the provider says itself that it failed before anything of an answer came.
    """
    try:
        yield
    except BaseException:
        _account_interrupted(attempt, counted(), exchange)
        raise


def _account_interrupted(attempt: Attempt, counted: Counted, exchange: Exchange) -> None:
    error = attempt.error
    if (charged := charged_by(error)) is not None:
        account(attempt, charged, exchange)
    elif is_free(error, attempt.sending, has_begun=counted.has_begun):
        attempt.usage = None
    elif counted.at_most is not None:
        account(attempt, counted.usage if _is_released(exchange) else counted.at_most, exchange)
    else:
        account_unseen(attempt, counted.usage, exchange)


def _is_released(exchange: Exchange) -> bool:
    """Whether nothing is charged for what nobody saw."""
    return exchange.principal is None or exchange.principal.tenant.lost_requests == "release"


def charged_by(error: BaseException | None) -> TokenUsage | None:
    """What a provider says that it used although it failed."""
    return error.charged if isinstance(error, ProviderFailure) else None


def is_free(error: BaseException | None, sending: Sending, *, has_begun: bool = False) -> bool:
    """Whether a request without a whole answer was not paid: nobody can have read it, or its provider says itself that
    it did nothing. `error`: None of one that was broken off. `has_begun`: whether something of an answer came.
    """
    refused = isinstance(error, ProviderFailure) and error.is_refusal
    return not sending.has_left or (refused and not has_begun)
