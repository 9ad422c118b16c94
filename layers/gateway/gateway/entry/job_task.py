"""The job task function: one step of a job's state machine (`statemachines/job.asl.json`), or the sweep over all jobs.

Event:  {"step": "ask" | "wait" | "look" | "settle" | "tell" | "give_up", "tenant_id", "job_id"}, with "task_token" to
        wait; {"step": "sweep"}, or the bus's news of an execution that ended badly: {"detail": {"input": '{"tenant_id",
        "job_id"}'}}
Result: {"status": of the job, "waiting": whether it has not ended, "to_do": "tell" | "tell later" | "nothing",
        "wait_s": until then}; having asked, "callback_s" too: for how long its provider's call is worth waiting for, 0
        where none comes. Of a sweep how many jobs it did what with.

A step that raises is repeated by the state machine: it may be, as often as it takes.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from msgspec.structs import asdict

from gateway.adapters.telemetry import log_defect, name_the_lines
from gateway.entry.door import unforeseen
from gateway.entry.powertools import report
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.handler import EventHandler
from gateway.entry.videos import every_s
from gateway.entry.wiring import aws_world
from gateway.model.errors import JobInterrupted
from gateway.model.job import Job
from gateway.model.telemetry import JobLine, JobsSweptLine
from gateway.pipeline.callbacks import callback_s, forget, wait_for_call
from gateway.pipeline.job_causes import EXECUTION_ENDED
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import JobBusy
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_tell import tell, to_do
from gateway.pipeline.job_work import ask, close, look
from gateway.ports import World

AT_MOST = 1_000
CALLBACK_S = 3_600
"""For how long an execution waits at most to be called back."""
SWEEP_S = 50.0
"""Since one begins every minute, and two would see to the same jobs."""


class JobTask(msgspec.Struct, frozen=True):
    world: World
    every_s: float
    callback_s: int = CALLBACK_S

    async def handle(self, event: dict[str, Any], invocation: Invocation) -> dict[str, Any]:
        """Raises GatewayError, JobBusy, JobPending."""
        name_the_lines({"lambda_request_id": invocation.request_id})
        if event.get("step") == "sweep":
            return await self._sweep(invocation)
        is_news = "detail" in event
        if is_news:
            event = {"step": "give_up", **msgspec.json.decode(event["detail"]["input"])}
        job = await self.world.jobs.get(event["tenant_id"], event["job_id"])
        try:
            job = await self._step(event["step"], job, event.get("task_token", ""))
        except JobBusy:
            if not is_news:
                raise  # else nobody repeats it: its worker ends the job, or the sweep does
        report(JobLine(lambda_request_id=invocation.request_id, job_id=job.id, step=event["step"], status=job.status))
        left, wait_s = to_do(job, self.world.clock.now_s())
        result = {"status": job.status, "waiting": not job.has_ended, "to_do": left, "wait_s": wait_s}
        if event["step"] == "ask":
            result["callback_s"] = await callback_s(job, self.world, self.callback_s)
        return result

    async def _step(self, step: str, job: Job, task_token: str) -> Job:
        match step:
            case "ask":
                return await ask(job, self.world, unforeseen)
            case "wait":
                return await wait_for_call(job, task_token, self.world)
            case "look":
                job = await look(job, self.world, self.every_s, unforeseen)
                await forget(job, self.world)
                return job
            case "settle":
                return await settle(job, self.world)
            case "tell":
                return await tell(job, self.world)
            case "give_up":
                return await settle(await close(job, JobInterrupted(EXECUTION_ENDED), self.world), self.world)
        raise ValueError(f"there is no step {step!r}")

    async def _sweep(self, invocation: Invocation) -> dict[str, Any]:
        until_s = self.world.clock.now_s() + SWEEP_S
        told = asdict(await sweep_jobs(self.world, at_most=AT_MOST, until_s=until_s, told=log_defect))
        report(JobsSweptLine(lambda_request_id=invocation.request_id, **told))
        return told


def job_task_handler() -> EventHandler:
    """What Lambda calls."""
    longest_s = int(os.environ.get("GATEWAY_CALLBACK_SECONDS", CALLBACK_S))
    return EventHandler(JobTask(aws_world(), every_s(), longest_s).handle)
