"""Workers of jobs that are killed with SIGKILL, in the middle of every Task of their machine.

All at once, for a death is believed after 45 seconds only. What happens at each single call of each Task is in
tests/unit/test_job_kills.py and tests/ports/test_job_kills.py.
"""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, aws, eventually, processes_of
from tests.e2e.hooked import Receiver, tenant_with
from tests.e2e.tenants import table
from tests.e2e.test_jobs import MACHINE, ended, ordered
from tests.machine import TASKS

ASK, WAIT, SETTLE, GIVE_UP = "Ask the provider", "Wait for the provider", "Settle the bill", "Give up"
ASKING, CARRYING = "job-ask", "job-task"
HOOK_MS = 10_000
CHAT, VIDEO = "/v1/chat/completions", "/v1/videos"
pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Scene:
    """A job in the middle of a Task, and how it may end. `is_lost`: whether nobody knows what it has cost, so that it
    costs all that was held.
    """

    state: str
    ends: tuple[str, ...]
    is_lost: bool = False


SCENES = {
    "end recorded": Scene(SETTLE, ("completed",)),
    "execution stopped": Scene(GIVE_UP, ("failed", "completed")),
    "provider asked": Scene(ASK, ("failed",), is_lost=True),
    "video looked at": Scene(WAIT, ("completed",)),
    "not asked yet": Scene(ASK, ("completed",)),
    "answered and not recorded": Scene(ASK, ("failed",), is_lost=True),
}
"""The emulator tries a Task again although its execution was stopped: what is given up may be completed there."""
ELSEWHERE = {"Tell the caller", "Wait to be called back"}
"""Of these the first is killed in tests/e2e/test_job_webhooks.py; the second, which only takes a note, with all others
in tests/ports/test_job_kills.py."""


@dataclass
class Stage:
    """Jobs that are held in the middle of a Task, each of a tenant of its own."""

    local: Gateway
    clients: ExitStack
    jobs: dict[str, tuple[Customer, str]] = field(default_factory=dict)
    receivers: list[Receiver] = field(default_factory=list)

    def order(self, scene: str, *hooks: dict[str, Any], endpoint: str = CHAT, switch: str = "") -> None:
        """Its provider's log has it under the tenant's name."""
        tenant = tenant_with(self.local, *hooks)
        headers = {"authorization": f"Bearer {tenant.key}"}
        http = self.clients.enter_context(httpx.Client(base_url=self.local.http, headers=headers, timeout=90))
        said = f"[[id={tenant.id} {switch}]] Hello"
        body = {"prompt": said} if endpoint == VIDEO else {"messages": [{"role": "user", "content": said}]}
        job_id = ordered(http, endpoint, **body)["id"]
        self.jobs[scene] = (Customer(self.local, tenant.id, tenant.key, http), job_id)

    def kill(self, function: str) -> None:
        for pid in processes_of(self.local, function):
            os.kill(pid, signal.SIGKILL)

    def gate(self) -> str:
        """Is opened at the end, if not before."""
        name = f"kill-{uuid.uuid4().hex}"
        self.clients.callback(self.open, name)
        return name

    def open(self, gate: str) -> None:
        httpx.post(f"{self.local.simulators}/_sim/gates/{gate}").raise_for_status()

    def waits_at(self, gate: str) -> None:
        url = f"{self.local.simulators}/_sim/gates/{gate}"
        eventually(lambda: True if httpx.get(url).json()["waiting"] else None, 60)

    def record(self, scene: str) -> dict[str, Any]:
        customer, job_id = self.jobs[scene]
        key = {"pk": f"T#{customer.tenant_id}", "sk": job_id}
        found = table(self.local.aws_endpoint_url, "-jobs").get_item(Key=key, ConsistentRead=True)["Item"]["document"]
        return dict(json.loads(found))

    def end_look(self, scene: str) -> None:
        """As if the time were over for which whoever looks at a video is believed to be at it."""
        customer, job_id = self.jobs[scene]
        document = self.record(scene)
        document["remote"]["look_at_s"] = 0
        table(self.local.aws_endpoint_url, "-jobs").update_item(
            Key={"pk": f"T#{customer.tenant_id}", "sk": job_id},
            UpdateExpression="SET document = :document",
            ExpressionAttributeValues={":document": json.dumps(document)},
        )

    def ask_hook(self, scene: str, stage: str) -> Receiver:
        """It is being asked when this returns, and takes its time."""
        receiver = Receiver(self.local, delay_s=HOOK_MS / 1_000)
        self.order(scene, receiver.hook(stages=[stage], timeout_ms=HOOK_MS))
        eventually(lambda: receiver.received or None)
        return receiver


@pytest.fixture(scope="module")
def killed(gateway: Gateway) -> Iterator[dict[str, tuple[Customer, str]]]:
    if not gateway.simulators:
        pytest.skip("kills functions, which only the local stack lets one do")
    with ExitStack() as clients:
        stage = Stage(gateway, clients)
        _throttled(stage)
        _at_work(stage)
        for function in (ASKING, CARRYING):
            stage.kill(function)
        for receiver in stage.receivers:
            receiver.answer_at_once()
        stage.end_look("video looked at")
        yield stage.jobs


def _throttled(stage: Stage) -> None:
    """One whose end is recorded and not settled, and one whose execution is stopped before it has begun."""
    functions, gate = aws(stage.local, "lambda"), stage.gate()
    names = [f"llm-gateway-{function}" for function in (ASKING, CARRYING)]
    stage.order("end recorded", switch=f"gate={gate}")
    stage.waits_at(gate)
    for name in names:
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        stage.order("execution stopped")
        arn = f"{MACHINE.replace(':stateMachine:', ':execution:')}:{stage.jobs['execution stopped'][1]}"
        eventually(lambda: _tried(stage.local, arn))
        aws(stage.local, "stepfunctions").stop_execution(executionArn=arn)
        stage.open(gate)
        eventually(lambda: stage.record("end recorded").get("owed"))
        stage.kill(ASKING)
    finally:
        for name in names:
            functions.delete_function_concurrency(FunctionName=name)


def _tried(local: Gateway, arn: str) -> bool | None:
    events = aws(local, "stepfunctions").get_execution_history(executionArn=arn)["events"]
    return True if any(event["type"] == "TaskFailed" for event in events) else None


def _at_work(stage: Stage) -> None:
    asking, looking = stage.gate(), stage.gate()
    fault = {"provider": "xai", "model": "files", "fault": f"gate={looking}"}
    httpx.post(f"{stage.local.simulators}/_sim/faults", json=fault).raise_for_status()
    stage.order("video looked at", endpoint=VIDEO)
    stage.waits_at(looking)
    stage.order("provider asked", switch=f"gate={asking}")
    stage.waits_at(asking)
    hooks = {"not asked yet": "pre_call", "answered and not recorded": "post_response"}
    stage.receivers += [stage.ask_hook(scene, hook) for scene, hook in hooks.items()]


def test_a_worker_is_killed_in_every_task() -> None:
    assert {scene.state for scene in SCENES.values()} | ELSEWHERE == set(TASKS)


@pytest.mark.parametrize("name", SCENES)
def test_a_job_whose_worker_is_killed_ends_once(killed: dict[str, tuple[Customer, str]], name: str) -> None:
    scene, (customer, job_id) = SCENES[name], killed[name]
    job = _ended(customer, job_id)
    assert job["status"] in scene.ends, job
    is_completed, total = job["status"] == "completed", customer.used(1)
    assert (job["error"] or {}).get("code") == (None if is_completed else "job_interrupted")
    assert total["cost_nano_usd"] / 1e9 == (job["cost_estimate"] or 0)
    assert (total["lost"], bool(total["cost_nano_usd"])) == (scene.is_lost, is_completed or scene.is_lost)
    assert set(customer.settled_nano_usd().values()) == {total["cost_nano_usd"]}
    ends = [line["event"] for line in customer.audit() if line["event"] in ("request.completed", "request.failed")]
    assert ends == ["request.completed" if is_completed else "request.failed"]
    logged = httpx.get(f"{customer.local.simulators}/_sim/requests?limit=200").json()["requests"]
    assert sum(entry["id"] == customer.tenant_id for entry in logged) == (is_completed or scene.is_lost)


def _ended(customer: Customer, job_id: str) -> Any:
    """By its execution or, where that was stopped, by the sweep, which sees to it by and by."""
    arn = f"{MACHINE.replace(':stateMachine:', ':execution:')}:{job_id}"
    if aws(customer.local, "stepfunctions").describe_execution(executionArn=arn)["status"] == "ABORTED":
        due = {":now": int(time.time())}
        key = {"pk": f"T#{customer.tenant_id}", "sk": job_id}
        jobs, changed = table(customer.local.aws_endpoint_url, "-jobs"), "SET due_at_s = :now"
        jobs.update_item(Key=key, UpdateExpression=changed, ExpressionAttributeValues=due)
        aws(customer.local, "lambda").invoke(FunctionName=f"llm-gateway-{CARRYING}:live", Payload=b'{"step": "sweep"}')
    return ended(customer, job_id, 240)
