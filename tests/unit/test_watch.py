"""What is waited for at the same time is waited for once."""

from __future__ import annotations

import asyncio

from gateway.pipeline.exchange import Attempt
from gateway.pipeline.route import Route
from gateway.pipeline.watch import Watch
from gateway.providers.lookup import provider_named
from tests.fakes import ManualClock
from tests.unit.conftest import FACTS, Gateway


async def test_time_in_which_several_are_waited_for_counts_once(gateway: Gateway) -> None:
    clock = gateway.world.clock
    assert isinstance(clock, ManualClock)
    provider = provider_named("openai")
    attempt = Attempt(Route(provider, FACTS, None), clock.monotonic_s(), trace_headers={})
    watch = Watch(attempt, gateway.world, clock.monotonic_s() + 60)
    first, second = asyncio.Event(), asyncio.Event()
    waiting = [asyncio.create_task(watch.wait(event.wait())) for event in (first, second)]
    await asyncio.sleep(0)
    clock.running_s += 1
    first.set()
    await waiting[0]
    clock.running_s += 2
    second.set()
    await waiting[1]
    clock.running_s += 4
    assert attempt.provider_wait_s == 3
    await watch.wait(asyncio.sleep(0))
    assert attempt.provider_wait_s == 3
