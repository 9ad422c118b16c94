"""How long a tenant lets its requests take, where it says something of that."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Literal, TypeVar

from msgspec import structs

from gateway.model.call import Call, Timeouts
from gateway.model.errors import InvalidRequest
from gateway.model.reliability import TimeoutRule
from gateway.model.tenant import Tenant

C = TypeVar("C", bound=Call)
Limit = Literal["ttft_ms", "total_ms"]


class Bounded(Timeouts, frozen=True, kw_only=True):
    """`most_ttft_ms`, `most_total_ms`: what a model may have at most where nobody says how long it may take."""

    most_ttft_ms: int | None = None
    most_total_ms: int | None = None


def said_ms(call: Call, limit: Limit) -> tuple[int | None, int | None]:
    """What holds for the call, and the most that it may be where nothing does."""
    timeouts = call.timeouts
    if timeouts is None:
        return None, None
    said = timeouts.ttft_ms if limit == "ttft_ms" else timeouts.total_ms
    if not isinstance(timeouts, Bounded):
        return said, None
    return said, timeouts.most_ttft_ms if limit == "ttft_ms" else timeouts.most_total_ms


def timed(call: C, model_id: str, tenant: Tenant) -> C:
    """The call as it was asked, or with the tenant's own time limits in place of those that it does not say.

    Raises InvalidRequest (400) for more than the tenant allows: what cannot be had is refused, not clamped.
    """
    rules = [rule for rule in tenant.timeouts if fnmatchcase(model_id, rule.models)]
    if not rules:
        return call
    asked = call.timeouts or Timeouts()
    ttft_ms, most_ttft_ms = _limit("ttft_ms", asked.ttft_ms, model_id, rules)
    total_ms, most_total_ms = _limit("total_ms", asked.total_ms, model_id, rules)
    bounded = Bounded(ttft_ms=ttft_ms, total_ms=total_ms, most_ttft_ms=most_ttft_ms, most_total_ms=most_total_ms)
    return structs.replace(call, timeouts=bounded)


def _limit(name: Limit, asked: int | None, model_id: str, rules: list[TimeoutRule]) -> tuple[int | None, int | None]:
    """Of the first rule that says one; the lowest ceiling of all."""
    most = min(_said(f"max_{name}", rules), default=None)
    if asked is not None and most is not None and asked > most:
        raise InvalidRequest(f"timeouts.{name} is at most {most} for {model_id}.", param=f"timeouts.{name}")
    return next(_said(name, rules), None) if asked is None else asked, most


def _said(name: str, rules: list[TimeoutRule]) -> Iterator[int]:
    return (value for rule in rules if (value := getattr(rule, name)) is not None)
