"""What carries jobs on, and their requests: in memory, in Step Functions and in S3."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest

from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.executions import JobExecutions
from gateway.adapters.aws.payloads import S3Payloads
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.job_ports import Executions, Payloads
from gateway.model.errors import JobExpired, StorageUnavailable
from tests.fakes import ListExecutions, MemoryPayloads
from tests.ports.conftest import REGION, aws_api
from tests.ports.test_jobs import job

ROLE = "arn:aws:iam::123456789012:role/jobs"
MACHINE = {"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}


@pytest.fixture
def machine(aws_url: str, aws_keys: None) -> Iterator[str]:
    client = boto3.client("stepfunctions", endpoint_url=aws_url, region_name=REGION)
    arn = client.create_state_machine(name="job", definition=json.dumps(MACHINE), roleArn=ROLE)["stateMachineArn"]
    yield arn
    client.delete_state_machine(stateMachineArn=arn)


@pytest.fixture(params=["memory", "step_functions"])
def executions(request: pytest.FixtureRequest, aws_url: str, http_client: HttpClient) -> Executions:
    if request.param == "memory":
        return ListExecutions()
    machine = request.getfixturevalue("machine")
    return JobExecutions(aws_api(http_client, aws_url, "states", "AWSStepFunctions", "1.0"), machine, machine)


@pytest.fixture(params=["memory", "s3"])
def payloads(request: pytest.FixtureRequest, aws_url: str, aws_keys: None, http_client: HttpClient) -> Payloads:
    if request.param == "memory":
        return MemoryPayloads()
    boto3.client("s3", endpoint_url=aws_url, region_name="us-east-1").create_bucket(Bucket="payloads")
    clock = SystemClock()
    place = Place.of("payloads", "us-east-1", aws_url)
    return S3Payloads(Bucket(place, keys=RoleKeys(http_client, clock), client=http_client, clock=clock))


async def test_an_execution_is_called_as_its_job_and_knows_whose_it_is(executions: Executions) -> None:
    one = job()
    assert not await executions.is_running(one)
    assert await executions.tenant_of(one.id) is None
    assert await executions.start(one)
    assert await executions.is_running(one)
    assert await executions.tenant_of(one.id) == "acme"
    place = executions.place(one.id)
    assert place.arn.split(":")[5] == "execution"
    assert place.arn.endswith(f":{one.id}")
    assert place.console_url.startswith("https://")


async def test_a_job_is_never_carried_on_twice(executions: Executions, aws_url: str, aws_keys: None) -> None:
    assert [await executions.start(job()) for _ in range(2)] == [True, True]
    if isinstance(executions, ListExecutions):
        executions.started[job().id] = False
    else:
        client = boto3.client("stepfunctions", endpoint_url=aws_url, region_name=REGION)
        client.stop_execution(executionArn=executions.place(job().id).arn)
    assert not await executions.start(job())
    assert not await executions.is_running(job())


async def test_a_request_is_kept_until_it_is_dropped(payloads: Payloads) -> None:
    await payloads.put(job(), b"{}")
    assert await payloads.get(job()) == b"{}"
    for _ in range(2):
        await payloads.drop(job())
    with pytest.raises((StorageUnavailable, KeyError)):
        await payloads.get(job())


async def test_step_functions_that_do_not_answer(aws_keys: None, http_client: HttpClient) -> None:
    api = aws_api(http_client, "http://127.0.0.1:1", "states", "AWSStepFunctions", "1.0")
    nowhere = JobExecutions(api, "arn:aws:states:eu-west-1:123456789012:stateMachine:job", "")
    with pytest.raises(StorageUnavailable):
        await nowhere.start(job())
    with pytest.raises(StorageUnavailable):
        await nowhere.is_running(job())


async def test_a_reply_is_kept_apart_from_the_request_until_it_is_dropped(payloads: Payloads) -> None:
    made = job()
    await payloads.put(made, b"asked")
    key = await payloads.keep_reply(made, b"answered")
    await payloads.drop(made)
    assert await payloads.reply(key) == b"answered"
    for _ in range(2):
        await payloads.drop_reply(key)
    with pytest.raises(JobExpired):
        await payloads.reply(key)
