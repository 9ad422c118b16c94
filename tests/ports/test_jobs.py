"""Records of jobs, in memory and in DynamoDB: each change on the last one, and none after the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest

from gateway.adapters.aws.api import AwsApi, AwsFailure
from gateway.adapters.aws.jobs import DynamoJobs
from gateway.job_ports import Jobs
from gateway.model.errors import JobNotFound, StorageUnavailable
from gateway.model.job import (
    HIDDEN,
    TOMBSTONE_S,
    UNTOLD_S,
    Job,
    JobResult,
    RemoteWork,
    is_job_id,
    new_job_id,
    oldest_id,
)
from tests.fakes import MemoryJobs
from tests.ports.conftest import REGION

NOW_S = 1_790_000_000


def job(number: int = 0, tenant_id: str = "acme", **changes: Any) -> Job:
    job_id = new_job_id(NOW_S + number, number.to_bytes(10))
    made = Job(
        id=job_id,
        tenant_id=tenant_id,
        user_id="alice",
        key_id="key_1",
        request_id=f"req_{number}",
        endpoint="/v1/chat/completions",
        operation="chat",
        model="openai/gpt-4o",
        status="pending",
        created_at_s=NOW_S + number,
        expires_at_s=NOW_S + 86_400,
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def jobs_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    resource = boto3.resource("dynamodb", endpoint_url=aws_url, region_name=REGION)
    kinds = {"pk": "S", "sk": "S", "due_shard": "S", "due_at_s": "N", "status_key": "S"}
    table = resource.create_table(
        TableName="jobs",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [
                    {"AttributeName": "due_shard", "KeyType": "HASH"},
                    {"AttributeName": "due_at_s", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["status"]},
            },
            {
                "IndexName": "by_status",
                "KeySchema": [
                    {"AttributeName": "status_key", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
    )
    yield table.name
    table.delete()


@pytest.fixture(params=["memory", "dynamodb"])
def jobs(request: pytest.FixtureRequest) -> Jobs:
    if request.param == "memory":
        return MemoryJobs()
    return DynamoJobs(request.getfixturevalue("dynamodb_api"), request.getfixturevalue("jobs_table"))


async def due(jobs: Jobs, now_s: float) -> set[str]:
    return {job.id async for job in jobs.due(now_s)}


async def test_a_job_is_found_as_it_was_made_by_its_tenant_alone(jobs: Jobs) -> None:
    made = job(remote=RemoteWork(provider="google", model="veo", id="op/1", state={"a": [1]}), facts={"x": "y"})
    await jobs.create(made, NOW_S)
    assert await jobs.get("acme", made.id) == made
    for tenant_id, job_id in (("other", made.id), ("acme", job(1).id)):
        with pytest.raises(JobNotFound):
            await jobs.get(tenant_id, job_id)


async def test_each_change_is_on_the_last_one(jobs: Jobs) -> None:
    made = job()
    await jobs.create(made, NOW_S)
    assert await jobs.change(made.begun(NOW_S), NOW_S + 60)
    running = await jobs.get("acme", made.id)
    assert (running.status, running.revision, running.started_at_s) == ("running", 1, NOW_S)
    assert not await jobs.change(made.ended("failed", NOW_S, 60))
    assert await jobs.get("acme", made.id) == running
    assert not await jobs.change(job(7).begun(NOW_S))


async def test_what_was_cancelled_never_becomes_completed(jobs: Jobs) -> None:
    made = job()
    await jobs.create(made, NOW_S)
    running = made.begun(NOW_S)
    await jobs.change(running, NOW_S)
    cancelled = running.ended("cancelled", NOW_S + 1, 60)
    completed = running.ended("completed", NOW_S + 2, 60, result=JobResult(body={"a": 1}))
    assert await jobs.change(cancelled)
    assert not await jobs.change(completed)
    assert await jobs.get("acme", made.id) == cancelled


async def test_nothing_leaves_an_end(jobs: Jobs) -> None:
    made = job()
    await jobs.create(made, NOW_S)
    cancelled = made.ended("cancelled", NOW_S, 60)
    await jobs.change(cancelled)
    for revived in (cancelled.changed(status="running"), cancelled.changed(status="completed")):
        assert not await jobs.change(revived, NOW_S)
    assert await jobs.get("acme", made.id) == cancelled
    assert await jobs.change(cancelled.changed(held=None), NOW_S)


async def test_of_many_who_end_a_job_one_does(jobs: Jobs) -> None:
    made = job()
    await jobs.create(made, NOW_S)
    ends = [made.ended("completed", NOW_S, 60, result=JobResult(body=number)) for number in range(8)]
    assert [await jobs.change(end) for end in ends].count(True) == 1


async def test_the_same_change_again_has_happened(jobs: Jobs) -> None:
    made = job()
    await jobs.create(made, NOW_S)
    await jobs.create(made, NOW_S)
    running = made.begun(NOW_S)
    assert [await jobs.change(running, NOW_S) for _ in range(2)] == [True, True]


async def test_pages_go_from_new_to_old_and_by_status(jobs: Jobs) -> None:
    made = [job(number) for number in range(5)]
    for each in made:
        await jobs.create(each, NOW_S)
    await jobs.create(job(9, "other"), NOW_S)
    await jobs.change(made[2].begun(NOW_S), NOW_S)
    first = await jobs.page("acme", 3, None, None)
    rest = await jobs.page("acme", 3, first.jobs[-1].id, None)
    assert [each.request_id for each in first.jobs] == ["req_4", "req_3", "req_2"]
    assert [each.request_id for each in rest.jobs] == ["req_1", "req_0"]
    assert (first.has_more, rest.has_more) == (True, False)
    running = await jobs.page("acme", 3, None, "running")
    assert [each.request_id for each in running.jobs] == ["req_2"]


async def test_a_page_ends_where_nothing_older_is_asked_for(jobs: Jobs) -> None:
    for number in range(5):
        await jobs.create(job(number), NOW_S)
    page = await jobs.page("acme", 10, None, None, oldest_id(NOW_S + 2, "job"))
    assert [each.request_id for each in page.jobs] == ["req_4", "req_3", "req_2"]
    assert not page.has_more
    for nothing in (("video_", "~"), (job(1).id, oldest_id(NOW_S + 2, "job"))):
        after, until = nothing
        assert (await jobs.page("acme", 10, after, None, until)).jobs == []


async def test_a_page_reads_no_more_than_it_gives(
    dynamodb_api: AwsApi, jobs_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, call, read = DynamoJobs(dynamodb_api, jobs_table), dynamodb_api.call, 0
    for number in range(30):
        await jobs.create(job(number), NOW_S)

    async def counted(operation: str, request: dict[str, Any], timeout_s: float, **rest: Any) -> dict[str, Any]:
        nonlocal read
        answer = await call(operation, request, timeout_s, **rest)
        read += answer["ScannedCount"]
        return answer

    monkeypatch.setattr(dynamodb_api, "call", counted)
    assert len((await jobs.page("acme", 5, None, None)).jobs) == 5
    assert read == 6


async def test_a_page_of_one_status_reads_no_more_than_it_gives(
    dynamodb_api: AwsApi, jobs_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many have another one."""
    jobs, call, read = DynamoJobs(dynamodb_api, jobs_table), dynamodb_api.call, 0
    made = [job(number) for number in range(30)]
    for each in made:
        await jobs.create(each, NOW_S)
    for each in made[:4]:
        await jobs.change(each.ended("failed", NOW_S, 60))

    async def counted(operation: str, request: dict[str, Any], timeout_s: float, **rest: Any) -> dict[str, Any]:
        nonlocal read
        answer = await call(operation, request, timeout_s, **rest)
        read += answer.get("ScannedCount", 1)
        return answer

    monkeypatch.setattr(dynamodb_api, "call", counted)
    page = await jobs.page("acme", 3, None, "failed")
    assert ([each.request_id for each in page.jobs], page.has_more) == (["req_3", "req_2", "req_1"], True)
    assert read <= 4 + 3
    rest = await jobs.page("acme", 3, page.jobs[-1].id, "failed")
    assert ([each.request_id for each in rest.jobs], rest.has_more) == (["req_0"], False)
    assert (await jobs.page("acme", 3, None, "cancelled")).jobs == []


async def test_what_nobody_was_told_of_is_in_no_page_of_a_status_until_it_is_shown(jobs: Jobs) -> None:
    made = job(facts={HIDDEN: True})
    await jobs.create(made, NOW_S)
    running = made.begun(NOW_S)
    await jobs.change(running, NOW_S)
    assert (await jobs.page("acme", 10, None, "running")).jobs == []
    shown = running.changed(facts={})
    await jobs.change(shown, NOW_S)
    assert (await jobs.page("acme", 10, None, "running")).jobs == [shown]


def test_a_record_of_which_nobody_was_told_is_soon_removed_once_it_is_settled() -> None:
    told = job().begun(NOW_S).ended("completed", NOW_S + 5, 86_400, held={"a": 1})
    hidden = msgspec.structs.replace(told, facts={HIDDEN: True})
    kept_s = [one.removable_at_s - NOW_S - 5 for one in (told, hidden, hidden.changed(held=None))]
    assert kept_s == [86_400 + TOMBSTONE_S, 86_400 + TOMBSTONE_S, UNTOLD_S]


async def test_what_has_another_status_by_now_is_on_no_page(
    dynamodb_api: AwsApi, jobs_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index is a moment behind: the record counts."""
    jobs, find = DynamoJobs(dynamodb_api, jobs_table), DynamoJobs._find
    made = [job(number) for number in range(5)]
    for each in made:
        await jobs.create(each, NOW_S)

    async def changed(self: DynamoJobs, tenant_id: str, job_id: str) -> Job | None:
        found = await find(self, tenant_id, job_id)
        is_behind = found is not None and found.request_id in ("req_4", "req_3")
        return found.begun(NOW_S) if found is not None and is_behind else found

    monkeypatch.setattr(DynamoJobs, "_find", changed)
    page = await jobs.page("acme", 2, None, "pending")
    assert ([each.request_id for each in page.jobs], page.has_more) == (["req_2", "req_1"], True)


async def test_an_index_has_nothing_of_what_a_job_is(dynamodb_api: AwsApi, jobs_table: str) -> None:
    made = job(result=JobResult(body="a" * 1_000))
    await DynamoJobs(dynamodb_api, jobs_table).create(made, NOW_S)
    for index in ("due", "by_status"):
        answer = await dynamodb_api.call("Scan", {"TableName": jobs_table, "IndexName": index}, 2.0)
        assert "document" not in answer["Items"][0]


async def test_jobs_are_due_until_they_end(jobs: Jobs) -> None:
    early, late = job(1), job(2)
    await jobs.create(early, NOW_S + 10)
    await jobs.create(late, NOW_S + 100)
    assert await due(jobs, NOW_S) == set()
    assert await due(jobs, NOW_S + 10) == {early.id}
    await jobs.change(late.begun(NOW_S), NOW_S + 10)
    assert await due(jobs, NOW_S + 10) == {early.id, late.id}
    await jobs.change(early.ended("failed", NOW_S, 60))
    assert await due(jobs, NOW_S + 1_000) == {late.id}


async def test_no_shard_is_always_the_last_one(dynamodb_api: AwsApi, jobs_table: str) -> None:
    """A sweep sees to so many, and has to come to all of them in time."""
    jobs = DynamoJobs(dynamodb_api, jobs_table)
    for number in range(20):
        await jobs.create(job(number), NOW_S)
    firsts = set()
    for _ in range(12):
        found = [each.id async for each in jobs.due(NOW_S)]
        assert len(set(found)) == 20
        firsts.add(found[0])
    assert len(firsts) > 1


async def test_what_is_due_for_longest_comes_first(jobs: Jobs) -> None:
    for number in (5, 0, 9, 3, 7, 1, 8, 2, 6, 4, *range(10, 40)):
        await jobs.create(job(number), NOW_S + number)
    found = [each.id async for each in jobs.due(NOW_S + 34)]
    assert found == [job(number).id for number in range(35)]


async def test_an_answer_that_was_lost_is_found_again(
    dynamodb_api: AwsApi, jobs_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, lost = dynamodb_api._send, [True, True]

    async def losing(operation: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        answer = await send(operation, body, timeout_s)
        if operation == "PutItem" and lost and lost.pop():
            raise AwsFailure("Unreachable", is_fault=True)
        return answer

    jobs, made = DynamoJobs(dynamodb_api, jobs_table), job()
    monkeypatch.setattr(dynamodb_api, "_send", losing)
    await jobs.create(made, NOW_S)
    assert await jobs.change(made.begun(NOW_S), NOW_S)


async def test_a_store_that_is_not_there_is_told_so(dynamodb_api: AwsApi) -> None:
    jobs = DynamoJobs(dynamodb_api, "no-such-table")
    with pytest.raises(StorageUnavailable):
        await jobs.create(job(), NOW_S)
    with pytest.raises(StorageUnavailable):
        await asyncio.wait_for(jobs.get("acme", job().id), 5)


def test_ids_sort_from_new_to_old_and_know_themselves() -> None:
    ids = [new_job_id(NOW_S + number, b"0123456789", "video") for number in range(3)]
    assert sorted(ids, reverse=True) == ids
    assert all(is_job_id(job_id) for job_id in ids)
    assert not is_job_id("job_") and not is_job_id("../x")


async def test_an_end_that_is_yet_to_be_told_is_due(jobs: Jobs) -> None:
    made = job()
    await jobs.create(made, NOW_S)
    ended = made.ended("completed", NOW_S, 60)
    await jobs.change(ended, NOW_S + 30)
    assert (await due(jobs, NOW_S + 29), await due(jobs, NOW_S + 30)) == (set(), {made.id})
    await jobs.change(ended.changed())
    assert await due(jobs, NOW_S + 1_000) == set()


async def test_a_job_that_waits_is_found_without_its_tenant(jobs: Jobs) -> None:
    made, others = job(1), job(2, "other")
    for each in (made, others):
        await jobs.create(each, NOW_S + 1_000)
    assert await jobs.tenant_of_waiting(made.id) == "acme"
    assert await jobs.tenant_of_waiting(others.id) == "other"
    assert await jobs.tenant_of_waiting(job(3).id) is None
    await jobs.change(made.ended("failed", NOW_S, 60))
    assert await jobs.tenant_of_waiting(made.id) is None
