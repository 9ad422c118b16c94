"""How long the result of a job is kept is the stack's to say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.entry.wiring import Settings
from gateway.model.job import LONGEST_S, TOMBSTONE_S
from tests.unit.test_jobs import ASYNC, Gateway, gateway_of_jobs

HOUR_S = 3_600


@pytest.mark.parametrize(("text", "kept_s"), [(None, 24 * HOUR_S), ("1", HOUR_S), ("720", 720 * HOUR_S)])
def test_a_function_has_it_from_its_environment(monkeypatch: pytest.MonkeyPatch, text: str | None, kept_s: int) -> None:
    for name in ("STACK", "TENANTS_TABLE", "LEDGER_TABLE", "JOBS_TABLE", "EVENT_BUS", "FILES_BUCKET"):
        monkeypatch.setenv(f"GATEWAY_{name}", "x")
    for name in ("GATEWAY_JOB_MACHINE", "GATEWAY_BATCH_MACHINE", "GATEWAY_RECORDS_QUEUE_URL", "AWS_REGION"):
        monkeypatch.setenv(name, "x")
    if text is None:
        monkeypatch.delenv("GATEWAY_JOB_RESULT_HOURS", raising=False)
    else:
        monkeypatch.setenv("GATEWAY_JOB_RESULT_HOURS", text)
    assert Settings.from_environment().job_kept_s == kept_s


@pytest.mark.parametrize("kept_s", [HOUR_S, 48 * HOUR_S])
@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_a_result_is_there_until_then_whatever_the_end(kept_s: int, end: str) -> None:
    gateway = gateway_of_jobs()
    gateway.world = replace(gateway.world, job_kept_s=kept_s)
    gateway.provider.status = 500 if end == "failed" else 200
    job_id = await gateway.accepted()
    if end == "cancelled":
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["expires_at"]) == (end, gateway.clock.now_s() + kept_s)
    gateway.clock.unix_s += kept_s - 1
    assert (await gateway.shown(job_id))["status"] == end
    assert await listed(gateway) == [job_id]
    gateway.clock.unix_s += 1
    gone = await gateway.send("GET", f"/v1/jobs/{job_id}")
    assert (gone.status, gone.json["error"]["code"], await listed(gateway)) == (410, "job_expired", [])
    gateway.clock.unix_s += TOMBSTONE_S
    assert (await gateway.send("GET", f"/v1/jobs/{job_id}")).status == 404


async def test_a_job_that_took_its_time_is_listed_as_long() -> None:
    gateway = gateway_of_jobs()
    gateway.world = replace(gateway.world, job_kept_s=48 * HOUR_S)
    job_id = await gateway.accepted()
    gateway.clock.unix_s += LONGEST_S - 60
    await gateway.worked(job_id)
    gateway.clock.unix_s += 48 * HOUR_S - 1
    assert await listed(gateway) == [job_id]


async def test_a_key_whose_job_is_gone_within_the_day_says_so() -> None:
    gateway = gateway_of_jobs()
    gateway.world = replace(gateway.world, job_kept_s=HOUR_S)
    keyed = {"idempotency-key": "k-1"}
    first = (await gateway.post(headers=keyed, **ASYNC)).json
    await gateway.worked(first["id"])
    gateway.clock.unix_s += HOUR_S
    assert (await gateway.post(headers=keyed, **ASYNC)).status == 410


async def listed(gateway: Gateway) -> list[str]:
    return [job["id"] for job in (await gateway.send("GET", "/v1/jobs")).json["data"]]
