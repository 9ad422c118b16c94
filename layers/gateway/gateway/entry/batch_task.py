"""The batch task function: one step of a batch's state machine (`statemachines/batch.asl.json`), or the sweep over all.

Event:  {"step": "prepare" | "finish" | "settle" | "give_up", "tenant_id", "job_id"}; {"step": "sweep"}, or the bus's
        news of an execution that ended badly: {"detail": {"input": '{"tenant_id", "job_id"}'}}.
        Of those who ask providers {"step": "work" | "pack"}, with "group" and "part" besides; {"step": "make_up"}, with
        "group"; {"step": "submit" | "look" | "collect"}, with "group" and "shipment"; {"step": "bring_in"}
Result: {"status": of the batch's record, "to_do": "tell" | "tell later" | "nothing", "wait_s": until then}, having
        prepared {"groups": [{"group", "way", "parts": their numbers}]} besides. Of a sweep how many batches it did what
        with. Of "make_up" {"shipments": their numbers}, of "bring_in" {"left": how many of them}; of all others that
        ask providers {"done"}, whether there is nothing left to do of it, and of "work" {"wait_s"}, until another is to
        go on.

A step that raises is repeated by the state machine: it may be, as often as it takes.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import asdict

from gateway.adapters.telemetry import log_defect, name_the_lines
from gateway.entry.door import unforeseen
from gateway.entry.powertools import report
from gateway.entry.runtime.client import Invocation
from gateway.entry.runtime.handler import EventHandler
from gateway.entry.wiring import aws_world
from gateway.model.batch import batch_of
from gateway.model.job import Job
from gateway.model.telemetry import JobLine, JobsSweptLine
from gateway.pipeline.batch_bring_in import bring_in
from gateway.pipeline.batch_collect import collect
from gateway.pipeline.batch_end import finish
from gateway.pipeline.batch_look import look
from gateway.pipeline.batch_pack import pack
from gateway.pipeline.batch_prepare import prepare
from gateway.pipeline.batch_ship import make_up
from gateway.pipeline.batch_submit import submit
from gateway.pipeline.batch_sweep import soon, sweep_batches
from gateway.pipeline.batch_work import carry_out
from gateway.pipeline.job_causes import EXECUTION_ENDED
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import JobBusy
from gateway.pipeline.job_tell import to_do
from gateway.ports import World

AT_MOST = 1_000
ASKING = ("work", "pack", "make_up", "submit", "look", "collect", "bring_in")
SWEEP_S = 50.0
"""Since one begins every minute, and two would see to the same batches."""
ROOM_S, SOON_S = 300, 1
"""After which it is worth asking again a provider that had no room for a worker's lines; and after which another goes
on, at the least that a Wait surely takes: https://states-language.net/#wait-state
"""


class BatchTask(msgspec.Struct, frozen=True):
    world: World

    async def handle(self, event: dict[str, Any], invocation: Invocation) -> dict[str, Any]:
        """Raises GatewayError, JobBusy, JobPending."""
        name_the_lines({"lambda_request_id": invocation.request_id})
        if event.get("step") == "sweep":
            return await self._sweep(invocation)
        is_news = "detail" in event
        if is_news:
            event = {"step": "give_up", **msgspec.json.decode(event["detail"]["input"])}
        job = await self.world.jobs.get(event["tenant_id"], event["job_id"])
        if event["step"] in ASKING:
            return await self._ask(event, job)
        try:
            job = await self._step(event["step"], job)
        except JobBusy:
            if not is_news:
                raise
            await soon(job, self.world)  # for nobody repeats it
        report(JobLine(lambda_request_id=invocation.request_id, job_id=job.id, step=event["step"], status=job.status))
        left, wait_s = to_do(job, self.world.clock.now_s())
        result = {"status": job.status, "to_do": left, "wait_s": wait_s}
        return {**result, "groups": _groups(job)} if event["step"] == "prepare" else result

    async def _step(self, step: str, job: Job) -> Job:
        match step:
            case "prepare":
                return await prepare(job, self.world)
            case "finish":
                return await finish(job, self.world)
            case "settle":
                return await settle(job, self.world)
            case "give_up":
                return await settle(await finish(job, self.world, EXECUTION_ENDED), self.world)
        raise ValueError(f"there is no step {step!r}")

    async def _ask(self, event: dict[str, Any], job: Job) -> dict[str, Any]:
        """What only those do who know the providers' keys."""
        world, group = self.world, event.get("group", 0)
        match event["step"]:
            case "make_up":
                return {"shipments": [] if job.has_ended else await make_up(job, group, world)}
            case "bring_in":
                return {"left": await bring_in(job, world, unforeseen)}
            case _ if job.has_ended:
                return {"done": True, "wait_s": SOON_S}
            case "work":
                found = await carry_out(job, group, event["part"], world, unforeseen)
                return {"done": found.is_done, "wait_s": ROOM_S if found.again else SOON_S}
            case "pack":
                part = await pack(job, group, event["part"], world, unforeseen)
                return {"done": part.is_packed or part.is_done}
            case "submit":
                await submit(job, group, event["shipment"], world, unforeseen)
            case "look":
                await look(job, group, event["shipment"], world)
            case "collect":
                return {"done": await collect(job, group, event["shipment"], world, unforeseen)}
        return {"done": True}

    async def _sweep(self, invocation: Invocation) -> dict[str, Any]:
        until_s = self.world.clock.now_s() + SWEEP_S
        told = asdict(await sweep_batches(self.world, at_most=AT_MOST, until_s=until_s, told=log_defect))
        report(JobsSweptLine(lambda_request_id=invocation.request_id, **told))
        return told


def _groups(job: Job) -> list[dict[str, Any]]:
    """What there is to carry out."""
    if job.status != "running":
        return []
    return [
        {"group": number, "way": group.way, "parts": [*range(group.parts)]}
        for number, group in enumerate(batch_of(job).groups)
    ]


def batch_task_handler() -> EventHandler:
    """What Lambda calls."""
    return EventHandler(BatchTask(aws_world()).handle)
