"""Executions that wait for a provider's call, in the table of jobs: one item for each work at a provider.

Item pk CALL#<provider>#<name>, sk `call`: `task_token` of the execution, `told_at_s` when news came. Both are put in by
updates without a condition; whichever comes second finds the other, for DynamoDB does one after the other.
`ends_at_s`: when DynamoDB may remove it, if nobody did before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.callback_secrets import UNKNOWN, secret_name
from gateway.adapters.aws.kept import Kept
from gateway.adapters.telemetry import log_trouble
from gateway.model.callback import RemoteName
from gateway.model.errors import StorageUnavailable
from gateway.model.job import LONGEST_S
from gateway.ports import Clock

TIMEOUT_S = 3.0
_DEAD = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")
"""Of an execution that waits no more: https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html"""


class DynamoCallbacks:
    """`secrets` is only asked whether there is one, never for what it holds."""

    def __init__(
        self, dynamodb: AwsApi, states: AwsApi, secrets: AwsApi, *, table: str, stack: str, clock: Clock
    ) -> None:
        self._dynamodb, self._states, self._secrets = dynamodb, states, secrets
        self._table, self._stack, self._clock = table, stack, clock
        self._kept = Kept(self._described, _unavailable, clock)

    async def are_set_up(self, provider: str) -> bool:
        try:
            return await self._kept.find(secret_name(self._stack, provider))
        except AwsFailure:
            return False

    async def wait(self, work: RemoteName, token: str, until_s: int) -> None:
        values = {":token": {"S": token}, ":ends": {"N": str(until_s)}}
        before = await self._updated(work, "SET task_token = :token, ends_at_s = :ends", values, "ALL_OLD")
        if "told_at_s" in before:
            await self._succeed(token)

    async def tell(self, work: RemoteName) -> bool:
        now_s = int(self._clock.now_s())
        values = {":now": {"N": str(now_s)}, ":ends": {"N": str(now_s + LONGEST_S)}}
        expression = "SET told_at_s = :now, ends_at_s = if_not_exists(ends_at_s, :ends)"
        return await self._woken(await self._updated(work, expression, values, "ALL_NEW"))

    async def wake(self, work: RemoteName) -> None:
        request = {"TableName": self._table, "Key": _key(work), "ConsistentRead": True}
        with _translated():
            answer = await self._dynamodb.call("GetItem", request, TIMEOUT_S)
        await self._woken(answer.get("Item", {}))

    async def forget(self, work: RemoteName) -> None:
        with _translated():
            await self._dynamodb.call("DeleteItem", {"TableName": self._table, "Key": _key(work)}, TIMEOUT_S)

    async def _updated(
        self, work: RemoteName, expression: str, values: dict[str, Any], returned: str
    ) -> dict[str, Any]:
        request = {
            "TableName": self._table,
            "Key": _key(work),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": values,
            "ReturnValues": returned,
        }
        with _translated():
            answer = await self._dynamodb.call("UpdateItem", request, TIMEOUT_S)
        found: dict[str, Any] = answer.get("Attributes", {})
        return found

    async def _woken(self, item: dict[str, Any]) -> bool:
        if (token := item.get("task_token")) is None:
            return False
        await self._succeed(token["S"])
        return True

    async def _succeed(self, token: str) -> None:
        try:
            await self._states.call("SendTaskSuccess", {"taskToken": token, "output": "{}"}, TIMEOUT_S)
        except AwsFailure as failure:
            if failure.code not in _DEAD:
                raise StorageUnavailable(f"The job cannot go on at the moment ({failure.code}).") from failure

    async def _described(self, name: str) -> bool:
        try:
            found = await self._secrets.call("DescribeSecret", {"SecretId": name}, TIMEOUT_S)
        except AwsFailure as failure:
            if failure.code != UNKNOWN:
                raise
            return False
        return not found.get("DeletedDate")


def _key(work: RemoteName) -> dict[str, Any]:
    return {"pk": {"S": f"CALL#{work.provider}#{work.name}"}, "sk": {"S": "call"}}


def _unavailable(name: str, failure: AwsFailure) -> None:
    log_trouble("callback_secrets.unavailable", name=name, code=failure.code)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AwsFailure as failure:
        raise StorageUnavailable(f"Calls of providers cannot be kept at the moment ({failure.code}).") from failure
