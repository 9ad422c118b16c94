"""GET /v1/usage, its requests, and /admin/usage, in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Request

from gateway.entry.admin_usage import usage_routes
from gateway.entry.rest import rest_app
from gateway.entry.usage import usage_app
from gateway.model.errors import InvalidApiKey
from gateway.model.record import UsageRecord
from tests.fakes import ManualClock, principal
from tests.record_fakes import NOW_S, MemoryUsage, record
from tests.unit.conftest import KEY, TENANT, Gateway
from tests.unit.facts.contract import component, problems

AUTH = {"authorization": f"Bearer {KEY}"}
DAY_S = 86_400
MODELS = ("openai/gpt-4o", "groq/llama")


def told() -> list[UsageRecord]:
    """Six requests of two users over three days, one of which took two attempts; and a refused one."""
    records = [
        record(
            f"req_{number}",
            at_s=NOW_S + number // 2 * DAY_S,
            of={"user_id": "alice" if number % 3 else "bob"},
            model=MODELS[number % 2],
            provider=MODELS[number % 2].partition("/")[0],
            cost_nano_usd=10**number + 1,
        )
        for number in range(6)
    ]
    failed = record("req_5", 2, at_s=NOW_S + 2 * DAY_S, outcome="error", code="provider_error", usage=None)
    refused = record("req_6", 0, outcome="refused", code="rate_limited", usage=None, provider=None, model=None)
    return [*records, failed, refused]


@pytest.fixture
def usage(gateway: Gateway) -> MemoryUsage:
    return MemoryUsage(gateway.world.clock)


@pytest.fixture
async def client(gateway: Gateway, usage: MemoryUsage) -> AsyncIterator[httpx.AsyncClient]:
    await usage.add([*told(), record("req_x", of={"tenant_id": "other"}, cost_nano_usd=5)])
    assert isinstance(gateway.world.clock, ManualClock)
    gateway.world.clock.unix_s = NOW_S + 3 * DAY_S
    transport = httpx.ASGITransport(usage_app(gateway.world, usage), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=AUTH) as client:
        yield client


async def report(client: httpx.AsyncClient, path: str = "/v1/usage", **query: Any) -> dict[str, Any]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert problems(component("UsageReport"), found) == []
    return found


async def test_without_grouping_there_is_one_row_of_this_month(client: httpx.AsyncClient) -> None:
    found = await report(client)
    assert (found["from"], found["to"]) == ("2026-09-01", "2026-09-24")
    [row] = found["data"]
    assert row == found["total"]
    assert (row["requests"], row["attempts"], row["errors"], row["refused"], row["lost"]) == (7, 7, 1, 1, 0)
    assert row["cost_nano_usd"] == sum(record.cost_nano_usd or 0 for record in told())
    assert row["cost_usd"] == "0.002111119"
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (6 * 12, 6 * 34, 6 * 46)
    assert row["prompt_tokens_details"]["cached_tokens"] == 30
    assert row["completion_tokens_details"]["reasoning_tokens"] == 42


@pytest.mark.parametrize("group_by", ["day", "user", "model,day", "provider,operation,key", "user, model"])
async def test_rows_of_any_grouping_add_up_to_the_total(client: httpx.AsyncClient, group_by: str) -> None:
    found = await report(client, group_by=group_by)
    names = [name.strip() for name in group_by.split(",")]
    assert found["group_by"] == names
    keys = [tuple(row[name] or "" for name in names) for row in found["data"]]
    assert keys == sorted(set(keys))
    for name in ("requests", "attempts", "errors", "refused", "total_tokens", "cost_nano_usd"):
        assert sum(row[name] for row in found["data"]) == found["total"][name]


async def test_what_came_to_no_model_has_none(client: httpx.AsyncClient) -> None:
    found = await report(client, group_by="provider,model")
    assert [(row["provider"], row["model"]) for row in found["data"]] == [
        (None, None),
        ("groq", "groq/llama"),
        ("openai", "openai/gpt-4o"),
    ]


async def test_days_are_the_ones_that_were_asked_for(client: httpx.AsyncClient) -> None:
    found = await report(client, **{"from": "2026-09-22", "to": "2026-09-22", "group_by": "day"})
    assert [row["day"] for row in found["data"]] == ["2026-09-22"]
    assert found["total"]["requests"] == 2


async def test_nothing_used_is_an_empty_report(client: httpx.AsyncClient) -> None:
    found = await report(client, to="2026-01-31")
    assert (found["from"], found["data"], found["total"]["cost_usd"]) == ("2026-01-01", [], "0")


async def test_pages_follow_each_other_by_their_link(client: httpx.AsyncClient) -> None:
    whole = (await report(client, group_by="day,model"))["data"]
    rows: list[Any] = []
    url: Any = "/v1/usage?group_by=day%2Cmodel&limit=2"
    while url is not None:
        answer = await client.get(url)
        rows += answer.json()["data"]
        assert answer.json()["has_more"] == ("link" in answer.headers)
        assert answer.json()["total"]["requests"] == 7
        link = answer.links.get("next")
        url = answer.url.join(link["url"]) if link else None
    assert rows == whole
    assert len(rows) == 7


@pytest.mark.parametrize(("query", "headers"), [({"format": "csv"}, {}), ({}, {"accept": "text/csv"})])
async def test_a_table_has_the_same_figures(
    client: httpx.AsyncClient, query: dict[str, str], headers: dict[str, str]
) -> None:
    answer = await client.get("/v1/usage", params={**query, "group_by": "day,user"}, headers=headers)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    expected = (await report(client, group_by="day,user"))["data"]
    assert [(row["day"], row["user"], int(row["requests"]), row["cost_usd"]) for row in rows] == [
        (row["day"], row["user"], row["requests"], row["cost_usd"]) for row in expected
    ]
    assert int(rows[0]["cached_tokens"]) == expected[0]["prompt_tokens_details"]["cached_tokens"]
    assert "prompt_audio_tokens" in rows[0]
    assert "completion_audio_tokens" in rows[0]


async def test_a_page_of_a_table_has_a_link_too(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/usage", params={"format": "csv", "group_by": "day", "limit": 1})
    assert len(answer.text.splitlines()) == 2
    assert 'rel="next"' in answer.headers["link"]


async def test_a_spreadsheet_calculates_nothing(client: httpx.AsyncClient, usage: MemoryUsage) -> None:
    await usage.add([record("req_evil", of={"user_id": "=HYPERLINK(1)"})])
    answer = await client.get("/v1/usage", params={"format": "csv", "group_by": "user"})
    assert "'=HYPERLINK(1)" in answer.text


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"group_by": "colour"}, "group_by"),
        ({"group_by": "tenant"}, "group_by"),
        ({"group_by": "day,day"}, "group_by"),
        ({"from": "2026-09-31"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "20260901"}, "to"),
        ({"from": "2026-09-02", "to": "2026-09-01"}, "from"),
        ({"from": "2025-01-01", "to": "2026-09-01"}, "from"),
        ({"limit": "0"}, "limit"),
        ({"limit": "5001"}, "limit"),
        ({"after": "nonsense"}, "after"),
        ({"after": "WyJhIiwgImIiXQ"}, "after"),
        ({"format": "xml"}, "format"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_bad_questions_are_named(client: httpx.AsyncClient, query: dict[str, str], param: str) -> None:
    answer = await client.get("/v1/usage", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_error")
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/usage/requests/req_1"])
async def test_usage_takes_a_key_for_it(client: httpx.AsyncClient, gateway: Gateway, path: str) -> None:
    assert (await client.get(path, headers={"authorization": "Bearer gwk_no"})).status_code == 401
    gateway.hold(principal(TENANT, scopes=("chat",)))
    assert (await client.get(path)).json()["error"]["code"] == "scope_missing"


async def test_a_request_is_shown_with_its_attempts(client: httpx.AsyncClient) -> None:
    found = (await client.get("/v1/usage/requests/req_5")).json()
    assert problems(component("RequestUsage"), found) == []
    assert (found["id"], found["status"], found["code"], found["user_id"]) == (
        "req_5",
        "failed",
        "provider_error",
        "alice",
    )
    assert [attempt["status"] for attempt in found["attempts"]] == ["ok", "error"]
    assert found["cost_nano_usd"] == 100_001 + 1_000_001
    assert found["cost_usd"] == "0.001100002"
    assert found["ended_at"] == "2026-09-23T14:13:20.000Z"


async def test_a_request_that_came_to_no_provider_has_no_attempts(client: httpx.AsyncClient) -> None:
    found = (await client.get("/v1/usage/requests/req_6")).json()
    assert problems(component("RequestUsage"), found) == []
    assert (found["status"], found["attempts"]) == ("refused", [])


@pytest.mark.parametrize("request_id", ["req_none", "req_x", "x" * 500])
async def test_what_is_not_this_tenant_s_is_not_found(client: httpx.AsyncClient, request_id: str) -> None:
    answer = await client.get(f"/v1/usage/requests/{request_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "request_not_found")


@pytest.fixture
async def admin(client: httpx.AsyncClient, usage: MemoryUsage) -> AsyncIterator[httpx.AsyncClient]:
    async def admitted(request: Request) -> None:
        if request.headers.get("authorization") != "Bearer admin":
            raise InvalidApiKey("no")

    app = rest_app()
    app.include_router(usage_routes(admitted, usage, ManualClock(NOW_S + 3 * DAY_S)), prefix="/admin")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": "Bearer admin"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as made:
        yield made


async def test_the_administrator_sees_all_tenants(admin: httpx.AsyncClient) -> None:
    found = await report(admin, "/admin/usage", group_by="tenant")
    assert [(row["tenant"], row["requests"]) for row in found["data"]] == [("acme", 7), ("other", 1)]
    one = await report(admin, "/admin/usage", tenant_id="other", group_by="tenant,user")
    assert [(row["tenant"], row["user"], row["cost_nano_usd"]) for row in one["data"]] == [("other", "alice", 5)]
    table = await admin.get("/admin/usage", params={"format": "csv", "group_by": "tenant"})
    assert [line.split(",")[:2] for line in table.text.splitlines()[1:]] == [["acme", "7"], ["other", "1"]]


async def test_nobody_else_does(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/admin/usage", headers={"authorization": f"Bearer {KEY}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
