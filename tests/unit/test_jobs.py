"""Requests that run as jobs, in memory: accepted, carried out by workers that may die anywhere, settled once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.entry.chat import chat_app
from gateway.entry.jobs import jobs_app
from gateway.model.catalog import ModelFacts, Prices
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest, HttpResponse, Sending
from gateway.model.job import Job
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.record import TERMINAL, AuditEvent, UsageRecord
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_work import ask
from gateway.ports import World
from tests.asgi import Answer, call
from tests.fakes import (
    ListEvents,
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    MemoryPayloads,
    key_hash,
    note_sent,
    principal,
    world_of,
)
from tests.unit.conftest import KEY, TENANT

PRICES = Prices(input=1_000_000, output=2_000_000)
MODELS = {"openai": {"gpt": ModelFacts(id="gpt", name="gpt", source="x", prices=PRICES, context_tokens=1_000)}}
REPLY: dict[str, Any] = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
COST = 10 * 1_000 + 5 * 2_000
CHAT: dict[str, Any] = {"model": "openai/gpt", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
ASYNC: dict[str, Any] = CHAT | {"async": True}


class Killed(BaseException):
    """A worker dies: nothing of it goes on."""


@dataclass
class Whole:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def whole(self) -> HttpResponse:
        return HttpResponse(self.status, self.headers, self.body)


@dataclass
class Provider:
    """`meanwhile`: what happens while it works."""

    status: int = 200
    reply: Any = field(default_factory=lambda: REPLY)
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    asked: int = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Whole]:
        note_sent(sending)
        self.asked += 1
        if self.meanwhile is not None:
            await self.meanwhile()
        yield Whole(self.status, json.dumps(self.reply).encode())


@dataclass
class Gateway:
    world: World
    provider: Provider
    access: MemoryAccess

    async def post(
        self,
        path: str = "/v1/chat/completions",
        headers: dict[str, str] | None = None,
        answer: Answer | None = None,
        **body: Any,
    ) -> Answer:
        app = jobs_app(self.world) if path.startswith("/v1/jobs") else chat_app(self.world)
        sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **(headers or {})}
        return await call(app, json.dumps(body).encode(), sent, path=path, answer=answer)

    async def send(self, method: str, path: str) -> Answer:
        return await call(jobs_app(self.world), b"", {"authorization": f"Bearer {KEY}"}, method=method, path=path)

    async def accepted(self, **body: Any) -> str:
        answer = await self.post(**{**CHAT, "async": True, **body})
        assert answer.status == 202, answer.body
        found: str = answer.json["id"]
        return found

    async def shown(self, job_id: str) -> Any:
        return (await self.send("GET", f"/v1/jobs/{job_id}")).json

    async def job(self, job_id: str) -> Job:
        return await self.world.jobs.get("acme", job_id)

    async def step(self, step: Callable[[Job, World], Awaitable[Job]], job_id: str) -> Job:
        return await step(await self.job(job_id), self.world)

    async def worked(self, job_id: str) -> Any:
        await self.step(ask, job_id)
        await self.step(settle, job_id)
        return await self.shown(job_id)

    @property
    def events(self) -> list[AuditEvent]:
        assert isinstance(self.world.events, ListEvents)
        return [told for told in self.world.events.told if isinstance(told, AuditEvent)]

    @property
    def ends(self) -> dict[str, str]:
        """Of what was asked, not of who looked at it or cancelled it."""
        asked = [told for told in self.events if told.of is not None and told.of.operation == "chat"]
        return {told.id: told.event for told in asked if told.event in TERMINAL}

    @property
    def costs(self) -> dict[str, int | None]:
        assert isinstance(self.world.events, ListEvents)
        return {told.id: told.cost_nano_usd for told in self.world.events.told if isinstance(told, UsageRecord)}

    @property
    def holds(self) -> int:
        assert isinstance(self.world.ledger, MemoryLedger)
        return sum(map(len, self.world.ledger._holds.values()))

    @property
    def leases(self) -> list[int]:
        """Unix seconds at which what is held is held no longer."""
        assert isinstance(self.world.ledger, MemoryLedger)
        return [hold.until_s for holds in self.world.ledger._holds.values() for hold in holds.values()]

    @property
    def payloads(self) -> dict[str, bytes]:
        assert isinstance(self.world.payloads, MemoryPayloads)
        return self.world.payloads.held

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.world.clock, ManualClock)
        return self.world.clock


@pytest.fixture
def gateway() -> Gateway:
    return gateway_of_jobs()


def gateway_of_jobs() -> Gateway:
    limits = (Limits(concurrent_requests=100),)
    allowance = Allowance(limits=limits, budgets=(Budget(window="month", usd=Decimal(1)),))
    tenant = msgspec.structs.replace(TENANT, approvals=("*",), allowance=allowance)
    access, provider = MemoryAccess({key_hash(KEY): principal(tenant)}), Provider()
    world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it is asked what a test wants
    return Gateway(world, provider, access)


async def test_a_request_becomes_a_job_and_its_reply_the_jobs_result(gateway: Gateway) -> None:
    answer = await gateway.post(**ASYNC, metadata={"conversation_id": "c-1"})
    told = answer.json
    assert answer.status == 202
    assert answer.headers["location"] == f"../jobs/{told['id']}"
    assert int(answer.headers["retry-after"]) > 0
    assert (told["object"], told["status"], told["endpoint"]) == ("job", "pending", "/v1/chat/completions")
    assert (gateway.provider.asked, gateway.holds) == (0, 2)
    shown = await gateway.worked(told["id"])
    assert (shown["status"], shown["result"]["status_code"]) == ("completed", 200)
    assert shown["result"]["body"]["choices"][0]["message"]["content"] == "Hello."
    assert shown["result"]["body"]["gateway"]["request_id"] == told["request_id"]
    assert shown["cost_estimate"] == COST / 1e9
    assert (gateway.provider.asked, gateway.holds, gateway.payloads) == (1, 0, {})
    assert gateway.costs == {f"{told['request_id']}.1": COST}
    assert {(event.event, event.of.job_id) for event in gateway.events if event.of} == {
        ("request.started", told["id"]),
        ("request.completed", told["id"]),
    }
    assert gateway.events[-1].of is not None
    assert gateway.events[-1].of.conversation_id == "c-1"


async def test_a_preference_makes_a_job_of_what_can_be_one(gateway: Gateway) -> None:
    preferred = {"prefer": "respond-async, wait=10"}
    for asked in (CHAT, CHAT | {"async": None}):
        answer = await gateway.post(headers=preferred, **asked)
        assert (answer.status, answer.headers["preference-applied"]) == (202, "respond-async")
    assert "preference-applied" not in (await gateway.post(**ASYNC)).headers
    assert (await gateway.post(headers=preferred, **CHAT | {"async": False})).status == 200
    assert (await gateway.post(headers=preferred, **CHAT, stream=True)).status != 202
    assert (await gateway.post(headers=preferred, model=3)).status == 400


async def test_any_endpoint_is_ordered_at_jobs(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/jobs", endpoint="/v1/chat/completions", body=CHAT)
    assert answer.status == 202
    assert (await gateway.worked(answer.json["id"]))["status"] == "completed"


async def test_an_order_may_say_by_its_header_what_it_is_anyway(gateway: Gateway) -> None:
    preferred = {"prefer": "respond-async"}
    answer = await gateway.post("/v1/jobs", headers=preferred, endpoint="/v1/chat/completions", body=CHAT)
    assert answer.status == 202


@pytest.mark.parametrize("order", [{"endpoint": "/v1/nowhere", "body": {}}, {"body": 3}, {}])
async def test_a_stranger_is_told_nothing_of_what_can_be_ordered(gateway: Gateway, order: dict[str, Any]) -> None:
    for authorization in ({"authorization": "Bearer gwk_wrong"}, {"authorization": ""}):
        answer = await gateway.post("/v1/jobs", headers=authorization, **order)
        assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    assert (await gateway.post("/v1/jobs", **order)).status == 400


async def test_a_wrong_order_is_told_of_whoever_gave_it(gateway: Gateway) -> None:
    await gateway.post("/v1/jobs", endpoint="/v1/nowhere", body={})
    assert [(told.tenant_id, told.event) for told in gateway.events] == [
        ("acme", "request.started"),
        ("acme", "request.failed"),
    ]


@pytest.mark.parametrize(
    ("order", "param"),
    [
        ({"endpoint": "/v1/models", "body": {}}, "endpoint"),
        ({"body": {}}, "endpoint"),
        ({"endpoint": "/v1/chat/completions", "body": 3}, "body"),
        ({"endpoint": "/v1/chat/completions", "body": {**CHAT, "async": False}}, "async"),
        ({"endpoint": "/v1/chat/completions", "body": {**CHAT, "stream": True}}, "async"),
        ({"endpoint": "/v1/chat/completions", "body": {**CHAT, "temperature": "hot"}}, "temperature"),
    ],
)
async def test_a_wrong_order_names_the_field(gateway: Gateway, order: dict[str, Any], param: str) -> None:
    answer = await gateway.post("/v1/jobs", **order)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert (gateway.holds, gateway.payloads) == (0, {})


async def test_what_is_not_admitted_is_no_job(gateway: Gateway) -> None:
    answer = await gateway.post(**{**CHAT, "async": True, "max_tokens": 900, "n": 1, "model": "openai/nobody"})
    assert answer.status == 404
    gateway.access.held[key_hash(KEY)] = principal(
        msgspec.structs.replace(
            TENANT, approvals=("*",), allowance=Allowance(budgets=(Budget(window="day", usd=Decimal(0)),))
        )
    )
    refused = await gateway.post(**ASYNC)
    assert (refused.status, refused.json["error"]["code"]) == (402, "budget_exceeded")
    assert (await gateway.send("GET", "/v1/jobs")).json["data"] == []


async def test_a_request_that_cannot_be_kept_is_no_job_and_holds_nothing(gateway: Gateway) -> None:
    assert isinstance(gateway.world.payloads, MemoryPayloads)
    gateway.world.payloads.is_broken = True
    answer = await gateway.post(**ASYNC)
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    assert gateway.holds == 0
    assert list(gateway.ends.values()) == ["request.failed"]


def losing_creations(gateway: Gateway, *, is_kept: bool) -> None:
    """From now on whoever makes a job hears nothing of it. `is_kept`: whether there is one all the same."""
    create = gateway.world.jobs.create

    async def unanswered(job: Job, due_at_s: int) -> None:
        if is_kept:
            await create(job, due_at_s)
        raise StorageUnavailable("Jobs cannot be stored at the moment.")

    gateway.world.jobs.create = unanswered  # type: ignore[method-assign]


@pytest.mark.parametrize(("is_kept", "status", "holds"), [(True, 202, 2), (False, 503, 0)])
async def test_whether_an_unanswered_job_was_made_is_looked_up(
    gateway: Gateway, is_kept: bool, status: int, holds: int
) -> None:
    losing_creations(gateway, is_kept=is_kept)
    answer = await gateway.post(**ASYNC)
    assert (answer.status, gateway.holds) == (status, holds)
    if is_kept:
        assert (await gateway.worked(answer.json["id"]))["status"] == "completed"
        assert (gateway.holds, list(gateway.costs.values())) == (0, [COST])


async def test_a_job_of_which_nobody_could_tell_whether_it_was_made_asks_nobody(gateway: Gateway) -> None:
    """The client was told that there is none, and nothing is held for it."""
    get = gateway.world.jobs.get

    async def silent(tenant_id: str, job_id: str) -> Job:
        raise StorageUnavailable("Jobs cannot be read at the moment.")

    losing_creations(gateway, is_kept=True)
    gateway.world.jobs.get = silent  # type: ignore[method-assign]
    assert (await gateway.post(**ASYNC)).status == 503
    gateway.world.jobs.get = get  # type: ignore[method-assign]
    assert gateway.holds == 0
    listed = (await gateway.send("GET", "/v1/jobs")).json["data"]
    shown = await gateway.worked(listed[0]["id"])
    assert (shown["status"], shown["error"]["code"], gateway.provider.asked) == ("failed", "job_interrupted", 0)
    assert list(gateway.costs.values()) == [0]
