"""Requests that ask no model: files, types, models, usage. They count in limits, and those about content are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from msgspec.structs import replace

from gateway.entry.files import files_app
from gateway.entry.models import models_app
from gateway.entry.types import types_app
from gateway.entry.usage import usage_app
from gateway.model.denials import AT_MOST
from gateway.model.errors import AdmissionUnavailable
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.trace import Trace
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.visit import let_in
from gateway.ports import World
from local.places import REPOSITORY
from tests.fakes import ManualClock, MemoryFiles, principal
from tests.record_fakes import MemoryUsage
from tests.sweeping import Stage
from tests.unit.conftest import KEY, TENANT, Gateway
from tests.unit.test_admission import ALICE_ACCOUNT, TENANT_ACCOUNT, books, budget, limited, tenant, told

AUTH = {"authorization": f"Bearer {KEY}"}
FORM: dict[str, Any] = {"files": {"file": ("a.txt", b"twelve bytes")}, "data": {"purpose": "user_data"}}
APPS: dict[str, Callable[[World], FastAPI]] = {
    "files": files_app,
    "types": types_app,
    "models": lambda world: models_app(world, REPOSITORY / "shared"),
    "usage": lambda world: usage_app(world, MemoryUsage(world.clock)),
}
ALL = pytest.mark.parametrize("name", APPS)
RECORDED = pytest.mark.parametrize("name", ["files", "types"])
QUIET = pytest.mark.parametrize("name", ["models", "usage"])


async def ask(
    gateway: Gateway, name: str, method: str = "GET", below: str = "", headers: Any = None, **body: Any
) -> httpx.Response:
    transport = httpx.ASGITransport(APPS[name](gateway.world), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=AUTH) as client:
        return await client.request(method, f"/v1/{name}{below}", headers=headers, **body)


@ALL
async def test_they_count_in_the_rate_with_all_else(gateway: Gateway, name: str) -> None:
    gateway.hold(principal(tenant(allowance=limited(requests_per_minute=2))))
    first, second, third = [await ask(gateway, name) for _ in range(3)]
    assert [each.status_code for each in (first, second, third)] == [200, 200, 429]
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert third.headers["retry-after"]
    assert third.json()["error"]["level"] == "tenant"
    assert (
        await gateway.chat({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}]})
    ).status == 429


@ALL
async def test_no_more_run_at_once_than_may(gateway: Gateway, name: str) -> None:
    gateway.hold(principal(tenant(user_allowance=limited(concurrent_requests=1))))
    assert {(await ask(gateway, name)).status_code for _ in range(3)} == {200}
    await gateway.world.ledger.add(ALICE_ACCOUNT, {"n": 1})
    refused = await ask(gateway, name)
    assert (refused.status_code, refused.json()["error"]["limit_kind"]) == (429, "concurrent_requests")


@ALL
async def test_nothing_stays_held_and_nothing_is_spent(gateway: Gateway, name: str) -> None:
    gateway.hold(principal(tenant(allowance=limited(requests_per_minute=9))))
    await ask(gateway, name)
    await ask(gateway, name, headers={"x-request-id": "mine"})
    for account in (TENANT_ACCOUNT, ALICE_ACCOUNT):
        reading = await books(gateway, account)
        assert reading.holds == {}
        assert {number for kind, number in reading.numbers.items() if kind[0] in "ncs"} == {0}
    rates = [number for kind, number in (await books(gateway)).numbers.items() if kind[0] == "r"]
    assert rates == [2]


@ALL
async def test_budgets_and_tokens_that_are_used_up_do_not_stand_in_their_way(gateway: Gateway, name: str) -> None:
    limits = msgspec.structs.replace(budget("0.000001"), limits=limited(tokens_per_minute=1).limits)
    gateway.hold(principal(tenant(allowance=limits)))
    assert isinstance(gateway.world.clock, ManualClock)
    await gateway.world.ledger.add(TENANT_ACCOUNT, {"c2026-09-21": 5_000, "c2026-09": 5_000})
    await gateway.world.ledger.add(TENANT_ACCOUNT, {f"t{int(gateway.world.clock.unix_s) // 60}": 7})
    assert (await ask(gateway, name)).status_code == 200


@RECORDED
async def test_what_is_done_with_content_is_told(gateway: Gateway, name: str) -> None:
    answer = await ask(gateway, name)
    request_id = answer.headers["x-gateway-request-id"]
    started, ended = told(gateway, AuditEvent)
    assert [started.event, ended.event] == ["request.started", "request.completed"]
    assert [started.id, ended.id] == [f"{request_id}.started", f"{request_id}.ended"]
    of = ended.of
    assert (of.tenant_id, of.user_id, of.key_id, of.operation) == ("acme", "alice", "key_1", f"{name}.list")
    assert ended.facts["status"] == 200
    assert not {"model_requested", "stream", "attempts"} & set(ended.facts)
    [record] = told(gateway, UsageRecord)
    assert (record.outcome, record.attempt, record.cost_nano_usd, record.code) == ("ok", 0, 0, None)


@RECORDED
async def test_one_that_fails_is_told_as_failed(gateway: Gateway, name: str) -> None:
    below = "/gts.acme.app.geo.place.v1~" if name == "types" else "/file-none"
    answer = await ask(gateway, name, "DELETE", below)
    assert answer.status_code == 404
    started, ended = told(gateway, AuditEvent)
    assert (started.event, ended.event) == ("request.started", "request.failed")
    assert (ended.of.operation, ended.facts["status"]) == (f"{name}.delete", 404)
    assert ended.facts["code"] == answer.json()["error"]["code"]
    [record] = told(gateway, UsageRecord)
    assert (record.outcome, record.code) == ("error", ended.facts["code"])


@RECORDED
async def test_a_malformed_one_is_told_as_failed(gateway: Gateway, name: str) -> None:
    assert (await ask(gateway, name, below="?limit=none")).status_code == 400
    assert [event.event for event in told(gateway, AuditEvent)] == ["request.started", "request.failed"]
    assert (
        await ask(gateway, name, below="?limit=none", headers={"authorization": "Bearer gwk_wrong"})
    ).status_code == 401


async def test_of_a_file_its_id_and_size_are_told_and_never_its_name(gateway: Gateway) -> None:
    file_id = (await ask(gateway, "files", "POST", **FORM)).json()["id"]
    await ask(gateway, "files", below=f"/{file_id}")
    await ask(gateway, "files", below=f"/{file_id}/content")
    await ask(gateway, "files", "POST", below=f"/{file_id}/complete")
    await ask(gateway, "files", "DELETE", below=f"/{file_id}")
    ended = told(gateway, AuditEvent)[1::2]
    assert [event.of.operation for event in ended] == [
        "files.create",
        "files.retrieve",
        "files.content",
        "files.complete",
        "files.delete",
    ]
    assert {event.facts["file_id"] for event in ended} == {file_id}
    assert [event.facts["status"] for event in ended] == [200, 200, 302, 200, 200]
    records = told(gateway, UsageRecord)
    assert [record.units for record in records] == [{"file_bytes": 12}, {}, {"file_bytes": 12}, {"file_bytes": 12}, {}]
    assert "a.txt" not in repr(gateway.world.events)


async def test_of_types_their_ids_are_told(gateway: Gateway) -> None:
    type_id = "gts.acme.app.geo.place.v1~"
    schema = {"$id": f"gts://{type_id}", "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}
    assert (await ask(gateway, "types", "POST", json={"types": [schema]})).status_code == 201
    await ask(gateway, "types", below=f"/{type_id}")
    await ask(gateway, "types", "DELETE", below=f"/{type_id}")
    ended = told(gateway, AuditEvent)[1::2]
    assert [event.of.operation for event in ended] == ["types.register", "types.retrieve", "types.delete"]
    assert [event.facts["type_ids"] for event in ended] == [[type_id]] * 3
    assert [event.facts["status"] for event in ended] == [201, 200, 200]


@QUIET
async def test_what_the_gateway_says_of_itself_leaves_no_record(gateway: Gateway, name: str) -> None:
    assert (await ask(gateway, name)).status_code == 200
    assert gateway.world.events.told == []  # type: ignore[attr-defined]


@ALL
async def test_a_refusal_is_told_everywhere(gateway: Gateway, name: str) -> None:
    gateway.hold(principal(tenant(allowance=limited(requests_per_minute=0))))
    assert (await ask(gateway, name)).status_code == 429
    ended = told(gateway, AuditEvent)[-1]
    assert (ended.event, ended.facts["code"]) == ("request.blocked", "rate_limited")


@ALL
async def test_who_was_refused_at_the_door_is_told_and_logged(gateway: Gateway, name: str, written: Any) -> None:
    gateway.hold(principal(TENANT, scopes=("chat",)))
    transport = httpx.ASGITransport(APPS[name](gateway.world), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=AUTH) as client:
        answers = [await client.get(f"/v1/{name}") for _ in range(AT_MOST + 1)]
    assert {answer.json()["error"]["code"] for answer in answers} == {"scope_missing"}
    assert len(told(gateway, AuditEvent)) == 2 * AT_MOST
    ended = told(gateway, AuditEvent)[-1]
    assert (ended.event, ended.of.tenant_id, ended.facts["code"]) == ("request.blocked", "acme", "scope_missing")
    lines, _ = written()
    assert {(line["tenant_id"], line["user_id"], line["key_id"]) for line in lines} == {("acme", "alice", "key_1")}


@ALL
async def test_of_a_stranger_nothing_is_told(gateway: Gateway, name: str, written: Any) -> None:
    assert (await ask(gateway, name, headers={"authorization": "Bearer gwk_wrong"})).status_code == 401
    assert gateway.world.events.told == []  # type: ignore[attr-defined]
    [line], _ = written()
    assert "tenant_id" not in line


@ALL
async def test_limits_that_cannot_be_checked_let_nothing_pass(gateway: Gateway, name: str) -> None:
    class Down:
        def __getattr__(self, method: str) -> Any:
            async def fail(*arguments: Any) -> Any:
                raise AdmissionUnavailable("Limits cannot be checked at the moment.")

            return fail

    gateway.world = replace(gateway.world, ledger=Down())
    answer = await ask(gateway, name)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "admission_unavailable")


async def test_the_description_of_the_api_is_for_everybody(gateway: Gateway) -> None:
    transport = httpx.ASGITransport(APPS["models"](gateway.world))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        assert (await client.get("/openapi.json")).status_code == 200
    assert await books(gateway) == await gateway.world.ledger.read("none")


async def test_a_defect_is_told_too(gateway: Gateway) -> None:
    async def broken(*arguments: Any) -> Any:
        await asyncio.sleep(0)
        raise RuntimeError("broken")

    assert isinstance(gateway.world.files, MemoryFiles)
    gateway.world.files.page = broken  # type: ignore[method-assign, assignment]
    assert (await ask(gateway, "files")).status_code == 500
    ended = told(gateway, AuditEvent)[-1]
    assert (ended.event, ended.facts["code"]) == ("request.failed", "internal_error")
    assert (await books(gateway)).holds == {}


@pytest.mark.parametrize("is_quiet", [False, True])
async def test_one_whose_function_died_is_lost_and_free(is_quiet: bool) -> None:
    stage = Stage()
    exchange = Exchange("req_0123456789abcdef", "files.create", 0.0, Trace.of("", "", ""), is_quiet=is_quiet)
    await let_in(f"Bearer {KEY}", "files", exchange, stage.world)
    swept = await stage.judgement_day()
    await stage.check()
    assert (swept.lost, swept.released) == ((0, 1) if is_quiet else (1, 0))
    used = await stage.used()
    assert (used.get("lost", 0), used.get("cost_nano_usd", 0)) == (0 if is_quiet else 1, 0)
