"""What is held and charged while models fall back: never more than was held, and no budget for a model of another."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.entry.job_task import JobTask
from gateway.entry.runtime.client import Invocation
from gateway.model.errors import AdmissionUnavailable
from gateway.model.ledger import Account, Hold, Reserved, suffix
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.provider_errors import ProviderError
from gateway.model.reliability import FallbackRule
from tests.dying import Killed
from tests.fakes import MemoryCatalog
from tests.unit.several_providers import Several, answers, fails, model, says, several, stalls
from tests.unit.test_fallback import COST, HELLO, ONE, TWO
from tests.unit.test_without_ledger import Moody

HELD = {"openai": 69_000, "groq": 207_000, "mistral": 138_000}
"""For HELLO: a token for each byte of the prompt, and ten of the reply."""
NONE_OF_GROQ = Allowance(limits=(Limits(models="groq/*", requests_per_minute=0),))
OPENAI, GROQ = suffix("openai/*"), suffix("groq/*")
RACE: dict[str, Any] = {**TWO, "fallback": {**TWO["fallback"], "strategy": "parallel"}}


def budget(nano_usd: int, models: str = "*") -> Budget:
    return Budget(window="month", usd=Decimal(nano_usd) / 10**9, models=models)


def budgets(*these: Budget) -> Allowance:
    return Allowance(budgets=these)


def cut() -> Any:
    """Its provider may have charged for all that was held."""
    return answers(200, b"{", ProviderError("cut"))


@pytest.fixture
def gateway() -> Several:
    made = several()
    made.provider("openai", cut())
    made.provider("groq", says("groq"))
    made.provider("mistral", says("mistral"))
    return made


async def numbers(gateway: Several) -> dict[str, int]:
    return dict((await gateway.world.ledger.read("T#acme#0")).numbers)


async def ordered(gateway: Several, body: dict[str, Any]) -> str:
    return str((await gateway.chat({**body, "async": True})).json["id"])


async def worked_at(gateway: Several, job_id: str, *steps: str) -> Any:
    for step in steps or ("ask", "settle"):
        asked = {"step": step, "tenant_id": "acme", "job_id": job_id}
        deadline_s = gateway.world.clock.now_s() + 900
        await JobTask(gateway.world, 5.0).handle(asked, Invocation("r-1", deadline_s=deadline_s))
    return await gateway.world.jobs.get("acme", job_id)


def make_dearer(gateway: Several, provider: str, name: str, dollars: int) -> None:
    assert isinstance(gateway.world.catalog, MemoryCatalog)
    gateway.world.catalog.held[provider][name] = model(name, dollars)


class TestJobsThatBecomeDearer:
    """Their workers plan them anew."""

    @pytest.mark.parametrize(("room", "asked"), [(70_000, []), (300_000, ["openai"])])
    async def test_what_one_costs_now_is_held_before_it_is_asked(
        self, gateway: Several, room: int, asked: list[str]
    ) -> None:
        gateway.tenant(allowance=budgets(budget(room)))
        job_id = await ordered(gateway, HELLO)
        make_dearer(gateway, "openai", "gpt", 3)
        job = await worked_at(gateway, job_id)
        spent = 3 * HELD["openai"] if asked else 0
        assert gateway.providers.asked == asked
        assert job.error["code"] == ("provider_error" if asked else "budget_exceeded")
        assert await gateway.spent("s2026-09") == await gateway.spent("c2026-09") == spent <= room
        assert (await gateway.world.ledger.read("T#acme#0")).holds == {}

    async def test_under_each_rule_of_its_own(self, gateway: Several) -> None:
        """Over all models there is enough already, for the dearer one."""
        gateway.tenant(allowance=budgets(budget(150_000, "openai/*")))
        job_id = await ordered(gateway, ONE)
        make_dearer(gateway, "openai", "gpt", 3)
        job = await worked_at(gateway, job_id)
        assert (job.error["code"], gateway.providers.asked) == ("budget_exceeded", [])

    async def test_a_rule_that_is_newer_than_the_job_holds_for_it_and_nothing_stays_held(
        self, gateway: Several
    ) -> None:
        gateway.tenant()
        job_id = await ordered(gateway, ONE)
        gateway.tenant(allowance=Allowance(limits=(Limits(models="openai/*", tokens_per_minute=1_000),)))
        await worked_at(gateway, job_id)
        first, _ = gateway.usage
        found = await numbers(gateway)
        assert found[f"c2026-09{OPENAI}"] == found[f"s2026-09{OPENAI}"] == first.cost_nano_usd


class TestWhoIsCharged:
    @pytest.mark.parametrize("is_job", [False, True])
    async def test_no_budget_of_a_model_that_was_held_for_and_not_asked(self, gateway: Several, is_job: bool) -> None:
        """There was room in the tenant's account, and none in the user's."""
        gateway.tenant(allowance=budgets(budget(10**9, "groq/*")), user_allowance=NONE_OF_GROQ)
        if is_job:
            await worked_at(gateway, await ordered(gateway, ONE))
        else:
            await gateway.chat(ONE)
        found = await numbers(gateway)
        assert gateway.providers.asked == ["openai"]
        assert found["s2026-09"] == found["c2026-09"] == HELD["openai"]
        assert found.get(f"s2026-09{GROQ}", 0) == found.get(f"c2026-09{GROQ}", 0) == 0

    async def test_tokens_of_a_job_count_under_the_rules_of_the_models_that_used_them(self, gateway: Several) -> None:
        limits = tuple(Limits(models=models, tokens_per_minute=1_000) for models in ("openai/*", "groq/*"))
        gateway.tenant(allowance=Allowance(limits=limits))
        gateway.provider("openai", fails(500))
        await worked_at(gateway, await ordered(gateway, ONE))
        counted = {name.partition("/")[2]: used for name, used in (await numbers(gateway)).items() if name[0] == "t"}
        assert counted == {OPENAI.lstrip("/"): 0, GROQ.lstrip("/"): 15}


class TestRoom:
    async def test_a_model_there_is_no_room_for_does_not_keep_out_the_next(self, gateway: Several) -> None:
        """Enough for the first and the third, not for the first and the second."""
        gateway.tenant(allowance=budgets(budget(HELD["openai"] + HELD["mistral"])), fallbacks=RULE)
        report = (await gateway.chat(HELLO)).json["gateway"]
        assert gateway.providers.asked == ["openai", "mistral"]
        assert [(one["model"], one["code"]) for one in report["left_out"]] == [("groq/llama", "budget_exceeded")]

    async def test_a_client_that_names_no_others_needs_room_for_its_own_model_alone(self, gateway: Several) -> None:
        gateway.tenant(allowance=budgets(budget(100_000)), fallbacks=RULE)
        gateway.provider("openai", says("openai"))
        assert (await gateway.chat(HELLO)).status == 200
        assert (await gateway.chat(ONE)).json["error"]["code"] == "budget_exceeded"

    @pytest.mark.parametrize("strategy", ["sequential", "parallel"])
    async def test_a_budget_has_to_have_room_for_the_models_that_fall_under_it(
        self, gateway: Several, strategy: str
    ) -> None:
        limits = (Limits(models="openai/*", tokens_per_minute=100),)
        gateway.tenant(allowance=Allowance(budgets=(budget(100_000, "openai/*"),), limits=limits))
        gateway.provider("openai", says("openai"))
        gateway.provider("groq", stalls())
        gateway.provider("mistral", stalls())
        answer = await gateway.chat({**TWO, "fallback": {**TWO["fallback"], "strategy": strategy}})
        assert (answer.status, answer.json["model"]) == (200, "openai/gpt")
        found = await numbers(gateway)
        assert found[f"s2026-09{OPENAI}"] == found[f"c2026-09{OPENAI}"] == COST["openai"]

    async def test_what_an_own_budget_has_room_for_is_not_taken_for_another_model(self, gateway: Several) -> None:
        """The second is dearer than the budget of the first, which it does not fall under."""
        gateway.tenant(allowance=budgets(budget(100_000, "openai/*"), budget(210_000, "groq/*")))
        report = (await gateway.chat(ONE)).json["gateway"]
        assert report["model_used"] == "groq/llama"
        found = await numbers(gateway)
        assert (found[f"c2026-09{OPENAI}"], found[f"c2026-09{GROQ}"]) == (HELD["openai"], COST["groq"])

    async def test_all_that_are_asked_at_once_have_to_fit_the_rule_that_they_share(self, gateway: Several) -> None:
        gateway.tenant(allowance=budgets(budget(sum(HELD.values()) - 1)))
        assert (await gateway.chat(RACE)).status == 402
        gateway.tenant(allowance=budgets(budget(sum(HELD.values()) - 1)), fallbacks=(RACING,))
        asked = asyncio.Event()

        async def later() -> Any:
            await asked.wait()
            return says("openai")

        gateway.provider("openai", later)
        gateway.provider("groq", stalls(asked))
        report = (await gateway.chat(HELLO)).json["gateway"]
        assert sorted(gateway.providers.asked) == ["groq", "openai"]
        assert [(one["model"], one["code"]) for one in report["left_out"]] == [("mistral/large", "budget_exceeded")]


RULE = (FallbackRule(fallback=("groq/llama", "mistral/large")),)
RACING = FallbackRule(fallback=("groq/llama", "mistral/large"), strategy="parallel")


class Unanswered(MemoryLedger):
    """Enlarges without an answer. `times`: which of all tries; `came`: which of those came through all the same."""

    def __init__(self, times: tuple[int, ...], came: tuple[int, ...]) -> None:
        super().__init__()
        self._times, self._came, self._tries = times, came, 0

    async def enlarge(self, account: Account, name: str, hold: Hold, larger: Hold) -> Reserved:
        if not account.id.startswith("T"):
            return await super().enlarge(account, name, hold, larger)
        self._tries += 1
        if self._tries not in self._times:
            return await super().enlarge(account, name, hold, larger)
        if self._tries in self._came:
            await super().enlarge(account, name, hold, larger)
        raise AdmissionUnavailable("no answer")


@pytest.mark.parametrize("times", [(1,), (1, 2)])
@pytest.mark.parametrize("came", [(), (1,), (1, 2), (2,)])
async def test_what_is_not_answered_between_two_models_leaves_the_books_right(
    gateway: Several, times: tuple[int, ...], came: tuple[int, ...]
) -> None:
    ledger = Unanswered(times, came)
    report = await between_two_models(gateway, ledger)
    reading = await ledger.read("T#acme#0")
    is_asked = len(times) == 1
    assert gateway.providers.asked == (["openai", "mistral"] if is_asked else ["openai"])
    assert report is None or [one["code"] for one in report["left_out"]] == ["admission_unavailable"]
    spent = HELD["openai"] + (COST["mistral"] if is_asked else 0)
    assert reading.holds == {}
    assert reading.numbers["s2026-09"] == reading.numbers["c2026-09"] == spent
    assert reading.numbers.get(f"c2026-09{GROQ}", 0) == 0
    assert not any(number for name, number in reading.numbers.items() if name[0] == "n")


async def between_two_models(gateway: Several, ledger: MemoryLedger) -> Any:
    gateway.world = replace(gateway.world, ledger=ledger)
    gateway.tenant(allowance=budgets(budget(10**9, "groq/*"), budget(10**9, "mistral/*")))
    return (await gateway.chat(TWO)).json.get("gateway")


class Endless(MemoryLedger):
    """Takes what it is to enlarge, and its answer never comes."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()

    async def enlarge(self, account: Account, name: str, hold: Hold, larger: Hold) -> Reserved:
        await super().enlarge(account, name, hold, larger)
        self.is_asked.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_who_goes_between_two_models_leaves_nothing_held(gateway: Several) -> None:
    """Or whose function's time is over then: whether the write came through nobody knows."""
    ledger = Endless()
    asking = asyncio.ensure_future(between_two_models(gateway, ledger))
    await ledger.is_asked.wait()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    reading = await ledger.read("T#acme#0")
    assert gateway.providers.asked == ["openai"]
    assert reading.holds == {}
    assert reading.numbers["s2026-09"] == reading.numbers["c2026-09"] == HELD["openai"]
    assert reading.numbers[f"c2026-09{GROQ}"] == 0


async def test_what_a_job_without_the_ledger_cost_is_booked_by_rule(gateway: Several) -> None:
    """It was admitted without it, so no account stands for it; its cost comes with its records."""
    ledger = Moody()
    gateway.world = replace(gateway.world, ledger=ledger)
    rules = budgets(budget(10**9, "openai/*"), budget(10**9, "groq/*"))
    gateway.tenant(allowance=rules, without_ledger="local")
    await gateway.chat(HELLO)  # who is known goes on
    ledger.silent = {"T#acme#0", "U#acme#0#alice"}
    job_id = await ordered(gateway, ONE)
    ledger.silent = set()
    gateway.told.clear()
    await worked_at(gateway, job_id)
    first, second = gateway.usage
    for record, own, other in ((first, OPENAI, GROQ), (second, GROQ, OPENAI)):
        booked = record.unbooked["T#acme#0"]
        assert booked["s2026-09"] == booked[f"s2026-09{own}"] == record.cost_nano_usd
        assert f"s2026-09{other}" not in booked


class TestWorkersThatDie:
    """Nobody asks again, and the job costs all that was held for it."""

    @pytest.mark.parametrize("at", ["openai", "groq"])
    async def test_while_a_model_is_asked(self, gateway: Several, at: str) -> None:
        async def dies() -> Any:
            raise Killed

        gateway.tenant(allowance=budgets(*(budget(10**9, models) for models in ("*", "openai/*", "groq/*"))))
        gateway.provider(at, dies)
        job_id = await ordered(gateway, ONE)
        with suppress(Killed):
            await worked_at(gateway, job_id, "ask")
        await gateway.world.clock.sleep(60)
        job = await worked_at(gateway, job_id)
        asked = ["openai", "groq"][: 1 + (at == "groq")]
        assert (job.status, gateway.providers.asked) == ("failed", asked)
        found = await numbers(gateway)
        most = HELD["openai"] + HELD["groq"] if at == "groq" else HELD["groq"]
        assert job.cost_nano_usd == found["s2026-09"] == found["c2026-09"] == most
        assert found[f"s2026-09{OPENAI}"] == found[f"c2026-09{OPENAI}"] == HELD["openai"]
        if at == "groq":
            assert found[f"s2026-09{GROQ}"] == found[f"c2026-09{GROQ}"] == HELD["groq"]
        assert (await gateway.world.ledger.read("T#acme#0")).holds == {}
