"""Whatever limits and budgets the administration takes, what the ledger writes for them is within DynamoDB's limits.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters
"""

from __future__ import annotations

import random
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.model.errors import AdmissionUnavailable, InvalidRequest
from gateway.model.ledger import Meter, Reading, hold_name
from gateway.model.limits import MAX_NUMBERS, Allowance, Budget, Burst, Limits
from gateway.model.tenant import Tenant, User
from gateway.pipeline.admit import NOTHING, STALE_AT_ONCE, Entry, Ticket, Used, _end, _hold
from gateway.pipeline.meters import Demand, account_of
from gateway.pipeline.settings import check_together, check_user
from tests.fakes import principal
from tests.unit.conftest import Gateway

NOW_S = 1_790_000_000.0
MAX_BYTES, MAX_OPERATORS = 4_096, 300
_OPERATORS = re.compile(r"<=|>=|<>|[=<>+-]|\b(?:AND|OR|NOT|attribute_exists|attribute_not_exists|if_not_exists)\b")
DEMAND = Demand("openai/gpt-4o", tokens=10**9, cost_nano_usd=10**15, lease_s=60)
JOB = replace(DEMAND, is_job=True)


def patterns(dice: random.Random) -> list[str]:
    """Which all match the model."""
    return ["*", *(f"openai/gpt-4o{'*' * number}" for number in range(1, dice.randrange(2, 40)))]


def allowance(dice: random.Random, *, is_full: bool) -> Allowance:
    def perhaps(value: Any) -> Any:
        return value if is_full or dice.random() < 0.7 else None

    models, many = patterns(dice), 16 if is_full else dice.randrange(17)
    if is_full:
        models = ["*" * (1 + number) for number in range(32)]
    limits = [
        Limits(
            models=models[number] if is_full else dice.choice(models),
            requests_per_minute=perhaps(10**15),
            tokens_per_minute=perhaps(10**15),
            concurrent_requests=perhaps(10**15),
            concurrent_jobs=perhaps(10**15),
            burst=perhaps(Burst(requests=10**15, seconds=1 + number)),
        )
        for number in range(many)
    ]
    budgets = [
        Budget(window=dice.choice(("day", "month")), usd=Decimal(1_000_000), models=models[-1 - number])
        if is_full
        else Budget(window=dice.choice(("day", "month")), usd=Decimal(1_000_000), models=dice.choice(models))
        for number in range(many)
    ]
    return Allowance(limits=tuple(limits), budgets=tuple(budgets))


class Anywhere:
    def refusal(self, url: str) -> str | None:
        return None


def accepted(wanted: Allowance) -> bool:
    try:
        check_together(Tenant(id="acme", allowance=wanted), Anywhere())
        check_user(User(id="alice", allowance=wanted))
    except InvalidRequest:
        return False
    return True


class Listening:
    """DynamoDB that does nothing but note what it is asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def call(self, operation: str, request: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        if operation == "UpdateItem":
            self.asked.append(request)
        raise AwsFailure("Unreachable", is_fault=True)


async def written(wanted: Allowance, demand: Demand = DEMAND) -> list[dict[str, Any]]:
    """For one request: what admits it, gives it more, ends it and undoes it, with as much stale as is removed."""
    api = Listening()
    ledger: Any = DynamoLedger(api, "ledger", timeout_s=1.0)  # type: ignore[arg-type]
    holder = principal(Tenant(id="acme", allowance=wanted))
    ticket = Ticket(hold_name("req_" + "f" * 32), demand, holder, ledger, NOW_S)
    account, hold = account_of("tenant", holder, demand, NOW_S, 0), _hold("tenant", ticket, {})
    stale = Reading({f"b10.{number}": 1 for number in range(2 * STALE_AT_ONCE)})
    entry = Entry(account, stale, hold)
    steps = [
        ledger.reserve(account, ticket.name, hold),
        ledger.enlarge(account, ticket.name, hold, hold),
        _end(entry, ticket, Used(5, 5), NOW_S),
        _end(entry, ticket, NOTHING, NOW_S),
    ]
    for step in steps:
        with pytest.raises(AdmissionUnavailable):
            await step
    assert len(api.asked) == len(steps)
    return api.asked


def excesses(request: dict[str, Any]) -> list[str]:
    found = []
    for name in ("UpdateExpression", "ConditionExpression"):
        expression = request.get(name, "")
        if len(expression) > MAX_BYTES:
            found.append(f"{name} has {len(expression)} bytes")
        if (operators := len(_OPERATORS.findall(expression))) > MAX_OPERATORS:
            found.append(f"{name} has {operators} operators")
    return found


async def test_everything_that_is_accepted_can_be_written() -> None:
    dice, taken = random.Random(4), 0  # noqa: S311 - not for secrets
    for _ in range(150):
        wanted = allowance(dice, is_full=False)
        if accepted(wanted):
            taken += 1
            for demand in (DEMAND, JOB):
                assert [excesses(request) for request in await written(wanted, demand)] == [[]] * 4
    assert taken > 100


async def test_the_most_that_is_accepted_can_be_written_and_one_more_is_refused() -> None:
    full = allowance(random.Random(4), is_full=True)  # noqa: S311 - not for secrets
    most = Allowance(limits=full.limits, budgets=full.budgets[: MAX_NUMBERS - 64])
    assert (most.numbers, accepted(most)) == (MAX_NUMBERS, True)
    assert [excesses(request) for request in await written(most)] == [[]] * 4
    assert [excesses(request) for request in await written(most, JOB)] == [[]] * 4
    but_all = (
        msgspec.structs.replace(full.limits[0], concurrent_requests=None, concurrent_jobs=None),
        *full.limits[1:],
    )
    one_more = Allowance(limits=but_all, budgets=full.budgets[: MAX_NUMBERS - 63])
    assert (one_more.numbers, Tenant(id="acme", allowance=one_more).full_allowance.numbers) == (72, 73)
    assert [excesses(request) for request in await written(one_more, JOB)] == [[]] * 4
    assert not accepted(Allowance(limits=full.limits, budgets=full.budgets[: MAX_NUMBERS - 63]))
    many_budgets = Allowance(limits=full.limits[:14], budgets=full.budgets)
    assert (many_budgets.numbers, accepted(many_budgets)) == (MAX_NUMBERS, True)
    assert [excesses(request) for request in await written(many_budgets)] == [[]] * 4


async def test_as_many_are_counted_as_a_request_has_to_stay_within(gateway: Gateway) -> None:
    full = allowance(random.Random(4), is_full=True)  # noqa: S311 - not for secrets
    meters = account_of("tenant", principal(Tenant(id="acme", allowance=full)), DEMAND, NOW_S, 0).meters
    limited: list[Meter] = [meter for meter in meters if meter.limit is not None]
    assert len(limited) == full.numbers == 80
