"""A job's worker ends before its function does, however its time was used up; in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.model.call import MAX_JOB_MS
from gateway.model.file import File
from gateway.pipeline import chat
from gateway.pipeline.agree import agreed
from gateway.pipeline.exchange import RESULT_S
from tests.unit.test_job_reply import LARGE
from tests.unit.test_jobs import Gateway, gateway

__all__ = ["gateway"]

LONGEST_S = MAX_JOB_MS / 1000


def slow_hooks(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, lasts_s: float) -> None:
    async def slowly(planned: Any, *rest: Any) -> Any:
        gateway.clock.running_s += lasts_s
        return await agreed(planned, *rest)

    monkeypatch.setattr(chat, "agreed", slowly)


@pytest.mark.parametrize(("lasts_s", "status"), [(LONGEST_S - 5, "completed"), (LONGEST_S + 1, "failed")])
async def test_what_comes_before_the_question_is_taken_from_the_time_for_the_answer(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, lasts_s: float, status: str
) -> None:
    slow_hooks(gateway, monkeypatch, lasts_s)

    async def works() -> None:
        await asyncio.sleep(0.01)  # lets a deadline that has come strike

    gateway.provider.meanwhile = works
    shown = await gateway.worked(await gateway.accepted(timeouts={"total_ms": MAX_JOB_MS}))
    assert shown["status"] == status
    if status == "failed":
        assert shown["error"]["code"] == "provider_timeout"


async def test_a_large_reply_is_stored_in_time_or_not_at_all(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    put = gateway.world.files.put

    async def works() -> None:
        gateway.clock.running_s += RESULT_S

    async def slowly(tenant_id: str, file: File, data: bytes) -> None:
        await asyncio.sleep(0.01)  # as above
        await put(tenant_id, file, data)

    gateway.provider.reply, gateway.provider.meanwhile = LARGE, works
    monkeypatch.setattr(gateway.world.files, "put", slowly)
    shown = await gateway.worked(await gateway.accepted())
    assert (shown["status"], shown["error"]["code"]) == ("failed", "storage_unavailable")
    assert shown["cost_estimate"]
