"""As many calls at a time as a provider's owner lets it have: the next model is asked, or the client told when."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.model.http import Credential
from gateway.model.provider_errors import ProviderBusy
from gateway.model.secret import Secret
from gateway.pipeline.job_work import ask
from gateway.pipeline.slots import LATE_S
from tests.fakes import ListRecords, ManualClock, MemoryCredentials, MemorySlots
from tests.unit.several_providers import ProvidersOutbound, Several, fails, says, several, stalls, streams_text, texts
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
    assert await slots(gateway).take(name, 1, int(gateway.world.clock.now_s()) + 600) is not None


@pytest.fixture
def gateway() -> Several:
    made = several()
    capped(made, 1)
    made.provider("openai", says("Hello."))
    made.provider("groq", says("groq"))
    return made


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
    assert [one["event"] for one in gateway.world.records.troubles] == ["slots.unavailable"]


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
    gateway.provider("openai", replace(streams_text(), parts=[*parts[:2], look, *parts[2:]]))
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
