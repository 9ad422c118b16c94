"""/v1/videos in memory: begun, looked at, stored, paid and told once, waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.file import GENERATED_KEPT_S
from gateway.model.http import HttpRequest
from gateway.model.limits import Allowance, Budget
from gateway.model.record import BudgetAlert
from gateway.model.tenant import User
from tests.fakes import FixedDownloads, key_hash, principal
from tests.unit.conftest import KEY, TENANT
from tests.unit.facts.contract import component, problems
from tests.unit.videos_gateway import DONE, EVERY_S, MP4, PENDING, URL, Gateway, gateway

__all__ = ["gateway"]


async def test_a_video_is_begun_looked_at_stored_and_downloaded(gateway: Gateway) -> None:
    begun = await gateway.create(seconds="4", size="1280x720", metadata={"conversation_id": "c-1"})
    video = begun.json
    assert problems(component("Video"), video) == []
    assert (begun.status, video["object"], video["status"], video["model"]) == (200, "video", "queued", "xai/film")
    assert (video["seconds"], video["size"], video["progress"], video["usage"]) == ("4", "1280x720", 0, None)
    assert begun.headers["openai-poll-after-ms"] == "5000"

    running = await gateway.get(f"/{video['id']}")
    assert (running.json["status"], running.json["progress"]) == ("in_progress", 40)
    assert running.headers["openai-poll-after-ms"] == "5000"

    done = await gateway.get(f"/{video['id']}")
    assert "openai-poll-after-ms" not in done.headers
    assert (done.json["status"], done.json["progress"], done.json["error"]) == ("completed", 100, None)
    assert done.json["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": 0.28}
    told = done.json["gateway"]
    assert (told["content_type"], told["size_bytes"], told["provider"]) == ("video/mp4", len(MP4), "xai")
    assert done.json["expires_at"] == done.json["completed_at"] + GENERATED_KEPT_S

    stored = await gateway.files.get("acme", told["file_id"], 10_000)
    assert stored.data == MP4
    file = await gateway.files.head("acme", told["file_id"])
    assert file.origin is not None
    assert (file.origin.model, file.origin.request_id) == ("xai/film", begun.headers["x-gateway-request-id"])
    content = await gateway.get(f"/{video['id']}/content")
    assert (content.status, content.headers["location"], content.body) == (302, told["url"], b"")
    assert (gateway.provider.looked, gateway.downloads.opened) == (2, [URL])


async def test_it_is_kept_as_long_as_its_file(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes a while to be stored."""
    put_stream = gateway.files.put_stream

    async def slowly(*given: Any) -> int:
        gateway.clock.unix_s += 3
        return await put_stream(*given)

    monkeypatch.setattr(gateway.files, "put_stream", slowly)
    done = await gateway.finished(await gateway.begun())
    file = await gateway.files.head("acme", done["gateway"]["file_id"])
    assert done["expires_at"] == file.expires_at_s == done["completed_at"] - 3 + GENERATED_KEPT_S


async def test_it_is_told_and_paid_once_at_its_end(gateway: Gateway) -> None:
    budget = Budget(models="*", window="month", usd=Decimal(1))
    gateway.allow(allowance=Allowance(budgets=(budget,), alerts=(20,)))
    video_id = await gateway.begun(metadata={"conversation_id": "c-1"})
    assert (gateway.usage, gateway.audit) == ([], ["request.started"])
    assert await gateway.held() == (1, 280_000_000, 0)

    await gateway.finished(video_id)
    for _ in range(3):
        await gateway.get(f"/{video_id}")
    (record,) = gateway.usage
    assert (record.outcome, record.attempt, record.model, record.model_requested) == ("ok", 1, "xai/film", "xai/film")
    assert (record.units, record.cost_nano_usd) == ({"video_ms:720p": 4000}, 280_000_000)
    assert (record.of.operation, record.of.job_id, record.of.conversation_id) == ("videos", video_id, "c-1")
    assert (record.of.user_id, record.of.key_id) == ("alice", "key_1")
    assert gateway.audit == ["request.started", "request.completed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
    (alert,) = [told for told in gateway.told if isinstance(told, BudgetAlert)]
    assert (alert.level, alert.percent, alert.spent_nano_usd) == ("tenant", 20, 280_000_000)


async def test_the_user_it_was_made_for_is_paid_for_by_whoever_asks(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    own = Allowance(budgets=(Budget(models="*", window="month", usd=Decimal(1)),), alerts=(10,))
    gateway.access.users["acme", "alice"] = User(id="alice", allowance=own)
    bob = principal(msgspec.structs.replace(TENANT, approvals=("*",)), "bob", scopes=("*", "assert_user"))
    gateway.access.held[key_hash(KEY)] = bob
    await gateway.finished(video_id)
    assert [record.of.user_id for record in gateway.usage] == ["alice"]
    assert [(told.level, told.user_id) for told in gateway.told if isinstance(told, BudgetAlert)] == [("user", "alice")]


async def test_a_look_is_good_for_a_while(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    for _ in range(3):
        await gateway.get(f"/{video_id}", later=False)
    assert gateway.provider.looked == 0
    await gateway.get(f"/{video_id}")
    await gateway.get(f"/{video_id}", later=False)
    assert gateway.provider.looked == 1


async def test_of_many_who_ask_at_once_one_looks_and_stores(gateway: Gateway) -> None:
    video_id, entered, go_on = await gateway.begun(), asyncio.Event(), asyncio.Event()
    gateway.provider.looks = [DONE]

    async def wait(_: HttpRequest) -> None:
        entered.set()
        await go_on.wait()

    gateway.provider.before = wait
    first = asyncio.create_task(gateway.get(f"/{video_id}"))
    async with asyncio.timeout(5):
        await entered.wait()
        others = [(await gateway.get(f"/{video_id}")).json["status"] for _ in range(3)]
        go_on.set()
        assert (await first).json["status"] == "completed"
    assert others == ["queued"] * 3
    assert (gateway.provider.looked, len(gateway.files.whole), len(gateway.usage)) == (1, 1, 1)


async def test_a_look_that_died_is_followed_by_another(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    gateway.provider.looks = [RuntimeError("dies"), DONE]
    assert (await gateway.get(f"/{video_id}")).status == 500
    assert (await gateway.get(f"/{video_id}")).json["status"] == "queued"
    gateway.clock.unix_s += 400
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"


async def test_it_can_be_waited_for(gateway: Gateway) -> None:
    gateway.provider.looks = [PENDING, PENDING, PENDING, DONE]
    answer = await gateway.create(**{"async": False})
    assert (answer.json["status"], answer.json["gateway"]["size_bytes"]) == ("completed", len(MP4))
    assert gateway.clock.slept == [5.0, 7.5, 11.25, 16.875]
    assert [record.outcome for record in gateway.usage] == ["ok"]
    assert gateway.audit == ["request.started", "request.completed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_who_waits_too_long_is_told_how_far_it_is(gateway: Gateway) -> None:
    gateway.provider.looks = [PENDING]
    answer = await gateway.create(**{"async": False})
    assert (answer.status, answer.json["object"], answer.json["status"]) == (202, "video", "in_progress")
    assert answer.headers["location"] == f"jobs/{answer.json['id']}"
    assert {"retry-after", "openai-poll-after-ms"} <= answer.headers.keys()
    assert "preference-applied" not in answer.headers
    assert sum(gateway.clock.slept) <= 210
    short = await gateway.create(**{"async": False, "timeouts": {"total_ms": 6000}})
    assert (short.status, short.json["status"]) == (202, "in_progress")
    slept_s = sum(gateway.clock.slept)
    preferring = await gateway.create({"prefer": "wait=20"}, **{"async": False})
    assert preferring.status == 202
    assert sum(gateway.clock.slept) - slept_s <= 20


class Endless(FixedDownloads):
    async def _pieces(self, pieces: list[bytes | Exception]) -> AsyncIterator[bytes]:
        yield MP4
        await asyncio.Event().wait()


async def test_a_video_that_cannot_be_stored_by_the_deadline_of_the_answer_is_stored_later(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.pipeline.tenant_videos.ANSWER_S", 0.05)
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]
    there, gateway.world = gateway.downloads, replace(gateway.world, downloads=Endless(gateway.downloads.there))
    async with asyncio.timeout(5):
        answer = await gateway.get(f"/{video_id}")
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    gateway.world = replace(gateway.world, downloads=there)
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"


async def test_who_waits_for_a_video_that_cannot_be_stored_in_time_is_told_which_it_is(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error would have the client begin another one."""
    monkeypatch.setattr("gateway.pipeline.exchange.ANSWER_S", EVERY_S + 0.05)
    gateway.provider.looks = [DONE]
    there, gateway.world = gateway.downloads, replace(gateway.world, downloads=Endless(gateway.downloads.there))
    async with asyncio.timeout(5):
        answer = await gateway.create(**{"async": False})
    assert (answer.status, answer.json["status"]) == (202, "queued")
    gateway.world = replace(gateway.world, downloads=there)
    assert (await gateway.finished(answer.json["id"]))["status"] == "completed"
