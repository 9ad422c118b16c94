"""The key that ordered a job, when the job comes to its turn; in memory."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.model.errors import AdmissionUnavailable
from gateway.pipeline.job_work import ask
from tests.fakes import key_hash
from tests.unit.conftest import KEY
from tests.unit.test_jobs import CHAT, COST, Gateway, gateway

__all__ = ["gateway"]


def key_is(gateway: Gateway, **changes: Any) -> None:
    held = gateway.access.held[key_hash(KEY)]
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, key=msgspec.structs.replace(held.key, **changes))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/jobs"])
async def test_what_a_key_ordered_that_was_revoked_since_is_asked_of_nobody(gateway: Gateway, path: str) -> None:
    body = {"endpoint": "/v1/chat/completions", "body": CHAT} if path == "/v1/jobs" else {**CHAT, "async": True}
    job_id = (await gateway.post(path, **body)).json["id"]
    key_is(gateway, status="revoked")
    await gateway.step(ask, job_id)
    job = await gateway.job(job_id)
    assert (job.status, gateway.provider.asked, job.cost_nano_usd) == ("failed", 0, 0)
    assert job.error is not None
    assert (job.error["code"], "revoked" in job.error["message"]) == ("invalid_api_key", True)


async def test_a_key_that_expires_leaves_what_it_ordered(gateway: Gateway) -> None:
    """It could order when it did."""
    key_is(gateway, expires_at_s=int(gateway.clock.now_s()) + 60)
    job_id = await gateway.accepted()
    gateway.clock.unix_s += 3_600
    assert (await gateway.step(ask, job_id)).status == "completed"


async def test_a_key_that_is_revoked_while_its_job_runs_is_asked_for_no_more(gateway: Gateway) -> None:
    job_id = await gateway.accepted()

    async def revoked() -> None:
        key_is(gateway, status="revoked")

    gateway.provider.meanwhile = revoked
    job = await gateway.step(ask, job_id)
    assert (job.status, job.cost_nano_usd) == ("completed", COST)


async def test_whether_a_key_was_revoked_is_asked_again_when_nobody_can_tell(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await gateway.accepted()
    with monkeypatch.context() as broken:
        broken.setattr(gateway.access, "is_down", True)
        with pytest.raises(AdmissionUnavailable):
            await gateway.step(ask, job_id)
    assert (await gateway.step(ask, job_id)).status == "completed"


async def test_a_key_is_nowhere_in_its_job_and_its_hash_not_when_that_has_ended(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    waiting = msgspec.json.encode(await gateway.job(job_id)).decode()
    assert KEY not in waiting and key_hash(KEY) in waiting
    await gateway.worked(job_id)
    assert key_hash(KEY) not in msgspec.json.encode(await gateway.job(job_id)).decode()
