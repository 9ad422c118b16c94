"""The function behind a job's state machine: which step does what, and what it says to Step Functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.entry.job_task import JobTask
from gateway.entry.runtime.client import Invocation
from gateway.model.telemetry import DEFECT
from gateway.pipeline import job_work
from gateway.pipeline.job_record import BELIEVED_S, JobBusy
from tests.unit.test_jobs import COST, Gateway, Killed, gateway

__all__ = ["gateway"]


async def step(gateway: Gateway, step: str, job_id: str) -> Any:
    event = {"step": step, "tenant_id": "acme", "job_id": job_id}
    return await handled(gateway, event)


async def handled(gateway: Gateway, event: dict[str, Any]) -> Any:
    invocation = Invocation("r-1", deadline_s=gateway.clock.now_s() + 900)
    return await JobTask(gateway.world, 5.0).handle(event, invocation)


async def test_a_job_goes_from_step_to_step(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    ended = {"status": "completed", "waiting": False, "to_do": "nothing", "wait_s": 0}
    assert await step(gateway, "ask", job_id) == {**ended, "callback_s": 0}
    assert await step(gateway, "settle", job_id) == ended
    assert (gateway.holds, list(gateway.costs.values())) == (0, [COST])


async def test_nobody_gives_a_job_up_while_a_worker_is_at_it(gateway: Gateway) -> None:
    """Its result would be thrown away, and is paid."""
    job_id = await gateway.accepted()

    async def given_up() -> None:
        with pytest.raises(JobBusy):
            await step(gateway, "give_up", job_id)
        stopped = {"detail": {"input": json.dumps({"tenant_id": "acme", "job_id": job_id})}}
        told = await handled(gateway, stopped)
        assert (told["status"], told["waiting"]) == ("running", True)

    gateway.provider.meanwhile = given_up
    assert (await step(gateway, "ask", job_id))["status"] == "completed"
    assert (await step(gateway, "give_up", job_id))["status"] == "completed"


async def test_a_job_whose_worker_died_is_given_up_when_it_is_believed_no_more(gateway: Gateway) -> None:
    job_id = await gateway.accepted()

    async def dies() -> None:
        raise Killed

    gateway.provider.meanwhile = dies
    with pytest.raises(Killed):
        await step(gateway, "ask", job_id)
    with pytest.raises(JobBusy):
        await step(gateway, "give_up", job_id)
    gateway.clock.unix_s += BELIEVED_S
    assert (await step(gateway, "give_up", job_id))["status"] == "failed"
    assert gateway.holds == 0


async def test_a_defect_after_a_provider_answered_ends_the_job_at_its_cost(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It was paid, and whoever asks again pays again."""

    async def fails(*_: Any) -> Any:
        raise KeyError("a prompt")

    monkeypatch.setattr(job_work, "kept_result", fails)
    job_id = await gateway.accepted()
    assert (await step(gateway, "ask", job_id))["status"] == "failed"
    await step(gateway, "settle", job_id)
    shown = await gateway.shown(job_id)
    assert (shown["error"]["code"], shown["cost_estimate"]) == ("internal_error", COST / 1e9)
    assert (gateway.provider.asked, gateway.holds, list(gateway.costs.values())) == (1, 0, [COST])
    log = capfd.readouterr().out
    assert DEFECT in log and "a prompt" not in log


async def test_a_defect_before_a_provider_was_asked_is_tried_again(gateway: Gateway) -> None:
    find = gateway.world.credentials.find

    async def fails(provider: str) -> Any:
        raise KeyError(provider)

    gateway.world.credentials.find = fails  # type: ignore[method-assign]
    job_id = await gateway.accepted()
    with pytest.raises(KeyError):
        await step(gateway, "ask", job_id)
    gateway.world.credentials.find = find  # type: ignore[method-assign]
    gateway.clock.unix_s += BELIEVED_S
    assert (await step(gateway, "ask", job_id))["status"] == "completed"


async def test_a_step_that_there_is_not(gateway: Gateway) -> None:
    with pytest.raises(ValueError):
        await step(gateway, "dance", await gateway.accepted())
