"""What is left of limits and budgets, as OpenAI's headers say it. Of several limits the one with the least left."""

from __future__ import annotations

from gateway.model.ledger import Kind, Meter
from gateway.model.money import usd_text
from gateway.pipeline.admit import Entry, Ticket

UNITS: tuple[Kind, Kind] = ("requests", "tokens")
BUDGET_REMAINING = "x-gateway-budget-remaining-usd"


def limit_headers(ticket: Ticket | None) -> dict[str, str]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` and the budget's rest, of what is limited.

    As this request left it, its own hold included. Where the counters are spread over shards, a request sees one of
    them: what is left in the others is taken to be as much. The form of a reset is OpenAI's: "12s", also "0s".
    """
    if ticket is None:
        return {}
    headers: dict[str, str] = {}
    for unit in UNITS:
        if tightest := _tightest(ticket, unit):
            meter, remaining = tightest
            resets_s = max(0, (meter.ends_s or 0) - int(ticket.admitted_s))
            headers[f"x-ratelimit-limit-{unit}"] = str(meter.whole or meter.limit)
            headers[f"x-ratelimit-remaining-{unit}"] = str(remaining)
            headers[f"x-ratelimit-reset-{unit}"] = f"{resets_s}s"
    if budget := _tightest(ticket, "spend"):
        headers[BUDGET_REMAINING] = usd_text(budget[1])
    return headers


def _tightest(ticket: Ticket, kind: Kind) -> tuple[Meter, int] | None:
    limited = [(meter, _remaining(entry, meter)) for entry, meter in ticket.meters() if meter.kind == kind]
    known = [(meter, remaining) for meter, remaining in limited if remaining is not None]
    return min(known, key=lambda pair: pair[1], default=None)


def _remaining(entry: Entry, meter: Meter) -> int | None:
    if meter.limit is None:
        return None
    return min(meter.left_of(entry.reading) * entry.account.shards, meter.whole or meter.limit)
