"""A batch's worker dies before and after every call of its own, with its records in DynamoDB and its results in S3.

tests/unit/test_batch_kills.py has every state.
"""

from __future__ import annotations

import boto3
import pytest
from msgspec.structs import replace

from gateway.adapters.aws.api import AwsApi
from gateway.adapters.aws.batch_parts import DynamoBatchParts
from gateway.adapters.aws.batch_store import S3BatchStore
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.files import S3Files
from gateway.adapters.aws.jobs import DynamoJobs
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.payloads import S3Payloads
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from tests.batch_stage import Stage
from tests.dying import Fate
from tests.ports.conftest import REGION
from tests.ports.test_jobs import jobs_table
from tests.unit.test_batch_kills import MERGE, READ, WORK, check_ended, requests, staged

__all__ = ["jobs_table"]


def kept(dynamodb: AwsApi, place: Place, jobs: str, ledger: str, client: HttpClient) -> Stage:
    """A stage whose records, results and books are those of AWS."""
    stage, clock = staged(), SystemClock()
    bucket = Bucket(place, keys=RoleKeys(client, clock), client=client, clock=clock)
    stage.world = replace(
        stage.world,
        jobs=DynamoJobs(dynamodb, jobs),
        batch_parts=DynamoBatchParts(dynamodb, jobs),
        batch_store=S3BatchStore(bucket),
        payloads=S3Payloads(bucket),
        files=S3Files(bucket, stage.clock),
        ledger=DynamoLedger(dynamodb, ledger, timeout_s=5.0),
    )
    return stage


@pytest.mark.parametrize("state", [READ, WORK, MERGE])
async def test_wherever_a_worker_is_killed_each_line_is_asked_and_paid_once(
    state: str, dynamodb_api: AwsApi, aws_url: str, jobs_table: str, ledger_table: str, http_client: HttpClient
) -> None:
    """One batch after the other, in the same accounts, each killed one call later."""
    boto3.client("s3", endpoint_url=aws_url, region_name="us-east-1").create_bucket(Bucket="killed-batches")
    place, settled = Place.of("killed-batches", REGION, aws_url), 0
    for at in range(1_000):
        stage, fate = kept(dynamodb_api, place, jobs_table, ledger_table, http_client), Fate(at)
        stage.fates[state] = fate
        batch_id = await stage.ordered(requests())
        await stage.carried_on(batch_id)
        if fate.struck is None:
            break
        await stage.swept_to_the_end(2)
        try:
            await check_ended(stage, batch_id, settled)
        except AssertionError as error:
            raise AssertionError(f"killed {fate.struck}, {at}: {error}") from error
        settled += sum(stage.costs.values())
    assert at > 10, fate.passed
