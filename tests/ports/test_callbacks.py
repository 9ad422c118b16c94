"""Who waits for a provider's call and what providers tell, in memory and in DynamoDB: neither misses the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.callback_secrets import SecretsManagerCallbackSecrets
from gateway.adapters.aws.callbacks import DynamoCallbacks
from gateway.adapters.clock import SystemClock
from gateway.job_ports import Callbacks
from gateway.model.callback import RemoteName
from gateway.model.errors import StorageUnavailable
from gateway.model.job import LONGEST_S
from tests.fakes import MemoryCallbacks
from tests.ports.conftest import REGION
from tests.ports.test_jobs import jobs_table

__all__ = ["jobs_table"]

WORK, OTHER = RemoteName("google", "op1"), RemoteName("openai", "op1")
TASK = "task-1"
UNTIL_S = 1_790_003_600
KEY = "whsec_" + "a2V5" * 8


@dataclass
class StepFunctions:
    """Which tokens were redeemed; `failure`: what it answers."""

    woken: list[str] = field(default_factory=list)
    failure: str | None = None

    async def call(self, operation: str, payload: dict[str, Any], _timeout_s: float) -> dict[str, Any]:
        assert (operation, payload["output"]) == ("SendTaskSuccess", "{}")
        self.woken.append(payload["taskToken"])
        if self.failure is not None:
            raise AwsFailure(self.failure, is_fault=False)
        return {}


@dataclass
class Both:
    callbacks: Callbacks
    woken: list[str]


def stored(dynamodb: AwsApi, states: StepFunctions, secrets: AwsApi) -> DynamoCallbacks:
    api: Any = states
    return DynamoCallbacks(dynamodb, api, secrets, table="jobs", stack="stack", clock=SystemClock())


@pytest.fixture(params=["memory", "dynamodb"])
def both(request: pytest.FixtureRequest, dynamodb_api: AwsApi, secrets_api: AwsApi) -> Both:
    if request.param == "memory":
        memory = MemoryCallbacks()
        return Both(memory, memory.woken)
    request.getfixturevalue("jobs_table")
    states = StepFunctions()
    return Both(stored(dynamodb_api, states, secrets_api), states.woken)


async def test_who_waits_is_woken_by_news_of_his_work_alone(both: Both) -> None:
    await both.callbacks.wait(WORK, TASK, UNTIL_S)
    assert not await both.callbacks.tell(OTHER)
    assert both.woken == []
    assert await both.callbacks.tell(WORK)
    assert both.woken == [TASK]


async def test_news_that_comes_first_is_kept(both: Both) -> None:
    for _ in range(2):
        assert not await both.callbacks.tell(WORK)
    await both.callbacks.wait(WORK, TASK, UNTIL_S)
    assert both.woken == [TASK]


async def test_news_and_who_waits_never_miss_each_other(both: Both) -> None:
    for number in range(20):
        work, before = RemoteName("google", f"op{number}"), len(both.woken)
        await asyncio.gather(both.callbacks.tell(work), both.callbacks.wait(work, f"task-{number}", UNTIL_S))
        assert set(both.woken[before:]) == {f"task-{number}"}


async def test_who_waits_can_be_woken_without_news(both: Both) -> None:
    await both.callbacks.wake(WORK)
    await both.callbacks.wait(WORK, TASK, UNTIL_S)
    assert both.woken == []
    await both.callbacks.wake(WORK)
    assert both.woken == [TASK]


async def test_what_is_forgotten_wakes_nobody(both: Both) -> None:
    await both.callbacks.tell(WORK)
    await both.callbacks.forget(WORK)
    await both.callbacks.wait(WORK, TASK, UNTIL_S)
    assert both.woken == []
    for _ in range(2):
        await both.callbacks.forget(WORK)
    assert not await both.callbacks.tell(WORK)


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
async def test_an_execution_that_waits_no_more_is_no_error(
    jobs_table: str, dynamodb_api: AwsApi, secrets_api: AwsApi, code: str
) -> None:
    callbacks = stored(dynamodb_api, StepFunctions(failure=code), secrets_api)
    await callbacks.wait(WORK, TASK, UNTIL_S)
    assert await callbacks.tell(WORK)
    await callbacks.wake(WORK)


async def test_step_functions_that_are_throttled_are_tried_again_by_who_tells(
    jobs_table: str, dynamodb_api: AwsApi, secrets_api: AwsApi
) -> None:
    states = StepFunctions(failure="ThrottlingException")
    callbacks = stored(dynamodb_api, states, secrets_api)
    await callbacks.wait(WORK, TASK, UNTIL_S)
    with pytest.raises(StorageUnavailable):
        await callbacks.tell(WORK)
    states.failure = None
    assert await callbacks.tell(WORK)


async def test_items_end_by_themselves(
    jobs_table: str, aws_url: str, dynamodb_api: AwsApi, secrets_api: AwsApi
) -> None:
    callbacks = stored(dynamodb_api, StepFunctions(), secrets_api)
    await callbacks.tell(OTHER)
    await callbacks.wait(WORK, TASK, UNTIL_S)
    await callbacks.tell(WORK)
    table = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION).Table(jobs_table)
    items = {item["pk"]: item for item in table.scan()["Items"]}
    early, waited = items["CALL#openai#op1"], items["CALL#google#op1"]
    assert early["ends_at_s"] == early["told_at_s"] + LONGEST_S
    assert waited["ends_at_s"] == UNTIL_S
    assert "due_shard" not in early | waited  # no sweep looks at them
    assert set(early) | set(waited) == {"pk", "sk", "task_token", "told_at_s", "ends_at_s"}


async def test_a_table_that_does_not_answer(dynamodb_api: AwsApi, secrets_api: AwsApi) -> None:
    callbacks = stored(dynamodb_api, StepFunctions(), secrets_api)  # there is no such table
    for attempt in (
        callbacks.wait(WORK, TASK, UNTIL_S),
        callbacks.tell(WORK),
        callbacks.wake(WORK),
        callbacks.forget(WORK),
    ):
        with pytest.raises(StorageUnavailable):
            await attempt


async def test_whether_a_provider_calls_back_is_whether_there_is_a_secret(
    aws_url: str, aws_keys: None, dynamodb_api: AwsApi, secrets_api: AwsApi
) -> None:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    client.create_secret(Name="stack/callbacks/google", SecretString=KEY)
    client.create_secret(Name="stack/callbacks/openai", SecretString=KEY)
    client.delete_secret(SecretId="stack/callbacks/openai", RecoveryWindowInDays=7)
    callbacks = stored(dynamodb_api, StepFunctions(), secrets_api)
    secrets = SecretsManagerCallbackSecrets(secrets_api, "stack", SystemClock())
    try:
        set_up = [await callbacks.are_set_up(name) for name in ("google", "openai", "runway")]
        assert set_up == [True, False, False]
        assert [secret.reveal() for secret in await secrets.find("google")] == [KEY]
        assert await secrets.find("runway") == []
    finally:
        for name in ("google", "openai"):
            client.delete_secret(SecretId=f"stack/callbacks/{name}", ForceDeleteWithoutRecovery=True)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (f"{KEY} whsec_bmV3bmV3", [KEY, "whsec_bmV3bmV3"]),
        ("bmV3bmV3\n", ["whsec_bmV3bmV3"]),  # as Google's library takes it too
    ],
)
async def test_several_keys_and_such_without_a_prefix(
    aws_url: str, secrets_api: AwsApi, text: str, keys: list[str]
) -> None:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    client.create_secret(Name="stack/callbacks/google", SecretString=text)
    try:
        found = await SecretsManagerCallbackSecrets(secrets_api, "stack", SystemClock()).find("google")
        assert [secret.reveal() for secret in found] == keys
    finally:
        client.delete_secret(SecretId="stack/callbacks/google", ForceDeleteWithoutRecovery=True)


async def test_keys_that_nobody_can_read(
    aws_url: str, secrets_api: AwsApi, dynamodb_api: AwsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    client.create_secret(Name="stack/callbacks/google", SecretString="%%%")
    secrets = SecretsManagerCallbackSecrets(secrets_api, "stack", SystemClock())
    try:
        with pytest.raises(StorageUnavailable):
            await secrets.find("google")
    finally:
        client.delete_secret(SecretId="stack/callbacks/google", ForceDeleteWithoutRecovery=True)

    async def fails(*_: Any) -> Any:
        raise AwsFailure("Unreachable", is_fault=True)

    monkeypatch.setattr(secrets_api, "call", fails)
    assert not await stored(dynamodb_api, StepFunctions(), secrets_api).are_set_up("google")
