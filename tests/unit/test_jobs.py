"""Requests that run as jobs, in memory: accepted, carried out by workers that may die anywhere, settled once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.adapters.memory_ledger import MemoryLedger
from gateway.entry.chat import chat_app
from gateway.entry.jobs import jobs_app
from gateway.job_ports import JobPage
from gateway.model.catalog import ModelFacts, Prices
from gateway.model.errors import AdmissionUnavailable, JobInterrupted, StorageUnavailable
from gateway.model.http import HttpRequest, HttpResponse, Sending
from gateway.model.job import KEPT_S, LONGEST_S, Job, Status
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.record import TERMINAL, AuditEvent, UsageRecord
from gateway.pipeline import chat, job_record
from gateway.pipeline.job_end import give_up, settle
from gateway.pipeline.job_record import BELIEVED_S, WORK_S, JobBusy
from gateway.pipeline.job_sweep import sweep_jobs
from gateway.pipeline.job_work import JobPending, ask, look
from gateway.pipeline.top_up import top_up
from gateway.ports import World
from tests.asgi import Answer, call
from tests.fakes import (
    ListEvents,
    ListExecutions,
    ListRecords,
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    MemoryFiles,
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


async def test_a_job_that_comes_to_its_turn_too_late_asks_nobody(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    gateway.clock.unix_s += LONGEST_S
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["error"]["code"], gateway.provider.asked) == ("failed", "job_interrupted", 0)
    assert gateway.holds == 0


async def test_what_is_held_for_a_job_is_held_for_long_only_when_there_is_a_job(gateway: Gateway) -> None:
    """A function that dies while it accepts one keeps no slot for a day."""
    payloads, ends = gateway.world.payloads, []
    assert isinstance(payloads, MemoryPayloads)
    put = payloads.put

    async def watched(job: Job, body: bytes) -> None:
        ends.extend(gateway.leases)
        await put(job, body)

    payloads.put = watched  # type: ignore[method-assign]
    job_id = await gateway.accepted()
    now_s, expires_at_s = gateway.clock.now_s(), (await gateway.job(job_id)).expires_at_s
    assert len(ends) == 2 and max(ends) < now_s + 600
    assert len(gateway.leases) == 2 and min(gateway.leases) > expires_at_s


async def test_what_could_not_be_held_for_longer_when_it_was_accepted_is_when_it_begins(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: Any) -> Any:
        raise AdmissionUnavailable("The ledger does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(gateway.world.ledger, "enlarge", silent)
        job_id = await gateway.accepted()
    assert max(gateway.leases) < gateway.clock.now_s() + 600

    async def looks() -> None:
        assert min(gateway.leases) > (await gateway.job(job_id)).expires_at_s

    gateway.provider.meanwhile = looks
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert gateway.holds == 0


async def test_what_a_worker_that_died_made_more_of_is_settled_as_it_stands(gateway: Gateway) -> None:
    """It died between the ledger and the record."""
    job_id, ledger = await gateway.accepted(), gateway.world.ledger
    assert isinstance(ledger, MemoryLedger)
    for holds in ledger._holds.values():
        for name, hold in holds.items():
            holds[name] = msgspec.structs.replace(hold, cost_nano_usd=hold.cost_nano_usd + 7)
    for numbers in ledger._numbers.values():
        for number in numbers:
            numbers[number] += 7 * number.startswith("c")
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert gateway.holds == 0
    assert {numbers[name] for numbers in ledger._numbers.values() for name in numbers if name[0] in "cs"} == {COST}


async def test_what_a_worker_that_died_made_more_of_is_not_made_more_of_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook made the request dearer, for the one that died and for its follower."""

    async def dearer(planned: Any, *rest: Any) -> Any:
        exchange, world = rest[-2:]
        demand = replace(planned.demand, cost_nano_usd=3 * planned.demand.cost_nano_usd)
        await top_up(exchange.ticket, demand, world.clock.now_s())
        return replace(planned, demand=demand)

    async def dies(provider: str) -> Any:
        raise Killed

    monkeypatch.setattr(chat, "agreed", dearer)
    job_id, ledger = await gateway.accepted(), gateway.world.ledger
    assert isinstance(ledger, MemoryLedger)
    with monkeypatch.context() as killing:
        killing.setattr(gateway.world.credentials, "find", dies)
        with pytest.raises(Killed):
            await gateway.step(ask, job_id)
    gateway.clock.unix_s += BELIEVED_S
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (1, 0)
    assert {numbers[name] for numbers in ledger._numbers.values() for name in numbers if name[0] in "cs"} == {COST}


async def test_a_provider_that_refuses_fails_the_job(gateway: Gateway) -> None:
    gateway.provider.status, gateway.provider.reply = 400, {"error": {"message": "no", "code": "bad"}}
    job_id = await gateway.accepted()
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["result"], shown["cost_estimate"]) == ("failed", None, 0)
    assert shown["error"]["code"] == "validation_error"
    assert (gateway.holds, list(gateway.ends.values())) == (0, ["request.failed"])


async def test_a_large_reply_is_a_file(gateway: Gateway) -> None:
    gateway.provider.reply = {
        **REPLY,
        "choices": [{**REPLY["choices"][0], "message": {"role": "assistant", "content": "x" * 70_000}}],
    }
    shown = await gateway.worked(await gateway.accepted())
    assert "body" not in shown["result"]
    assert isinstance(gateway.world.files, MemoryFiles)
    stored, data = gateway.world.files.whole["acme", shown["result"]["file_id"]]
    assert stored.content_type == "application/json"
    assert len(json.loads(data)["choices"][0]["message"]["content"]) == 70_000
    assert shown["result"]["url"].startswith("https://")


async def test_a_worker_that_dies_before_it_asks_is_followed_by_one_that_asks(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    change, calls = gateway.world.jobs.change, 0

    async def dying(job: Job, due_at_s: int | None = None) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Killed
        return await change(job, due_at_s)

    gateway.world.jobs.change = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await gateway.step(ask, job_id)
    assert (gateway.provider.asked, (await gateway.job(job_id)).status) == (0, "running")
    gateway.clock.unix_s += BELIEVED_S
    assert (await gateway.worked(job_id))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (1, 0)


@pytest.mark.parametrize(("policy", "is_charged"), [("charge", True), ("release", False)])
async def test_a_worker_that_dies_while_it_asks_is_followed_by_none(
    gateway: Gateway, policy: Any, is_charged: bool
) -> None:
    held = gateway.access.held[key_hash(KEY)]
    tenant = msgspec.structs.replace(held.tenant, lost_requests=policy)
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, tenant=tenant)

    async def dies() -> None:
        raise Killed

    gateway.provider.meanwhile = dies
    job_id = await gateway.accepted()
    with pytest.raises(Killed):
        await gateway.step(ask, job_id)
    with pytest.raises(JobBusy):
        await gateway.step(ask, job_id)
    gateway.clock.unix_s += BELIEVED_S
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "job_interrupted")
    assert (gateway.provider.asked, gateway.holds) == (1, 0)
    assert [cost and cost > COST for cost in gateway.costs.values()] == [is_charged or 0]
    assert list(gateway.ends.values()) == ["request.failed"]


async def test_every_step_may_be_repeated(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    for _ in range(3):
        await gateway.step(ask, job_id)
    for _ in range(3):
        await gateway.step(settle, job_id)
    assert (gateway.provider.asked, gateway.holds, len(gateway.ends)) == (1, 0, 1)


async def test_an_end_that_was_recorded_is_told_by_whoever_comes_next(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.step(ask, job_id)
    assert (gateway.ends, gateway.holds) == ({}, 2)
    gateway.clock.unix_s += 3_600
    swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (swept.settled, gateway.holds, list(gateway.ends.values())) == (1, 0, ["request.completed"])
    again = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert again.settled == 0


async def test_a_job_that_is_cancelled_before_it_begins_costs_nothing(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    answer = await gateway.send("DELETE", f"/v1/jobs/{job_id}")
    assert (answer.status, answer.json["status"], answer.json["error"]["code"]) == (200, "cancelled", "job_cancelled")
    told = gateway.events[-1]
    assert told.of is not None
    assert (told.event, told.of.operation) == ("request.completed", "jobs.cancel")
    assert (gateway.holds, list(gateway.costs.values())) == (0, [0])
    shown = await gateway.worked(job_id)
    assert (shown["status"], gateway.provider.asked) == ("cancelled", 0)
    assert (await gateway.send("POST", f"/v1/jobs/{job_id}/cancel")).json["status"] == "cancelled"
    assert list(gateway.ends.values()) == ["request.failed"]


async def test_a_job_that_is_cancelled_while_its_provider_works_is_paid_and_has_no_result(gateway: Gateway) -> None:
    job_id = await gateway.accepted()

    async def cancelled() -> None:
        assert (await gateway.send("DELETE", f"/v1/jobs/{job_id}")).json["status"] == "cancelled"

    gateway.provider.meanwhile = cancelled
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["result"]) == ("cancelled", None)
    assert (gateway.holds, list(gateway.costs.values())) == (0, [COST])
    assert shown["cost_estimate"] == COST / 1e9
    assert list(gateway.ends.values()) == ["request.failed"]


async def test_a_job_that_is_cancelled_before_its_provider_is_asked_asks_nobody(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    find = gateway.world.credentials.find

    async def cancelled(provider: str) -> Any:
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        return await find(provider)

    gateway.world.credentials.find = cancelled  # type: ignore[method-assign]
    shown = await gateway.worked(job_id)
    assert (shown["status"], gateway.provider.asked, gateway.holds) == ("cancelled", 0, 0)


async def test_a_worker_that_hears_of_a_cancellation_between_two_steps_asks_nobody(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_record, "BEAT_S", 0.0)
    job_id = await gateway.accepted()
    find = gateway.world.credentials.find

    async def cancelled(provider: str) -> Any:
        await gateway.send("DELETE", f"/v1/jobs/{job_id}")
        for _ in range(20):
            await asyncio.sleep(0)  # several beats, if there are any after the one that hears of it
        return await find(provider)

    gateway.world.credentials.find = cancelled  # type: ignore[method-assign]
    shown = await gateway.worked(job_id)
    assert (shown["status"], gateway.provider.asked, gateway.holds) == ("cancelled", 0, 0)
    assert list(gateway.costs.values()) == [0]


async def test_two_workers_ask_once(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    working = asyncio.Event()

    async def works() -> None:
        working.set()
        await asyncio.sleep(0.01)

    gateway.provider.meanwhile = works
    first, second = asyncio.create_task(gateway.step(ask, job_id)), asyncio.create_task(gateway.step(ask, job_id))
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Job, JobBusy]
    assert gateway.provider.asked == 1
    shown = await gateway.worked(job_id)
    assert shown["status"] == "completed", shown


async def test_a_job_of_which_nothing_more_comes_is_waited_for_no_longer(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    waited = lambda job, world: look(job, world, 5.0)  # noqa: E731
    with pytest.raises(JobPending):
        await gateway.step(waited, job_id)
    gateway.clock.unix_s += WORK_S + 1
    assert (await gateway.step(waited, job_id)).status == "failed"


async def test_the_sweeper_starts_what_was_throttled_and_ends_what_died(gateway: Gateway) -> None:
    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.is_throttled = True
    job_id = await gateway.accepted()
    executions.is_throttled = False
    outcomes = []
    for state in (None, True, False):
        gateway.clock.unix_s += 400
        if state is not None:
            executions.started[job_id] = state
        swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
        outcomes.append((swept.started, swept.running, swept.ended))
    assert outcomes == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert ((await gateway.shown(job_id))["status"], gateway.holds) == ("failed", 0)
    assert list(gateway.costs.values()) == [0]


async def test_a_sweep_starts_no_more_than_a_moment_can_take(gateway: Gateway) -> None:
    """The others at the next, and what needs no start is seen to all the same."""
    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.is_throttled = True
    first, *_, last = [await gateway.accepted() for _ in range(5)]
    await gateway.step(ask, last)
    executions.is_throttled = False
    gateway.clock.unix_s += 400
    outcomes = []
    for _ in range(3):
        swept = await sweep_jobs(gateway.world, at_most=10, starts=2, until_s=gateway.clock.now_s() + 60)
        outcomes.append((swept.started, swept.settled))
    assert outcomes == [(2, 1), (2, 0), (0, 0)]
    assert first in executions.started


async def test_an_end_of_which_nothing_is_owed_is_looked_at_once_more_and_no_longer(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    settled = await gateway.job(job_id)
    assert await gateway.world.jobs.change(settled.changed(), int(gateway.clock.now_s()))
    outcomes = []
    for _ in range(2):
        gateway.clock.unix_s += 60
        swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
        outcomes.append((swept.settled, swept.failed))
    assert outcomes == [(1, 0), (0, 0)]
    assert (await gateway.shown(job_id))["status"] == "completed"


async def test_what_cannot_be_settled_is_tried_more_and_more_seldom_and_holds_nobody_up(gateway: Gateway) -> None:
    """Whose it is cannot be read."""
    stuck = await gateway.accepted()
    await gateway.step(ask, stuck)
    gateway.access.is_down = True
    tries = []
    for minute in range(24 * 60):
        gateway.clock.unix_s += 60
        swept = await sweep_jobs(gateway.world, at_most=1, until_s=gateway.clock.now_s() + 60)
        tries += [minute] * swept.failed
    assert 5 < len(tries) < 40
    assert tries[-1] - tries[-2] > tries[1] - tries[0]
    gateway.access.is_down = False
    gateway.clock.unix_s += 3_600
    assert (await sweep_jobs(gateway.world, at_most=1, until_s=gateway.clock.now_s() + 60)).settled == 1
    assert gateway.holds == 0


async def test_a_defect_over_one_job_keeps_no_sweep_from_the_others(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, other = await gateway.accepted(), await gateway.accepted()
    start = gateway.world.executions.start

    async def fails(job: Job) -> bool:
        if job.id == odd:
            raise KeyError("a prompt")
        return await start(job)

    executions = gateway.world.executions
    assert isinstance(executions, ListExecutions)
    executions.started.clear()
    monkeypatch.setattr(executions, "start", fails)
    gateway.clock.unix_s += 400
    outcomes = []
    for _ in range(2):
        swept = await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
        outcomes.append((swept.started, swept.failed))
    assert outcomes == [(1, 1), (0, 0)]
    assert other in executions.started
    assert isinstance(gateway.world.records, ListRecords)
    (trouble,) = gateway.world.records.troubles
    assert (trouble["event"], trouble["job_id"], trouble["reason"]) == ("job.not_swept", odd, "KeyError")


async def test_a_tenant_that_was_switched_off_asks_nobody(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    held = gateway.access.held[key_hash(KEY)]
    disabled = msgspec.structs.replace(held.tenant, status="disabled")
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, tenant=disabled)
    await gateway.step(ask, job_id)
    assert (await gateway.job(job_id)).error is not None
    assert gateway.provider.asked == 0


async def test_jobs_are_listed_newest_first_without_results(gateway: Gateway) -> None:
    ids = []
    for _ in range(3):
        gateway.clock.unix_s += 1
        ids.append(await gateway.accepted())
    await gateway.worked(ids[0])
    listed = (await gateway.send("GET", "/v1/jobs?limit=2")).json
    assert ([job["id"] for job in listed["data"]], listed["has_more"]) == ([ids[2], ids[1]], True)
    rest = (await gateway.send("GET", f"/v1/jobs?after={listed['last_id']}")).json
    assert [job["id"] for job in rest["data"]] == [ids[0]]
    assert rest["data"][0]["result"] is None
    completed = (await gateway.send("GET", "/v1/jobs?status=completed")).json
    assert [job["id"] for job in completed["data"]] == [ids[0]]
    assert (await gateway.send("GET", "/v1/jobs?status=odd")).status == 400
    assert (await gateway.send("GET", "/v1/jobs?after=odd")).status == 400


async def test_videos_are_among_the_jobs_by_their_age(gateway: Gateway) -> None:
    made: list[str] = []
    for number in range(6):
        gateway.clock.unix_s += 1
        job_id = await gateway.accepted()
        if number % 2:
            job = await gateway.job(job_id)
            job_id = job_id.replace("job_", "video_")
            await gateway.world.jobs.create(msgspec.structs.replace(job, id=job_id, operation="videos"), 0)
            del gateway.world.jobs.held["acme", job.id]  # type: ignore[attr-defined]
        made.insert(0, job_id)
    listed: list[str] = []
    more: dict[str, Any] = {"has_more": True, "last_id": None}
    while more["has_more"]:
        after = f"&after={more['last_id']}" if more["last_id"] else ""
        more = (await gateway.send("GET", f"/v1/jobs?limit=2{after}")).json
        listed += [job["id"] for job in more["data"]]
    assert listed == made


async def test_a_list_does_not_go_through_what_is_long_gone(gateway: Gateway) -> None:
    old = await gateway.accepted()
    await gateway.worked(old)
    gateway.clock.unix_s += 2 * 86_400 + 3_601
    young = await gateway.accepted()
    page, seen = gateway.world.jobs.page, list[str]()

    async def noted(tenant_id: str, limit: int, after: str | None, status: Status | None, until: str = "~") -> JobPage:
        found = await page(tenant_id, limit, after, status, until)
        seen.extend(job.id for job in found.jobs)
        return found

    gateway.world.jobs.page = noted  # type: ignore[method-assign]
    assert [job["id"] for job in (await gateway.send("GET", "/v1/jobs")).json["data"]] == [young]
    assert seen == [young]


async def test_a_reply_does_not_outlast_what_was_promised(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    gateway.clock.unix_s += KEPT_S - 1
    await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (await gateway.job(job_id)).result is not None
    gateway.clock.unix_s += 1
    await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)
    assert (await gateway.job(job_id)).result is None
    assert (await gateway.send("GET", f"/v1/jobs/{job_id}")).status == 410
    gateway.clock.unix_s += 3_600
    assert (await sweep_jobs(gateway.world, at_most=10, until_s=gateway.clock.now_s() + 60)).settled == 0


async def test_a_result_is_kept_a_day_and_remembered_a_week(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.worked(job_id)
    gateway.clock.unix_s += KEPT_S
    gone = await gateway.send("GET", f"/v1/jobs/{job_id}")
    assert (gone.status, gone.json["error"]["code"]) == (410, "job_expired")
    gateway.clock.unix_s += 8 * 86_400
    assert (await gateway.send("GET", f"/v1/jobs/{job_id}")).status == 404


async def test_another_tenants_job_is_not_found(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    other = principal(msgspec.structs.replace(TENANT, id="other", approvals=("*",)))
    gateway.access.held[key_hash("gwk_other")] = other
    answer = await call(
        jobs_app(gateway.world), b"", {"authorization": "Bearer gwk_other"}, method="GET", path=f"/v1/jobs/{job_id}"
    )
    assert (answer.status, answer.json["error"]["code"]) == (404, "job_not_found")
    for odd in ("job_x", "video_1", "../T"):
        assert (await gateway.send("GET", f"/v1/jobs/{odd}")).status == 404


async def test_giving_up_ends_a_job_once(gateway: Gateway) -> None:
    job_id = await gateway.accepted()
    await gateway.step(ask, job_id)
    ended = await give_up(await gateway.job(job_id), JobInterrupted("too late"), gateway.world)
    assert ended.status == "completed"


async def test_an_order_with_the_same_idempotency_key_is_the_same_job(gateway: Gateway) -> None:
    keyed = {"idempotency-key": "k-1"}
    first = (await gateway.post(headers=keyed, **ASYNC)).json
    again = await gateway.post(headers=keyed, **ASYNC)
    assert (again.status, again.json["id"]) == (202, first["id"])
    assert gateway.holds == 2
    other = await gateway.post(headers=keyed, **ASYNC | {"max_tokens": 5})
    assert (other.status, other.json["error"]["code"]) == (409, "idempotency_conflict")
    assert (await gateway.worked(first["id"]))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (1, 0)
    assert (await gateway.post(headers=keyed, **ASYNC)).json["status"] == "completed"
    assert (await gateway.post(headers={"idempotency-key": "k" * 256}, **ASYNC)).status == 400


async def test_an_order_that_comes_again_takes_nothing_and_needs_no_room(gateway: Gateway) -> None:
    keyed = {"idempotency-key": "k-1"}
    first = (await gateway.post(headers=keyed, **ASYNC)).json
    held = gateway.access.held[key_hash(KEY)]
    full = Allowance(limits=(Limits(concurrent_requests=1),), budgets=(Budget(window="month", usd=Decimal("0.00001")),))
    tenant = msgspec.structs.replace(held.tenant, allowance=full)
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, tenant=tenant)
    assert (await gateway.post(headers={"idempotency-key": "k-2"}, **ASYNC)).status in (402, 429)
    again = await gateway.post(headers=keyed, **ASYNC)
    assert (again.status, again.json["id"]) == (202, first["id"])
    assert (gateway.holds, gateway.costs.get(again.headers["x-request-id"])) == (2, None)
    stranger = await gateway.post(headers={**keyed, "authorization": "Bearer gwk_wrong"}, **ASYNC)
    assert stranger.status == 401


async def test_an_order_that_comes_again_when_its_job_is_gone_is_told_so(gateway: Gateway) -> None:
    keyed = {"idempotency-key": "k-1"}
    first = (await gateway.post(headers=keyed, **ASYNC)).json
    await gateway.worked(first["id"])
    job = await gateway.job(first["id"])
    await gateway.world.jobs.change(job.changed(expires_at_s=int(gateway.clock.now_s())))
    gone = await gateway.post(headers=keyed, **ASYNC)
    assert (gone.status, gone.json["error"]["code"], gone.json["error"]["param"]) == (
        410,
        "job_expired",
        "Idempotency-Key",
    )
    job = await gateway.job(first["id"])
    await gateway.world.jobs.change(job.changed(facts={**job.facts, "deleted": True}))
    assert (await gateway.post(headers=keyed, **ASYNC)).status == 404
    assert (gateway.provider.asked, gateway.holds) == (1, 0)
    gateway.clock.unix_s += KEPT_S
    assert (await gateway.post(headers=keyed, **ASYNC)).status == 202  # a key is remembered for a day


async def test_two_orders_at_once_with_one_idempotency_key_are_one_job(gateway: Gateway) -> None:
    payloads, keyed = gateway.world.payloads, {"idempotency-key": "k-1"}
    assert isinstance(payloads, MemoryPayloads)
    put = payloads.put

    async def slow(job: Job, body: bytes) -> None:
        await asyncio.sleep(0)
        await put(job, body)

    payloads.put = slow  # type: ignore[method-assign]
    orders = [gateway.post(headers=keyed, **ASYNC) for _ in range(2)]
    first, second = [answer.json["id"] for answer in await asyncio.gather(*orders)]
    assert (first, gateway.holds) == (second, 2)
    assert (await gateway.worked(first))["status"] == "completed"
    assert (gateway.provider.asked, gateway.holds) == (1, 0)


async def test_an_idempotency_key_whose_first_order_died_makes_the_job(gateway: Gateway) -> None:
    assert isinstance(gateway.world.payloads, MemoryPayloads)
    keyed = {"idempotency-key": "k-1"}
    gateway.world.payloads.is_broken = True
    assert (await gateway.post(headers=keyed, **ASYNC)).status == 503
    gateway.world.payloads.is_broken = False
    job = (await gateway.post(headers=keyed, **ASYNC)).json
    assert (await gateway.worked(job["id"]))["status"] == "completed"
