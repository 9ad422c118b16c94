"""Jobs that a provider's open circuit meets are not over by it: a later worker begins anew, and no function waits."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from msgspec.structs import replace

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


async def test_one_with_another_model_does_not(watched: Watched) -> None:
    job = await worked(watched, await ordered(watched, ONE))
    assert (job.status, watched.clock.slept, watched.asked) == ("completed", [], ["groq"])


async def test_a_later_worker_tries(watched: Watched) -> None:
    """As soon as the circuit's time is over and it is agreed who does, which those who were turned away see to."""
    job = await ordered(watched)
    for passed_s in (0.0, OPEN_S):
        watched.pass_s(passed_s)
        with pytest.raises(CircuitOpen):
            await worked(watched, job)
        job = await watched.gateway.world.jobs.get("acme", job.id)
        assert (job.has_ended, job.is_asked, watched.asked, watched.clock.slept) == (False, False, [], [])
        watched.pass_s(job.alive_until_s - watched.clock.now_s())
    assert (await worked(watched, job)).status == "completed"
    assert watched.asked == ["openai"]


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
    job_id = await gateway.accepted(**CHAT)

    def is_open(_: Call) -> float:
        payloads.is_broken = not is_stored
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


async def test_who_waits_is_told_at_once(watched: Watched) -> None:
    watched.gateway.tenant(max_retries=2)
    watched.pass_s(OPEN_S - 1)
    assert await watched.codes() == TIMES * ["circuit_open"]
    assert watched.clock.slept == []
