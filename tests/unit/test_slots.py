"""As many calls at a time as a provider's owner lets it have: the next model is asked, or the client told when."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.call import MAX_STREAM_MS
from gateway.model.http import Credential
from gateway.model.provider_errors import ProviderBusy
from gateway.model.secret import Secret
from gateway.model.slot import Slot
from gateway.pipeline.job_work import ask
from gateway.pipeline.slots import LATE_S
from tests.fakes import ListRecords, ManualClock, MemoryCredentials, MemorySlots
from tests.unit.several_providers import ProvidersOutbound, Several, fails, says, several, stalls, streams_text, texts
from tests.unit.test_circuits_in_calls import Watched
from tests.unit.test_jobs import gateway_of_jobs

HELLO: dict[str, Any] = {"model": "openai/gpt", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
BOTH = {**HELLO, "fallback": {"models": ["groq/llama"]}}


def slots(gateway: Any) -> MemorySlots:
    found = gateway.world.slots
    assert isinstance(found, MemorySlots)
    return found


def capped(gateway: Any, most: int | None, name: str = "openai") -> None:
    clock, keys = gateway.world.clock, gateway.world.credentials
    assert isinstance(clock, ManualClock) and isinstance(keys, MemoryCredentials)
    gateway.world = replace(gateway.world, slots=MemorySlots(clock))
    keys.held[name] = Credential(Secret("key"), max_concurrent=most)


async def fill(gateway: Any, name: str = "openai") -> None:
    assert await slots(gateway).take(Slot(name), 1, int(gateway.world.clock.now_s()) + 600)


@pytest.fixture
def gateway() -> Several:
    made = several()
    capped(made, 1)
    made.provider("openai", says("Hello."))
    made.provider("groq", says("groq"))
    return made


class SlowToGiveBack(MemorySlots):
    async def give_back(self, slot: Slot) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        await super().give_back(slot)


async def test_the_place_of_a_model_that_failed_is_free_for_the_next_one_of_its_provider(gateway: Several) -> None:
    capped(gateway, 1, "groq")
    gateway.world = replace(gateway.world, slots=SlowToGiveBack(gateway.world.clock))  # type: ignore[arg-type]
    gateway.provider("groq", fails(503), says("well"))
    reply = await gateway.chat({**HELLO, "model": "groq/llama", "fallbacks": ["groq/dumb"]})
    assert (reply.status, gateway.providers.asked) == (200, ["groq", "groq"])


async def test_a_place_is_taken_for_the_time_of_the_call(gateway: Several) -> None:
    began, seen = asyncio.Event(), dict[str, int]()

    async def look() -> Any:
        seen.update(slots(gateway).held["openai"])
        began.set()
        return says("Hello.")

    gateway.provider("openai", look)
    assert (await gateway.chat({**HELLO, "timeouts": {"total_ms": 5_000}})).status == 200
    assert began.is_set()
    assert list(seen.values()) == [int(gateway.world.clock.now_s() + 5 + LATE_S)]
    assert slots(gateway).held == {"openai": {}}


@pytest.mark.parametrize(("limits", "held_s"), [({"total_ms": 20_000}, 20), ({"ttft_ms": 2_000}, MAX_STREAM_MS / 1000)])
async def test_a_stream_has_its_place_no_longer_than_it_may_last(
    gateway: Several, limits: dict[str, int], held_s: float
) -> None:
    seen: list[int] = []

    async def look() -> None:
        seen.extend(slots(gateway).held["openai"].values())

    gateway.provider("openai", dataclasses.replace(streams_text(), parts=[look, *streams_text("Hello.").parts]))
    await gateway.chat({**HELLO, "stream": True, "timeouts": {"ttft_ms": 1_000, **limits}})
    assert seen == [int(gateway.world.clock.now_s() + held_s + LATE_S)]


@pytest.mark.parametrize("answer", [fails(500), fails(400), streams_text("Hello.")])
async def test_it_is_given_back_whatever_comes_of_it(gateway: Several, answer: Any) -> None:
    gateway.provider("openai", answer)
    await gateway.chat({**HELLO, "stream": True})
    assert slots(gateway).held == {"openai": {}}
    assert (await gateway.chat({**HELLO, "stream": True})).status != 503


async def test_also_of_who_does_not_answer_in_time(gateway: Several) -> None:
    gateway.provider("openai", stalls())
    assert (await gateway.chat({**HELLO, "timeouts": {"total_ms": 50}})).status == 504
    assert slots(gateway).held == {"openai": {}}


@pytest.mark.parametrize("stream", [False, True])
async def test_where_all_are_taken_the_client_is_told_when(gateway: Several, stream: bool) -> None:
    await fill(gateway)
    answer = await gateway.chat({**HELLO, "stream": stream})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["retryable"], answer.headers["retry-after"]) == (
        503,
        "overloaded",
        True,
        "1",
    )
    assert gateway.providers.asked == []
    assert [record.cost_nano_usd for record in gateway.usage] == [0]
    assert await gateway.spent("r") == 0


async def test_or_another_model_answers(gateway: Several) -> None:
    await fill(gateway)
    answer = await gateway.chat(BOTH)
    assert (answer.json["model"], gateway.providers.asked) == ("groq/llama", ["groq"])
    assert [one["code"] for one in answer.json["gateway"]["attempts"]] == ["overloaded", None]
    assert gateway.switches[0].facts["code"] == "overloaded"


async def test_or_it_is_asked_a_little_later(gateway: Several) -> None:
    gateway.tenant(max_retries=2)
    await fill(gateway)
    slots(gateway).held["openai"] = dict.fromkeys(slots(gateway).held["openai"], int(gateway.world.clock.now_s()) + 2)
    answer = await gateway.chat(HELLO)
    assert (answer.status, len(answer.json["gateway"]["attempts"])) == (200, 3)


async def test_where_nobody_can_count_them_the_call_goes_on(gateway: Several) -> None:
    slots(gateway).is_broken = True
    assert (await gateway.chat(HELLO)).status == 200
    assert isinstance(gateway.world.records, ListRecords)
    assert {one["event"] for one in gateway.world.records.troubles} == {"slots.unavailable"}


async def test_a_place_that_cannot_be_given_back_is_no_failure(gateway: Several) -> None:
    async def breaks() -> Any:
        slots(gateway).is_broken = True
        return says("Hello.")

    gateway.provider("openai", breaks)
    assert (await gateway.chat(HELLO)).status == 200
    assert isinstance(gateway.world.records, ListRecords)
    assert [one["event"] for one in gateway.world.records.troubles] == ["slots.unavailable"]


async def test_without_a_cap_nothing_is_counted(gateway: Several) -> None:
    capped(gateway, None)
    slots(gateway).is_broken = True
    assert (await gateway.chat(HELLO)).status == 200
    assert isinstance(gateway.world.records, ListRecords)
    assert gateway.world.records.troubles == []


async def test_a_tenants_own_key_has_places_of_its_own(gateway: Several) -> None:
    await fill(gateway)
    gateway.tenant(own_keys=("openai",))
    keys = gateway.world.credentials
    assert isinstance(keys, MemoryCredentials)
    keys.held["openai/acme"] = Credential(Secret("own"), max_concurrent=1)
    assert (await gateway.chat(HELLO)).status == 200
    assert set(slots(gateway).held) == {"openai", "openai/acme"}


async def test_of_many_at_once_one_has_the_place(gateway: Several) -> None:
    opened = asyncio.Event()

    async def waits() -> Any:
        await opened.wait()
        return says("Hello.")

    gateway.provider("openai", waits)
    asking = [asyncio.create_task(gateway.chat(HELLO)) for _ in range(5)]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 4:
        done, _ = await asyncio.wait(asking, timeout=0.01)
    opened.set()
    assert sorted([(await task).status for task in asking]) == [200, 503, 503, 503, 503]


async def test_a_stream_has_its_place_until_its_end(gateway: Several) -> None:
    held: list[int] = []

    async def look() -> None:
        held.append(len(slots(gateway).held["openai"]))

    parts = streams_text("He", "llo.").parts
    gateway.provider("openai", dataclasses.replace(streams_text(), parts=[*parts[:2], look, *parts[2:]]))
    answer = await gateway.chat({**HELLO, "stream": True})
    assert (texts(answer.events), held, slots(gateway).held) == ("Hello.", [1], {"openai": {}})


async def test_a_job_waits_for_a_place_and_is_not_over() -> None:
    gateway = gateway_of_jobs()
    outbound = ProvidersOutbound({"openai": [says("Hello.")]})
    gateway.world = replace(gateway.world, outbound=outbound)
    capped(gateway, 1)
    await fill(gateway)
    job_id = await gateway.accepted()
    with pytest.raises(ProviderBusy):
        await gateway.step(ask, job_id)
    assert (outbound.asked, gateway.ends) == ([], {})
    slots(gateway).held.clear()
    gateway.clock.unix_s = (await gateway.job(job_id)).alive_until_s
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert slots(gateway).held == {"openai": {}}


async def test_a_place_that_may_have_been_taken_is_given_back(gateway: Several) -> None:
    slots(gateway).is_unanswered = True
    assert [(await gateway.chat(HELLO)).status for _ in range(3)] == [200] * 3
    assert slots(gateway).held == {"openai": {}}
    slots(gateway).is_unanswered = False
    assert (await gateway.chat(HELLO)).status == 200


async def test_also_where_nobody_waits_any_more_until_it_is_taken(gateway: Several) -> None:
    """Of a race that another model wins meanwhile."""
    taken, groq_said = slots(gateway).take, asyncio.Event()

    async def slow(slot: Slot, most: int, until_s: int) -> bool:
        await groq_said.wait()
        return await taken(slot, most, until_s)

    async def says_groq() -> Any:
        asyncio.get_running_loop().call_later(0.02, groq_said.set)
        return says("groq")

    slots(gateway).take = slow  # type: ignore[method-assign]
    gateway.provider("groq", says_groq)
    answer = await gateway.chat({**HELLO, "fallback": {"models": ["groq/llama"], "strategy": "parallel"}})
    assert (answer.json["model"], groq_said.is_set()) == ("groq/llama", True)
    assert (slots(gateway).held, "openai" in gateway.providers.asked) == ({"openai": {}}, False)


async def test_whom_a_circuit_refuses_takes_no_place() -> None:
    watched = Watched()
    capped(watched.gateway, 5)
    watched.gateway.provider("openai", fails(503))
    await watched.codes(HELLO, 5)
    slots(watched.gateway).is_broken = True
    assert isinstance(watched.gateway.world.records, ListRecords)
    watched.gateway.world.records.troubles.clear()
    assert set(await watched.codes(HELLO, 3)) == {"circuit_open"}
    assert watched.gateway.world.records.troubles == []
