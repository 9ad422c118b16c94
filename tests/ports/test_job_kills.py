"""A job's worker is killed at every call to DynamoDB and S3; tests/unit/test_job_kills.py has all states and ports."""

from __future__ import annotations

import boto3
import pytest

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.jobs import DynamoJobs
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.payloads import S3Payloads
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from tests.dying import Fate
from tests.job_stage import Stage
from tests.ports.test_jobs import jobs_table

__all__ = ["jobs_table"]
SWEEPS = 4


@pytest.fixture
def ports(
    aws_url: str, aws_keys: None, http_client: HttpClient, dynamodb_api: AwsApi, jobs_table: str, ledger_table: str
) -> dict[str, object]:
    boto3.client("s3", endpoint_url=aws_url, region_name="us-east-1").create_bucket(Bucket="killed-jobs")
    clock, place = SystemClock(), Place.of("killed-jobs", "us-east-1", aws_url)
    bucket = Bucket(place, keys=RoleKeys(http_client, clock), client=http_client, clock=clock)
    return {
        "jobs": DynamoJobs(dynamodb_api, jobs_table),
        "ledger": DynamoLedger(dynamodb_api, ledger_table, timeout_s=5.0),
        "payloads": S3Payloads(bucket),
    }


@pytest.mark.parametrize(
    ("kind", "state", "after"),
    [
        ("chat", "Ask the provider", None),
        ("chat", "Settle the bill", None),
        ("chat", "Give up", "Ask the provider"),
    ],
)
async def test_wherever_a_worker_is_killed_its_job_ends_once(
    kind: str, state: str, after: str | None, ports: dict[str, object], aws_url: str
) -> None:
    """One job after the other, in the same accounts, each killed one call later."""
    settled = 0
    for at in range(1_000):
        stage = Stage.of(kind, **ports)
        stage.ports = tuple(ports)
        if after is not None:
            stage.fates[after], stage.impatient = Fate("before payloads.get"), frozenset([after])
        fate = stage.fates[state] = Fate(at)
        job_id = await stage.ordered()
        await stage.carried_on(job_id)
        if fate.struck is None:
            break
        await stage.swept_to_the_end(SWEEPS)
        try:
            await stage.check_ended(job_id, "completed", "failed", before=settled)
        except AssertionError as error:
            raise AssertionError(f"killed {fate.struck}, {at}") from error
        settled += sum(stage.costs.values())
    assert at > 8
