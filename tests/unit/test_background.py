"""Chats that their provider answers in the background, in memory: waited for, handed over, given late, settled once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts, Prices
from gateway.model.hook import DenyListHook, Hook, LambdaHook, MaskPiiHook
from gateway.model.http import HttpRequest, Sending
from gateway.model.job import LONGEST_S, Job
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.provider_errors import ProviderError
from gateway.model.tenant import Tenant
from gateway.pipeline.background import EVERY_S
from gateway.pipeline.handed_over import GRACE_S
from gateway.pipeline.job_end import settle
from gateway.pipeline.job_record import BELIEVED_S
from gateway.pipeline.job_work import JobPending, ask, look
from gateway.ports import World
from tests.fakes import (
    ListRecords,
    MemoryAccess,
    MemoryCatalog,
    ScriptedHooks,
    key_hash,
    note_sent,
    principal,
    world_of,
)
from tests.unit.conftest import KEY, TENANT
from tests.unit.test_jobs import Gateway as Jobs
from tests.unit.test_jobs import Killed, Whole

PRICES = Prices(input=1_000_000, output=2_000_000)
FACTS = ModelFacts(
    id="deep",
    name="deep",
    api="responses",
    source="x",
    prices=PRICES,
    context_tokens=1_000,
    capabilities=("streaming", "structured_output"),
    background=True,
)
COST = 10 * 1_000 + 5 * 2_000
CHAT: dict[str, Any] = {"model": "openai/deep", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
DIED = ProviderError("The connection to the provider failed.")


def response(status: str, text: str = "Hello.", **members: Any) -> Any:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    output, usage = ([said], USAGE) if status in ("completed", "incomplete") else ([], None)
    whole = {"id": "resp_1", "object": "response", "status": status, "model": "deep", "output": output, "usage": usage}
    return whole | members


WORKING, DONE = response("in_progress"), response("completed")


@dataclass
class Remote:
    """`looks`: what it says each time that it is asked how it gets on, the last one for ever."""

    begins: Any = field(default_factory=lambda: response("queued"))
    looks: list[Any] = field(default_factory=lambda: [WORKING, DONE])
    stopped: Any = field(default_factory=lambda: response("cancelled", usage=USAGE))
    before: Callable[[HttpRequest], Awaitable[Any]] | None = None
    sent: list[HttpRequest] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Whole]:
        self.sent.append(request)
        note_sent(sending)
        if self.before is not None:
            await self.before(request)
        if request.url.endswith("/cancel"):
            said = self.stopped
        elif request.method == "POST":
            said = self.begins
        else:
            said = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(said, Exception):
            raise said
        status, body = said if isinstance(said, tuple) else (200, said)
        yield Whole(status, json.dumps(body).encode())

    def asked(self, kind: str) -> int:
        kinds = ["cancel" if one.url.endswith("/cancel") else one.method for one in self.sent]
        return kinds.count(kind)


@dataclass
class Gateway(Jobs):
    remote: Remote = field(default_factory=Remote)

    def allow(self, **members: Any) -> None:
        self.access.held[key_hash(KEY)] = principal(msgspec.structs.replace(_tenant(), **members))

    async def handed_over(self, **body: Any) -> str:
        """A job whose caller waited in vain."""
        self.remote.looks = [WORKING]
        answer = await self.post(**{**CHAT, "timeouts": {"total_ms": 6_000}, **body})
        assert answer.status == 202, answer.json
        found: str = answer.json["id"]
        return found

    async def looked(self, job_id: str) -> Job:
        """As the job's execution looks, later."""
        self.clock.unix_s += EVERY_S
        return await look(await self.job(job_id), self.world, EVERY_S)

    async def finished(self, job_id: str) -> Any:
        await self.looked(job_id)
        await self.step(settle, job_id)
        return await self.shown(job_id)

    @property
    def only(self) -> Job:
        """The record that there is, whether or not its tenant knows of it."""
        (held,) = self.world.jobs.held.values()  # type: ignore[attr-defined]
        found: Job = held[0]
        return found

    @property
    def troubles(self) -> list[str]:
        assert isinstance(self.world.records, ListRecords)
        return [trouble["event"] for trouble in self.world.records.troubles]

    def is_settled(self, cost_nano_usd: int) -> bool:
        """At that, told once, with nothing held and nothing kept of the request."""
        return (
            (self.holds, self.payloads) == (0, {})
            and list(self.costs.values()) == [cost_nano_usd]
            and len(self.ends) == 1
            and self.only.owed is None
        )


def _tenant() -> Tenant:
    limits = (Limits(concurrent_requests=100),)
    allowance = Allowance(limits=limits, budgets=(Budget(window="month", usd=Decimal(1)),))
    return msgspec.structs.replace(TENANT, approvals=("*",), allowance=allowance)


@pytest.fixture
def gateway() -> Gateway:
    return gateway_of_background()


def gateway_of_background() -> Gateway:
    access, remote = MemoryAccess({key_hash(KEY): principal(_tenant())}), Remote()
    world: World = world_of(remote, access, MemoryCatalog({"openai": {"deep": FACTS}}))  # type: ignore[arg-type]  # it says what a test wants
    return Gateway(world, remote, access, remote)  # type: ignore[arg-type]  # the same


async def test_who_waits_has_the_reply_as_ever_and_nothing_of_it_is_kept(gateway: Gateway) -> None:
    answer = await gateway.post(**CHAT)
    assert (answer.status, answer.json["object"]) == (200, "chat.completion")
    assert answer.json["choices"][0]["message"]["content"] == "Hello."
    assert answer.json["gateway"]["attempts"][0]["status"] == "ok"
    assert gateway.clock.slept == [2.0, 3.0]
    assert json.loads(gateway.remote.sent[0].body)["background"] is True
    assert gateway.is_settled(COST)
    assert (gateway.only.status, gateway.only.result) == ("completed", None)
    assert (await gateway.send("GET", "/v1/jobs")).json["data"] == []
    assert (await gateway.send("GET", f"/v1/jobs/{gateway.only.id}")).status == 404
    assert gateway.world.executions.started == {}  # type: ignore[attr-defined]
    assert list(gateway.ends.values()) == ["request.completed"]


async def test_a_stream_is_no_background_work(gateway: Gateway) -> None:
    gateway.remote.begins = response("completed")
    await gateway.post(**CHAT, stream=True)
    assert "background" not in json.loads(gateway.remote.sent[0].body)
    assert not gateway.world.jobs.held  # type: ignore[attr-defined]


async def test_whose_time_is_up_has_the_job_which_goes_on(gateway: Gateway) -> None:
    gateway.remote.looks = [WORKING]
    answer = await gateway.post(**CHAT, timeouts={"total_ms": 6_000})
    job = answer.json
    assert (answer.status, job["object"], job["status"]) == (202, "job", "running")
    assert answer.headers["location"] == f"../jobs/{job['id']}"
    assert "retry-after" in answer.headers and "preference-applied" not in answer.headers
    assert gateway.clock.slept == [2.0, 3.0]
    assert list(gateway.world.executions.started) == [job["id"]]  # type: ignore[attr-defined]
    assert (gateway.holds, gateway.ends) == (2, {})
    assert set(gateway.leases) == {gateway.only.created_at_s + LONGEST_S + GRACE_S}
    assert [one["id"] for one in (await gateway.send("GET", "/v1/jobs")).json["data"]] == [job["id"]]
    with pytest.raises(JobPending):
        await gateway.looked(job["id"])
    gateway.remote.looks = [DONE]
    shown = await gateway.finished(job["id"])
    completion = shown["result"]["body"]
    assert (shown["status"], shown["result"]["status_code"], completion["object"]) == (
        "completed",
        200,
        "chat.completion",
    )
    assert completion["choices"][0]["message"]["content"] == "Hello."
    assert completion["gateway"]["request_id"] == job["request_id"]
    assert shown["cost_estimate"] == COST / 1e9
    assert gateway.is_settled(COST)
    assert gateway.remote.asked("POST") == 1


async def test_it_is_waited_for_as_long_as_an_answer_may_take_or_as_is_preferred(gateway: Gateway) -> None:
    gateway.remote.looks = [WORKING]
    assert (await gateway.post(**CHAT)).status == 202
    assert 240 < sum(gateway.clock.slept) < 255
    gateway.clock.slept.clear()
    assert (await gateway.post(headers={"prefer": "wait=20"}, **CHAT)).status == 202
    assert sum(gateway.clock.slept) < 20


async def test_ordered_as_a_job_it_is_begun_by_a_worker_and_looked_at_by_the_machine(gateway: Gateway) -> None:
    job_id = await gateway.accepted(**CHAT)
    begun = await gateway.step(ask, job_id)
    assert (begun.status, begun.is_begun, begun.has_ended) == ("running", True, False)
    assert (await gateway.step(ask, job_id)).revision == begun.revision
    with pytest.raises(JobPending):
        await gateway.looked(job_id)
    shown = await gateway.finished(job_id)
    assert shown["result"]["body"]["choices"][0]["message"]["content"] == "Hello."
    assert gateway.is_settled(COST)
    assert gateway.remote.asked("POST") == 1


@pytest.mark.parametrize("is_late", [False, True])
async def test_what_a_hook_masked_is_put_back_and_what_it_forbids_is_not_given(gateway: Gateway, is_late: bool) -> None:
    masks = MaskPiiHook(id="pii", stages=("pre_call",), finds=("email",))
    gateway.allow(hooks=(masks,))
    said = [{"role": "user", "content": "I am ann@example.com"}]
    text = await _said(gateway, is_late, "Hello <EMAIL_1>.", messages=said)
    assert b"ann@example.com" not in gateway.remote.sent[0].body
    assert text == "Hello ann@example.com."


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_reply_that_a_hook_blocks_is_paid_and_not_given(gateway: Gateway, is_late: bool) -> None:
    forbids: Hook = DenyListHook(id="no", stages=("post_response",), phrases=("hello",))
    gateway.allow(hooks=(forbids,))
    assert await _said(gateway, is_late, "Hello.") == "response_blocked"
    assert gateway.is_settled(COST)
    assert list(gateway.ends.values()) == ["request.blocked"]


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_schema_is_kept_to(gateway: Gateway, is_late: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    assert await _said(gateway, is_late, '{"a": "b"}', response_format=wanted) == "validation_error"
    assert gateway.is_settled(COST)


@pytest.mark.parametrize("is_late", [False, True])
async def test_hooks_before_the_call_are_asked_once_and_all_are_told_of(gateway: Gateway, is_late: bool) -> None:
    hooks = gateway.world.hooks
    assert isinstance(hooks, ScriptedHooks)
    hooks.answers["asks"] = {"action": "allow"}
    gateway.allow(hooks=(LambdaHook(id="asks", function="gateway-hook-a", stages=("pre_call", "post_response")),))
    assert await _said(gateway, is_late, "Hello.") == "Hello."
    assert [message.id.rpartition(".")[2] for _, message in hooks.asked] == ["pre_call", "post_response"]


async def test_what_its_request_waits_for_nobody_else_looks_at(gateway: Gateway) -> None:
    async def look_too(request: HttpRequest) -> None:
        if request.method == "GET":
            with pytest.raises(JobPending):
                await look(gateway.only, gateway.world, EVERY_S)

    gateway.remote.before = look_too
    assert (await gateway.post(**CHAT)).status == 200
    assert gateway.remote.asked("GET") == 2


async def test_a_worker_that_is_refused_fails_the_job(gateway: Gateway) -> None:
    gateway.remote.begins = (400, {"error": {"message": "Not so.", "code": "invalid_value", "param": "input"}})
    shown = await gateway.worked(await gateway.accepted(**CHAT))
    assert (shown["status"], shown["error"]["code"]) == ("failed", "validation_error")
    assert gateway.is_settled(0)


async def test_a_worker_that_dies_while_it_asks_is_followed_by_nobody(gateway: Gateway) -> None:
    async def dies(_: HttpRequest) -> None:
        raise Killed

    job_id = await gateway.accepted(**CHAT)
    gateway.remote.before = dies
    with pytest.raises(Killed):
        await gateway.step(ask, job_id)
    gateway.clock.unix_s += BELIEVED_S
    shown = await gateway.worked(job_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "job_interrupted")
    assert (gateway.holds, gateway.remote.asked("POST")) == (0, 1)


async def _said(gateway: Gateway, is_late: bool, text: str, **body: Any) -> str:
    """What the reply says, or the code of the error."""
    done = response("completed", text)
    if is_late:
        job_id = await gateway.handed_over(**body)
        gateway.remote.looks = [done]
        shown = await gateway.finished(job_id)
        outcome = shown["error"] or shown["result"]["body"]
    else:
        gateway.remote.looks = [done]
        answer = (await gateway.post(**{**CHAT, **body})).json
        outcome = answer.get("error", answer)
    found: str = outcome["code"] if "code" in outcome else outcome["choices"][0]["message"]["content"]
    return found


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(
    ("looks", "code", "is_free"),
    [
        ([response("failed", error={"code": "server_error", "message": "Sorry."})], "provider_error", True),
        ([response("cancelled", usage=USAGE)], "provider_error", False),
        ([(404, {"error": {"message": "No such response.", "code": None}})], "provider_error", False),
    ],
)
async def test_what_comes_to_nothing(
    gateway: Gateway, is_late: bool, looks: list[Any], code: str, is_free: bool
) -> None:
    """What nobody can tell the cost of costs what was held."""
    if is_late:
        job_id = await gateway.handed_over()
        gateway.remote.looks = looks
        shown = await gateway.finished(job_id)
        assert (shown["status"], shown["error"]["code"], shown["result"]) == ("failed", code, None)
    else:
        gateway.remote.looks = looks
        answer = await gateway.post(**CHAT)
        assert (answer.status, answer.json["error"]["code"]) == (502, code)
    (cost,) = gateway.costs.values()
    assert cost is not None
    assert (cost == 0) is is_free
    assert gateway.is_settled(cost)


async def test_one_that_is_cut_short_is_given_as_it_is(gateway: Gateway) -> None:
    gateway.remote.looks = [response("incomplete", incomplete_details={"reason": "max_output_tokens"})]
    answer = await gateway.post(**CHAT)
    assert (answer.status, answer.json["choices"][0]["finish_reason"]) == (200, "length")


@pytest.mark.parametrize("passing", [(503, {}), (429, {}), (401, {}), DIED, (200, "nothing")])
async def test_a_look_that_finds_nothing_out_ends_nothing(gateway: Gateway, passing: Any) -> None:
    gateway.remote.looks = [passing, DONE]
    assert (await gateway.post(**CHAT)).status == 200
    assert gateway.troubles == ["job.not_looked_at"]
    job_id = await gateway.handed_over()
    gateway.remote.looks = [passing, DONE]
    with pytest.raises(JobPending):
        await gateway.looked(job_id)
    assert (await gateway.finished(job_id))["status"] == "completed"


async def test_what_is_refused_is_refused_as_ever_and_costs_nothing(gateway: Gateway) -> None:
    gateway.remote.begins = (400, {"error": {"message": "Not so.", "code": "invalid_value", "param": "input"}})
    answer = await gateway.post(**CHAT)
    assert (answer.status, answer.json["error"]["code"]) == (400, "validation_error")
    assert gateway.is_settled(0)
    assert gateway.only.status == "failed"
