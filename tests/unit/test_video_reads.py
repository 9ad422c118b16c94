"""Whoever looks at, downloads or deletes videos is logged; what was given out or removed, or refused, is told."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.record import AuditEvent
from tests.fakes import ListRecords, key_hash, principal
from tests.unit.conftest import KEY, TENANT
from tests.unit.videos_gateway import Gateway, gateway

__all__ = ["gateway"]


def lines(gateway: Gateway) -> list[tuple[str, str | None, str | None]]:
    assert isinstance(gateway.world.records, ListRecords)
    return [(line.operation, line.tenant_id, line.error) for line in gateway.world.records.written]


def ends(gateway: Gateway, operation: str) -> list[Any]:
    events: list[Any] = [told for told in gateway.told if isinstance(told, AuditEvent)]
    return [event for event in events if event.of.operation == operation and event.event != "request.started"]


async def test_looking_is_logged_and_not_told(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    await gateway.get(f"/{video_id}")
    await gateway.get()
    assert lines(gateway) == [("videos.retrieve", "acme", None), ("videos.list", "acme", None)]
    assert ends(gateway, "videos.retrieve") + ends(gateway, "videos.list") == []


async def test_what_is_given_out_or_removed_is_told_by_its_id(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    await gateway.finished(video_id)
    used = list(gateway.usage)
    assert (await gateway.get(f"/{video_id}/content")).status == 302
    assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
    for operation, status in (("videos.content", 302), ("videos.delete", 200)):
        [ended] = ends(gateway, operation)
        assert (ended.event, ended.facts["video_id"], ended.facts["status"]) == ("request.completed", video_id, status)
        assert (ended.of.tenant_id, ended.of.user_id, ended.of.key_id) == ("acme", "alice", "key_1")
    assert gateway.usage == used


@pytest.mark.parametrize("path", ["", "/video_none", "/video_none/content"])
async def test_who_is_refused_is_logged_and_told(gateway: Gateway, path: str) -> None:
    gateway.access.held[key_hash(KEY)] = principal(TENANT, status="revoked")
    assert (await gateway.get(path)).status == 401
    [(operation, tenant_id, error)] = lines(gateway)
    assert (tenant_id, error) == ("acme", "invalid_api_key")
    [ended] = ends(gateway, operation)
    assert (ended.event, ended.facts["reason"]) == ("request.blocked", "The key is revoked.")


async def test_a_video_can_be_looked_at_while_it_takes_the_only_place_there_is(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    assert await gateway.held() == (1, 280_000_000, 0)
    await gateway.get(f"/{video_id}")
    assert await gateway.held() == (1, 280_000_000, 0)
