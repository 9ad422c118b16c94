"""Executions of the state machines that carry jobs and batches on; each is called as its job, so none has two."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.job_ports import ExecutionPlace
from gateway.model.batch import KIND
from gateway.model.errors import StorageUnavailable
from gateway.model.job import Job

TIMEOUT_S = 3.0
_EXISTS, _UNKNOWN = "ExecutionAlreadyExists", "ExecutionDoesNotExist"


class JobExecutions:
    """`machine`, `batch_machine`: the state machines' ARNs. An execution's input names its job and holds nothing else,
    for everybody who may look into the console sees it.
    """

    def __init__(self, states: AwsApi, machine: str, batch_machine: str) -> None:
        self._states, self._machine, self._batch_machine = states, machine, batch_machine

    async def start(self, job: Job) -> bool:
        """Of the same name and input Step Functions starts a running one once:
        https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
        """
        told = {"tenant_id": job.tenant_id, "job_id": job.id}
        request = {
            "stateMachineArn": self._machine_of(job.id),
            "name": job.id,
            "input": msgspec.json.encode(told).decode(),
        }
        try:
            await self._states.call("StartExecution", request, TIMEOUT_S)
        except AwsFailure as failure:
            if failure.code == _EXISTS:
                return False
            raise StorageUnavailable(f"The job cannot be started at the moment ({failure.code}).") from failure
        return True

    async def is_running(self, job: Job) -> bool:
        found = await self._described(job.id)
        return found is not None and found["status"] == "RUNNING"

    async def tenant_of(self, job_id: str) -> str | None:
        found = await self._described(job_id)
        return None if found is None else str(msgspec.json.decode(found["input"])["tenant_id"])

    async def _described(self, job_id: str) -> dict[str, Any] | None:
        try:
            return await self._states.call("DescribeExecution", {"executionArn": self.place(job_id).arn}, TIMEOUT_S)
        except AwsFailure as failure:
            if failure.code == _UNKNOWN:
                return None
            raise StorageUnavailable(f"The job cannot be looked at at the moment ({failure.code}).") from failure

    def place(self, job_id: str) -> ExecutionPlace:
        machine = self._machine_of(job_id)
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{job_id}"
        region = machine.split(":")[3]
        console = f"https://{region}.console.aws.amazon.com/states/home?region={region}"
        return ExecutionPlace(arn, f"{console}#/v2/executions/details/{arn}")

    def _machine_of(self, job_id: str) -> str:
        return self._batch_machine if job_id.startswith(f"{KIND}_") else self._machine
