"""Questions about videos: lists, content, methods that are none, and who may ask."""

from __future__ import annotations

import pytest

from gateway.model.file import GENERATED_KEPT_S
from gateway.model.job import TOMBSTONE_S
from gateway.model.tenant import Tenant
from tests.fakes import key_hash, principal
from tests.unit.conftest import KEY, TENANT
from tests.unit.videos_gateway import Gateway, gateway

__all__ = ["gateway"]


async def test_a_list_is_newest_first_in_pages(gateway: Gateway) -> None:
    ids = []
    for _ in range(5):
        gateway.clock.unix_s += 1
        ids.append(await gateway.begun())
    first = (await gateway.get("?limit=2")).json
    assert ([video["id"] for video in first["data"]], first["has_more"]) == (ids[:2:-1], True)
    assert (first["first_id"], first["last_id"]) == (ids[4], ids[3])
    rest = (await gateway.get(f"?after={first['last_id']}")).json
    assert ([video["id"] for video in rest["data"]], rest["has_more"]) == (ids[2::-1], False)
    await gateway.get(f"/{ids[1]}", method="DELETE")
    left = (await gateway.get("?limit=3")).json
    assert [video["id"] for video in left["data"]] == [ids[4], ids[3], ids[2]]
    after = (await gateway.get(f"?limit=3&after={ids[2]}")).json
    assert ([video["id"] for video in after["data"]], after["has_more"]) == ([ids[0]], False)


@pytest.mark.parametrize(
    ("path", "status", "param"),
    [
        ("?limit=0", 400, "limit"),
        ("?limit=101", 400, "limit"),
        ("?limit=x", 400, "limit"),
        ("?after=x", 400, "after"),
        ("?order=asc", 400, "order"),
        ("?color=red", 400, "color"),
        ("/video_1", 404, "video_id"),
        ("/job_" + "0" * 25, 404, "video_id"),
        ("/video_" + "0" * 25, 404, "video_id"),
        ("/video_" + "0" * 25 + "/content", 404, "video_id"),
        ("/video_" + "0" * 25 + "/remix", 404, None),
        ("/a/b/c", 404, None),
        ("/", 404, None),
    ],
)
async def test_questions_that_are_none(gateway: Gateway, path: str, status: int, param: str | None) -> None:
    answer = await gateway.get(path)
    assert (answer.status, answer.json["error"]["param"]) == (status, param)


async def test_methods_that_are_none(gateway: Gateway) -> None:
    for path, method in (("", "PUT"), ("/video_1", "POST"), ("/video_1/content", "DELETE")):
        assert (await gateway.get(path, method=method)).status == 405


async def test_unfinished_videos_have_no_content_and_none_a_thumbnail(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    unfinished = await gateway.get(f"/{video_id}/content", later=False)
    assert (unfinished.status, unfinished.json["error"]["param"]) == (400, "video_id")
    thumbnail = await gateway.get(f"/{video_id}/content?variant=thumbnail")
    assert (thumbnail.status, thumbnail.json["error"]["param"]) == (400, "variant")


async def test_another_tenants_video_is_not_found(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    gateway.access.held[key_hash(KEY)] = principal(Tenant(id="other", approvals=("*",)))
    for path, method in ((f"/{video_id}", "GET"), (f"/{video_id}/content", "GET"), (f"/{video_id}", "DELETE")):
        answer = await gateway.get(path, method=method)
        assert (answer.status, answer.json["error"]["code"]) == (404, "job_not_found")
    assert (await gateway.get("")).json["data"] == []


async def test_a_key_has_to_be_for_videos(gateway: Gateway) -> None:
    gateway.access.held[key_hash(KEY)] = principal(TENANT, scopes=("chat",))
    assert (await gateway.create()).status == 403
    assert (await gateway.get("")).status == 403
    gateway.access.held.clear()
    assert (await gateway.get("")).status == 401


async def test_a_result_is_gone_after_its_time(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    await gateway.finished(video_id)
    gateway.clock.unix_s += GENERATED_KEPT_S
    answer = await gateway.get(f"/{video_id}")
    assert (answer.status, answer.json["error"]["code"]) == (410, "job_expired")
    assert (await gateway.get("")).json["data"] == []
    gateway.clock.unix_s += TOMBSTONE_S
    assert (await gateway.get(f"/{video_id}")).status == 404
