"""The batch work function, asked by others to see to what providers still have."""

from __future__ import annotations

import msgspec

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.invoke import LambdaApi
from gateway.model.errors import StorageUnavailable
from gateway.model.job import Job

TIMEOUT_S = 5.0


class LambdaBatchWorkers:
    """`function`: its name, with its alias."""

    def __init__(self, functions: LambdaApi, function: str) -> None:
        self._functions, self._function = functions, function

    async def bring_in(self, job: Job) -> None:
        order = {"step": "bring_in", "tenant_id": job.tenant_id, "job_id": job.id}
        try:
            await self._functions.start(self._function, msgspec.json.encode(order), TIMEOUT_S)
        except AwsFailure as failure:
            raise StorageUnavailable(f"Batches cannot be brought in at the moment ({failure.code}).") from failure
