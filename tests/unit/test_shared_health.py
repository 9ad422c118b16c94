"""What environments tell each other of providers: after an answer, seldom, and never at anybody's cost."""

from __future__ import annotations

import asyncio

import pytest

from gateway.model.circuit import Call, Rules, endpoint_of
from gateway.pipeline import shared_health
from gateway.pipeline.shared_health import AFTER_FAILURE_S, SHARE_EVERY_S, SharedHealth
from tests.fakes import ListRecords, ManualClock
from tests.health_store import MemoryHealth

MODEL = ("openai", "gpt")
ENDPOINT = endpoint_of("openai", "https://api.openai.com/v1")


class Environments:
    """Of one gateway, with one store and one time."""

    def __init__(self) -> None:
        self.clock, self.store, self.records = ManualClock(), MemoryHealth(), ListRecords()
        self.clock.unix_s -= self.clock.unix_s % 60  # a minute begins

    def one(self, watched: str = "*") -> SharedHealth:
        return SharedHealth(Rules((watched,)), 10_000, self.store, self.clock, self.records)

    def call(self) -> Call:
        return Call(ENDPOINT, "openai/gpt", "acme", self.clock.now_s())

    def fail(self, known: SharedHealth, times: int) -> None:
        for _ in range(times):
            known.note(*MODEL, None, is_stream=False)
            known.circuits.note(self.call(), "failed", self.clock.now_s())

    @property
    def events(self) -> list[str]:
        return [trouble["event"] for trouble in self.records.troubles]


@pytest.fixture
def environments() -> Environments:
    return Environments()


async def test_one_learns_what_another_has_counted(environments: Environments) -> None:
    one, other = environments.one(), environments.one()
    for _ in range(20):
        one.note(*MODEL, None, is_stream=False)
    await one.share()
    assert (one.of(*MODEL), other.of(*MODEL)) == ("unhealthy", "healthy")
    other.note("groq", "llama", 100, is_stream=True)
    await other.share()
    assert (other.of(*MODEL), other.p95_ms("groq", "llama")) == ("unhealthy", 100)


async def test_it_is_shared_every_few_seconds_at_most(environments: Environments) -> None:
    one, store, clock = environments.one(), environments.store, environments.clock
    for second in range(11):
        clock.unix_s += 1
        for _ in range(3):
            one.note(*MODEL, 100, is_stream=False)
            await one.share()
        assert store.writes == 1 + second // SHARE_EVERY_S
    assert sum(numbers["openai/gpt"]["c"] for numbers in store.kept.values()) == 3 * 10 + 1


async def test_who_has_counted_nothing_asks_nothing(environments: Environments) -> None:
    await environments.one().share()
    assert (environments.store.writes, environments.store.reads) == (0, 0)


async def test_minutes_that_are_over_are_not_read_again(environments: Environments) -> None:
    one, store, clock = environments.one(), environments.store, environments.clock
    one.note(*MODEL, 100, is_stream=False)
    await one.share()
    assert store.reads == 5
    clock.unix_s += 30
    one.note(*MODEL, 100, is_stream=False)
    await one.share()
    assert store.reads == 7  # the running one, and the one before for the last time


async def test_what_cannot_be_shared_is_lost_and_told(environments: Environments) -> None:
    one, store, clock = environments.one(), environments.store, environments.clock
    store.is_down = True
    environments.fail(one, 2)
    await one.share()
    assert environments.events == ["health.not_shared"]
    store.is_down = False
    clock.unix_s += AFTER_FAILURE_S - 1
    environments.fail(one, 1)
    await one.share()
    assert store.kept == {}
    clock.unix_s += 1
    await one.share()
    assert [numbers["openai/gpt"]["f"] for numbers in store.kept.values()] == [1]


async def test_a_store_that_does_not_answer_holds_nobody_up(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(MemoryHealth):
        async def read(self, minute: int) -> dict:  # type: ignore[type-arg]
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(shared_health, "SHARE_TIMEOUT_S", 0.01)
    monkeypatch.setattr(shared_health, "REFRESH_TIMEOUT_S", 0.01)
    environments.store = Silent()
    one = environments.one()
    one.note(*MODEL, 100, is_stream=False)
    async with asyncio.timeout(2):
        await one.share()
        await one.refresh()
    assert environments.events == ["health.not_shared", "health.not_shared"]
    assert one.of(*MODEL) == "healthy"


async def test_who_reads_learns_once_in_a_while(environments: Environments) -> None:
    one, reader = environments.one(), environments.one()
    for _ in range(20):
        one.note(*MODEL, None, is_stream=False)
    await asyncio.gather(reader.refresh(), reader.refresh())
    assert (environments.store.reads, reader.of(*MODEL)) == (5, "healthy")
    await one.share()
    await reader.refresh()
    assert reader.of(*MODEL) == "healthy"
    environments.clock.unix_s += SHARE_EVERY_S
    await reader.refresh()
    assert reader.of(*MODEL) == "unhealthy"


async def test_a_provider_that_is_not_watched_is_not_counted(environments: Environments) -> None:
    one = environments.one("groq")
    one.note(*MODEL, None, is_stream=False)
    await one.share()
    assert environments.store.writes == 0


class TestCircuits:
    async def test_what_opens_in_one_is_open_in_others_and_closes_there(self, environments: Environments) -> None:
        one, other, clock = environments.one(), environments.one(), environments.clock
        environments.fail(one, 5)
        await one.share()
        other.note("groq", "llama", 100, is_stream=True)
        await other.share()
        assert (one.is_cut_off("openai"), other.is_cut_off("openai"), other.is_cut_off("groq")) == (True, True, False)
        assert other.circuits.enter(environments.call()) == 30
        clock.unix_s += 30
        assert one.circuits.enter(environments.call()) == 0
        assert one.circuits.note(environments.call(), "answered", clock.now_s()) == "closed"
        await one.share()
        clock.unix_s -= 3
        other.note("groq", "llama", 100, is_stream=True)
        await other.share()
        assert other.circuits.enter(environments.call()) == 0

    async def test_its_opening_is_shared_at_once(self, environments: Environments) -> None:
        one = environments.one()
        environments.fail(one, 1)
        await one.share()
        environments.fail(one, 4)
        await one.share()
        reader = environments.one()
        await reader.refresh()
        assert reader.is_cut_off("openai")

    async def test_what_fails_in_one_environment_is_left_alone_there_alone(self, environments: Environments) -> None:
        one, other, clock = environments.one(), environments.one(), environments.clock
        for _ in range(11):
            other.circuits.note(environments.call(), "answered", clock.now_s())
        await other.share()
        environments.fail(one, 10)
        await one.share()
        clock.unix_s += SHARE_EVERY_S
        other.circuits.note(environments.call(), "answered", clock.now_s())
        await other.share()
        assert (one.is_cut_off("openai"), other.is_cut_off("openai")) == (True, False)

    async def test_many_environments_with_a_failure_each_open_it_together(self, environments: Environments) -> None:
        every = [environments.one() for _ in range(20)]
        for one in every:
            environments.fail(one, 1)
            await one.share()
        assert [one.is_cut_off("openai") for one in every] == 19 * [False] + [True]
        assert environments.events == ["circuit.opened"]
        environments.clock.unix_s += SHARE_EVERY_S
        every[0].note("groq", "llama", 100, is_stream=True)
        await every[0].share()
        assert every[0].is_cut_off("openai")
        assert environments.events == ["circuit.opened"]  # told by the one that found it

    async def test_one_that_has_closed_is_not_opened_by_what_was_before(self, environments: Environments) -> None:
        one, other, clock = environments.one(), environments.one(), environments.clock
        environments.fail(one, 25)
        await one.share()
        clock.unix_s += 30
        assert one.circuits.enter(environments.call()) == 0
        one.circuits.note(environments.call(), "answered", clock.now_s())
        await one.share()
        other.note("groq", "llama", 100, is_stream=True)
        await other.share()
        assert not one.is_cut_off("openai")
        assert not other.is_cut_off("openai")
