"""Jobs that a provider's open circuit meets: they wait for it, and are not over by it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from gateway.model.circuit import Call, Rules
from gateway.model.job import Job
from gateway.model.provider_errors import CircuitOpen
from gateway.pipeline.job_work import ask
from gateway.pipeline.shared_health import SharedHealth
from tests.fakes import MemoryPayloads
from tests.health_store import MemoryHealth
from tests.unit.several_providers import fails, says
from tests.unit.several_videos import BOTH, several
from tests.unit.test_background import CHAT, gateway_of_background
from tests.unit.test_circuits_in_calls import HELLO, ONE, TIMES, Watched

OPEN_S = 30.0


@pytest.fixture
async def watched() -> Watched:
    """With the circuit of a provider open that is well again."""
    watched = Watched()
    watched.gateway.provider("openai", fails(503))
    await watched.codes()
    watched.asked.clear()
    watched.gateway.provider("openai", says("well"))
    return watched


async def ordered(watched: Watched, body: Any = HELLO) -> Job:
    answer = await watched.gateway.chat({**body, "async": True})
    return await watched.gateway.world.jobs.get("acme", answer.json["id"])


async def worked(watched: Watched, job: Job) -> Job:
    return await ask(await watched.gateway.world.jobs.get("acme", job.id), watched.gateway.world)


async def test_its_worker_waits_until_the_circuit_lets_it_try(watched: Watched) -> None:
    job = await worked(watched, await ordered(watched))
    assert (job.status, watched.clock.slept, watched.asked) == ("completed", [OPEN_S], ["openai"])
    assert job.owed is not None
    told = [(record.code, record.cost_nano_usd) for record in job.owed.records]
    assert told == [("circuit_open", 0), (None, 20_000)]


async def test_one_with_another_model_does_not(watched: Watched) -> None:
    job = await worked(watched, await ordered(watched, ONE))
    assert (job.status, watched.clock.slept, watched.asked) == ("completed", [], ["groq"])


@pytest.mark.parametrize(("more", "slept"), [({}, [OPEN_S, OPEN_S]), ({"timeouts": {"total_ms": 5_000}}, [])])
async def test_what_stays_open_leaves_it_to_a_later_worker(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, more: Any, slept: list[float]
) -> None:
    ordered_ = await ordered(watched, {**HELLO, **more})
    with monkeypatch.context() as patched:
        patched.setattr(watched.health.circuits, "enter", lambda _: OPEN_S)
        with pytest.raises(CircuitOpen):
            await worked(watched, ordered_)
    assert (watched.clock.slept, watched.asked) == (slept, [])
    job = await watched.gateway.world.jobs.get("acme", ordered_.id)
    assert (job.has_ended, job.is_asked) == (False, False)
    watched.pass_s(OPEN_S + job.alive_until_s - watched.clock.now_s())
    assert (await worked(watched, job)).status == "completed"


def watched_too(gateway: Any) -> SharedHealth:
    """Its circuits, which are closed."""
    world = gateway.world
    health = SharedHealth(Rules(("*",)), 60_000, MemoryHealth(), world.clock, world.records)
    gateway.world = replace(world, health=health)
    return health


async def test_so_does_a_video_that_nobody_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = several()
    health = watched_too(gateway)
    job_id = (await gateway.create(**BOTH, **{"async": True})).json["id"]
    with monkeypatch.context() as patched:
        patched.setattr(health.circuits, "enter", lambda _: OPEN_S)
        with pytest.raises(CircuitOpen):
            await ask(await gateway.jobs.get("acme", job_id), gateway.world)
    job = await gateway.jobs.get("acme", job_id)
    assert (job.is_asked, job.remote, gateway.providers.asked) == (False, None, [])
    gateway.clock.unix_s = job.alive_until_s
    job = await ask(job, gateway.world)
    assert (job.is_begun, gateway.providers.asked) == (True, ["xai"])


@pytest.mark.parametrize("is_stored", [True, False])
async def test_so_does_what_works_in_the_background(monkeypatch: pytest.MonkeyPatch, is_stored: bool) -> None:
    """Unless its request cannot be put back in its place: then nobody could begin anew."""
    gateway = gateway_of_background()
    health, payloads = watched_too(gateway), gateway.world.payloads
    assert isinstance(payloads, MemoryPayloads)
    job_id, turned_away = await gateway.accepted(**CHAT), list[Call]()

    def is_open(call: Call) -> float:
        turned_away.append(call)
        payloads.is_broken = not is_stored and len(turned_away) == 3
        return OPEN_S

    with monkeypatch.context() as patched:
        patched.setattr(health.circuits, "enter", is_open)
        with pytest.raises(CircuitOpen) if is_stored else nullcontext():
            await ask(await gateway.job(job_id), gateway.world)
    job, payloads.is_broken = await gateway.job(job_id), False
    assert gateway.remote.sent == []
    if not is_stored:
        assert job.error is not None
        assert (job.status, job.error["code"], job.cost_nano_usd) == ("failed", "circuit_open", 0)
        return
    gateway.clock.unix_s = job.alive_until_s
    assert (await ask(job, gateway.world)).is_begun


@pytest.mark.parametrize(("passed_s", "status", "slept"), [(25, 200, [5.0]), (5, 503, [])])
async def test_a_request_waits_as_long_as_its_tenant_lets_it(
    watched: Watched, passed_s: float, status: int, slept: list[float]
) -> None:
    watched.gateway.tenant(max_retries=1)
    watched.pass_s(passed_s)
    answer = await watched.gateway.chat(HELLO)
    assert (answer.status, watched.clock.slept) == (status, slept)
    assert len(watched.asked) == (1 if status == 200 else 0)


async def test_by_default_the_client_is_told_at_once(watched: Watched) -> None:
    watched.pass_s(OPEN_S - 1)
    assert await watched.codes() == TIMES * ["circuit_open"]
    assert watched.clock.slept == []
