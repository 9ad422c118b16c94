"""More orders at once than Step Functions starts: all are accepted, and the sweeps start them, the oldest first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.executions import JobExecutions
from gateway.model.limits import Allowance, Limits
from gateway.pipeline.job_sweep import MISSES, STARTS, SweptJobs, sweep_jobs
from tests.fakes import key_hash, principal
from tests.unit.conftest import KEY, TENANT
from tests.unit.test_jobs import Gateway, gateway_of_jobs

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:llm-gateway-job"
BURST = 400


@dataclass
class StepFunctions:
    """`left`: how many executions it starts before it turns the next away. `asked`: for how many it was asked.
    `started`: names in their order. `lost`: whose answer does not arrive.
    """

    left: int
    code: str = "ThrottlingException"
    asked: int = 0
    started: list[str] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)

    async def call(self, operation: str, request: dict[str, Any], _timeout_s: float) -> dict[str, Any]:
        if operation == "DescribeExecution":
            if request["executionArn"].rpartition(":")[2] not in self.started:
                raise AwsFailure("ExecutionDoesNotExist", is_fault=False)
            return {"status": "RUNNING"}
        self.asked += 1
        if request["name"] in self.started:
            return {}  # of the same name and input the running one is meant
        if not self.left:
            raise AwsFailure(self.code, is_fault=True)
        self.left -= 1
        self.started.append(request["name"])
        if self.asked in self.lost:
            raise AwsFailure("Unreachable", is_fault=True)
        return {}


def with_machine(states: StepFunctions) -> Gateway:
    gateway = gateway_of_jobs()
    allowance = Allowance(limits=(Limits(concurrent_jobs=10_000),))
    gateway.access.held[key_hash(KEY)] = principal(
        msgspec.structs.replace(TENANT, approvals=("*",), allowance=allowance)
    )
    executions = JobExecutions(states, MACHINE, MACHINE)  # type: ignore[arg-type]
    gateway.world = replace(gateway.world, executions=executions)
    return gateway


async def burst(gateway: Gateway, orders: int) -> list[str]:
    """Ids in the order of their orders, of which two come in a second."""
    ids = []
    for number in range(orders):
        ids.append(await gateway.accepted())
        gateway.clock.unix_s += number % 2
    return ids


async def swept(gateway: Gateway, at_most: int = 1_000, starts: int = STARTS) -> SweptJobs:
    gateway.clock.unix_s += 60
    until_s = gateway.clock.now_s() + 60
    return await sweep_jobs(gateway.world, at_most=at_most, starts=starts, until_s=until_s)


@pytest.mark.parametrize("code", ["ThrottlingException", "ExecutionLimitExceeded"])
async def test_what_is_turned_away_waits_and_is_started_in_order_and_once(code: str) -> None:
    states = StepFunctions(left=100, code=code)
    gateway = with_machine(states)
    ids = await burst(gateway, BURST)
    assert states.started == ids[:100]
    shown = [(await gateway.shown(job_id))["status"] for job_id in ids]
    assert shown == ["pending"] * BURST
    sweeps = 0
    while len(states.started) < BURST and sweeps < 10:
        states.left, sweeps = 120, sweeps + 1
        await swept(gateway)
    assert sweeps == 3
    assert sorted(states.started) == sorted(ids)  # none is lost, and none was started twice
    seconds = [ids.index(job_id) // 2 for job_id in states.started]
    assert all(later >= earlier - 1 for earlier, later in pairwise(seconds))
    for job_id in ids:
        assert (await gateway.worked(job_id))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (BURST, 0)


async def test_orders_at_the_same_moment_are_all_accepted() -> None:
    states = StepFunctions(left=0)
    gateway = with_machine(states)
    ids = await asyncio.gather(*(gateway.accepted() for _ in range(BURST)))
    assert len(set(ids)) == BURST
    states.left = BURST
    assert [(await swept(gateway)).started for _ in range(3)] == [STARTS, BURST - STARTS, 0]
    assert sorted(states.started) == sorted(ids)


async def test_a_start_whose_answer_was_lost_is_not_made_again() -> None:
    states = StepFunctions(left=BURST, lost=set(range(0, BURST, 7)))
    gateway = with_machine(states)
    ids = await burst(gateway, 50)
    found = await swept(gateway)
    assert (found.running, found.started, found.ended) == (50, 0, 0)
    assert states.started == ids


async def test_a_sweep_that_is_turned_away_stops_asking_and_sees_to_the_others() -> None:
    states = StepFunctions(left=0)
    gateway = with_machine(states)
    *_, last = await burst(gateway, 50)
    job = await gateway.job(last)
    await gateway.world.jobs.change(job.ended("completed", gateway.clock.now_s(), 60), int(gateway.clock.now_s()))
    before = states.asked
    found = await swept(gateway, at_most=MISSES + 1)
    assert (states.asked - before, found.failed, found.settled) == (MISSES, MISSES, 1)
