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


def timed(call: C, model_id: str, tenant: Tenant) -> C:
    """The call as it was asked, or with the tenant's own time limits in place of those that it does not say.

    Raises InvalidRequest (400) for more than the tenant allows: what cannot be had is refused, not clamped.
    """
    rules = [rule for rule in tenant.timeouts if fnmatchcase(model_id, rule.models)]
    if not rules:
        return call
    asked = call.timeouts or Timeouts()
    ttft_ms, total_ms = (
        _limit("ttft_ms", asked.ttft_ms, model_id, rules),
        _limit("total_ms", asked.total_ms, model_id, rules),
    )
    return structs.replace(call, timeouts=Timeouts(ttft_ms=ttft_ms, total_ms=total_ms))


def _limit(name: Limit, asked: int | None, model_id: str, rules: list[TimeoutRule]) -> int | None:
    """Of the first rule that says one, within the lowest ceiling of all."""
    most = min(_said(f"max_{name}", rules), default=None)
    if asked is not None and most is not None and asked > most:
        raise InvalidRequest(f"timeouts.{name} is at most {most} for {model_id}.", param=f"timeouts.{name}")
    if asked is not None:
        return asked
    usual = next(_said(name, rules), None)
    return most if usual is None or (most is not None and most < usual) else usual


def _said(name: str, rules: list[TimeoutRule]) -> Iterator[int]:
    return (value for rule in rules if (value := getattr(rule, name)) is not None)
