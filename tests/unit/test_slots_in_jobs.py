"""Jobs of a provider that has as many calls as it may have: they are tried again, and are not over by it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.model.provider_errors import ProviderBusy
from gateway.model.slot import Slot
from gateway.pipeline.job_work import ask
from tests.unit.several_videos import BOTH, several
from tests.unit.test_background import CHAT, gateway_of_background
from tests.unit.test_slots import capped, fill, slots


async def test_a_video_waits_for_a_place() -> None:
    gateway = several()
    capped(gateway, 1, "xai")
    await fill(gateway, "xai")
    job_id = (await gateway.create(**{**BOTH, "async": True, "fallbacks": []})).json["id"]
    with pytest.raises(ProviderBusy):
        await ask(await gateway.jobs.get("acme", job_id), gateway.world)
    job = await gateway.jobs.get("acme", job_id)
    assert (job.status, job.is_asked, gateway.providers.asked) == ("running", False, [])
    slots(gateway).held.clear()
    gateway.clock.unix_s = job.alive_until_s
    assert ((await ask(job, gateway.world)).is_begun, gateway.providers.asked) == (True, ["xai"])
    assert slots(gateway).held["xai"] == {}


async def test_its_place_is_given_back_before_its_worker_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards an environment may stand still."""
    gateway = several()
    capped(gateway, 1, "xai")
    job_id = (await gateway.create(**{**BOTH, "async": True, "fallbacks": []})).json["id"]
    give_back = slots(gateway).give_back

    async def slowly(slot: Slot) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        await give_back(slot)

    monkeypatch.setattr(slots(gateway), "give_back", slowly)
    assert (await ask(await gateway.jobs.get("acme", job_id), gateway.world)).is_begun
    assert slots(gateway).held["xai"] == {}


async def test_so_does_what_works_in_the_background() -> None:
    gateway = gateway_of_background()
    capped(gateway, 1)
    await fill(gateway)
    job_id = await gateway.accepted(**CHAT)
    with pytest.raises(ProviderBusy):
        await ask(await gateway.job(job_id), gateway.world)
    job = await gateway.job(job_id)
    assert (job.status, job.is_asked, gateway.remote.sent) == ("running", False, [])
    slots(gateway).held.clear()
    gateway.clock.unix_s = job.alive_until_s
    assert (await ask(job, gateway.world)).is_begun
    assert slots(gateway).held["openai"] == {}
