"""A late reply whose hook does not answer for a moment is given when it does: nobody waits, and it is paid."""

from __future__ import annotations

import pytest

from gateway.model.hook import HookFailed, LambdaHook
from gateway.pipeline.background import EVERY_S
from gateway.pipeline.background_look import HOOKS_S
from gateway.pipeline.job_work import JobPending
from tests.fakes import ScriptedHooks
from tests.unit.test_background import COST, DONE, Gateway, gateway

__all__ = ["gateway"]


async def late(gateway: Gateway) -> tuple[str, ScriptedHooks]:
    gateway.allow(hooks=(LambdaHook(id="h", stages=("post_response",), function="gateway-hook-x"),))
    job_id = await gateway.handed_over()
    gateway.remote.looks = [DONE]
    hooks = gateway.world.hooks
    assert isinstance(hooks, ScriptedHooks)
    hooks.answers["h"] = HookFailed("timeout")
    for _ in range(2):
        with pytest.raises(JobPending):
            await gateway.looked(job_id)
    assert gateway.troubles.count("job.not_looked_at") == 2
    return job_id, hooks


async def test_it_is_given_when_the_hook_answers_again(gateway: Gateway) -> None:
    job_id, hooks = await late(gateway)
    hooks.answers["h"] = {"action": "allow"}
    shown = await gateway.finished(job_id)
    assert (shown["status"], shown["result"]["body"]["choices"][0]["message"]["content"]) == ("completed", "Hello.")
    assert gateway.is_settled(COST)


async def test_it_is_not_given_when_the_hook_stays_away(gateway: Gateway) -> None:
    """Before its provider forgets it, and what it has cost."""
    job_id, _ = await late(gateway)
    gateway.clock.unix_s += HOOKS_S - 3 * EVERY_S
    with pytest.raises(JobPending):
        await gateway.looked(job_id)
    shown = await gateway.finished(job_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "hook_unavailable")
    assert gateway.is_settled(COST)
