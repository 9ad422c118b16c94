"""Requests that are answered at once and carry an Idempotency-Key: each is executed once, retries included."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.model.claim import KEPT_S, Claim
from gateway.model.errors import StorageUnavailable
from gateway.model.ledger import Account, Hold, Reserved
from gateway.model.limits import Allowance, Limits
from gateway.model.record import UsageRecord
from gateway.pipeline.idempotency_key import request_hash
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_record import WORK_S
from tests.asgi import Answer
from tests.fakes import ListEvents, ListRecords, MemoryClaims, ScriptedHooks, key_hash
from tests.unit.conftest import KEY
from tests.unit.test_hooks import hook
from tests.unit.test_jobs import CHAT, Gateway, gateway_of_jobs

KEYED = {"idempotency-key": "k-1"}
UNAVAILABLE = StorageUnavailable("Idempotency-Keys cannot be checked at the moment.")


@pytest.fixture
def gateway() -> Gateway:
    return gateway_of_jobs()


def refusal(answer: Answer) -> tuple[int, str, bool, str | None]:
    error = answer.json["error"]
    return answer.status, error["code"], error["retryable"], error.get("first_request_id")


def claims_of(gateway: Gateway) -> MemoryClaims:
    assert isinstance(gateway.world.claims, MemoryClaims)
    return gateway.world.claims


def claim_of(gateway: Gateway) -> Claim:
    (claim,) = claims_of(gateway).held.values()
    return claim


def settings(gateway: Gateway, **changed: Any) -> None:
    held = gateway.access.held[key_hash(KEY)]
    tenant = msgspec.structs.replace(held.tenant, **changed)
    gateway.access.held[key_hash(KEY)] = msgspec.structs.replace(held, tenant=tenant)


@pytest.mark.parametrize("is_known", [False, True], ids=["unknown", "known"])
async def test_a_request_that_comes_again_is_told_which_request_was_carried_out(
    gateway: Gateway, is_known: bool
) -> None:
    if is_known:
        await gateway.post(**CHAT)
    before = gateway.provider.asked
    first = await gateway.post(headers=KEYED, **CHAT)
    again = await gateway.post(headers=KEYED, **CHAT)
    first_id = first.headers["x-gateway-request-id"]
    assert (first.status, refusal(again)) == (200, (409, "idempotency_conflict", False, first_id))
    assert f"GET /v1/usage/requests/{first_id}" in again.json["error"]["message"]
    assert (again.json["error"]["param"], again.headers["x-should-retry"]) == ("Idempotency-Key", "false")
    assert "retry-after" not in again.headers
    assert (gateway.provider.asked, gateway.holds) == (before + 1, 0)


async def test_a_key_stands_for_one_request_of_its_tenant_on_its_route(gateway: Gateway) -> None:
    first = await gateway.post(headers=KEYED, **CHAT)
    other = await gateway.post(headers=KEYED, **CHAT | {"max_tokens": 5})
    assert refusal(other) == (409, "idempotency_conflict", False, first.headers["x-gateway-request-id"])
    ordered = await gateway.post(headers=KEYED, **CHAT | {"async": True})
    assert (ordered.status, gateway.provider.asked, gateway.holds) == (409, 1, 0)


async def test_a_key_is_forgotten_after_a_day(gateway: Gateway) -> None:
    await gateway.post(headers=KEYED, **CHAT)
    gateway.clock.unix_s += KEPT_S
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200


async def test_a_request_without_a_key_claims_nothing(gateway: Gateway) -> None:
    claims_of(gateway).failures = [UNAVAILABLE]
    assert (await gateway.post(**CHAT)).status == 200
    assert claims_of(gateway).failures == [UNAVAILABLE]


async def test_a_key_has_a_length(gateway: Gateway) -> None:
    answer = await gateway.post(headers={"idempotency-key": "k" * 256}, **CHAT)
    assert (answer.status, answer.json["error"]["param"]) == (400, "Idempotency-Key")
    stranger = {"idempotency-key": "k" * 256, "authorization": "Bearer gwk_wrong"}
    assert (await gateway.post(headers=stranger, **CHAT)).status == 401
    assert (gateway.provider.asked, gateway.holds) == (0, 0)


async def test_while_the_first_runs_whoever_comes_is_to_come_later(gateway: Gateway) -> None:
    answers: list[Answer] = []

    async def again() -> None:
        gateway.provider.meanwhile = None
        answers.append(await gateway.post(headers=KEYED, **CHAT))

    gateway.provider.meanwhile = again
    first = await gateway.post(headers=KEYED, **CHAT)
    assert first.status == 200
    assert refusal(answers[0]) == (409, "idempotency_conflict", True, first.headers["x-gateway-request-id"])
    assert int(answers[0].headers["retry-after"]) > 0
    assert "x-should-retry" not in answers[0].headers
    assert (gateway.provider.asked, gateway.holds) == (1, 0)


@pytest.mark.parametrize("is_known", [False, True], ids=["unknown", "known"])
async def test_a_key_is_claimed_while_the_request_is_admitted(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    """So that it costs no time of its own: each waits here until the other has begun."""
    if is_known:
        await gateway.post(**CHAT)
    begun = {"claim": asyncio.Event(), "reserve": asyncio.Event()}
    claim, reserve = claims_of(gateway).claim, gateway.world.ledger.reserve

    async def claiming(tenant_id: str, key_hash: str, claimed: Claim, now_s: float) -> Claim:
        begun["claim"].set()
        await begun["reserve"].wait()
        return await claim(tenant_id, key_hash, claimed, now_s)

    async def reserving(account: Account, name: str, hold: Hold) -> Reserved:
        begun["reserve"].set()
        await begun["claim"].wait()
        return await reserve(account, name, hold)

    monkeypatch.setattr(gateway.world.claims, "claim", claiming)
    monkeypatch.setattr(gateway.world.ledger, "reserve", reserving)
    async with asyncio.timeout(5):
        assert (await gateway.post(headers=KEYED, **CHAT)).status == 200


async def test_of_two_at_once_one_is_executed(gateway: Gateway) -> None:
    answers = await asyncio.gather(*(gateway.post(headers=KEYED, **CHAT) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
    assert (gateway.provider.asked, gateway.holds) == (1, 0)


async def test_who_comes_again_hears_of_the_first_and_not_that_there_is_no_room(gateway: Gateway) -> None:
    settings(gateway, allowance=Allowance(limits=(Limits(requests_per_minute=1),)))
    first = await gateway.post(headers=KEYED, **CHAT)
    assert (first.status, (await gateway.post(**CHAT)).status) == (200, 429)
    again = await gateway.post(headers=KEYED, **CHAT)
    assert refusal(again) == (409, "idempotency_conflict", False, first.headers["x-gateway-request-id"])


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_a_first_request_that_failed_and_cost_nothing_frees_the_key(gateway: Gateway, status: int) -> None:
    gateway.provider.status = status
    assert (await gateway.post(headers=KEYED, **CHAT)).status != 200
    assert claim_of(gateway).is_freed
    gateway.provider.status = 200
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 409
    assert gateway.provider.asked == 2


async def test_a_key_is_free_before_the_client_hears_of_the_failure(gateway: Gateway) -> None:
    events, is_free = gateway.world.events, []
    assert isinstance(events, ListEvents)
    send = events.send

    async def sending(told: Any) -> None:
        is_free.append(claim_of(gateway).is_freed)
        await send(told)

    events.send = sending  # type: ignore[method-assign]
    gateway.provider.status = 500
    change, order = claims_of(gateway).change, []

    async def changing(tenant_id: str, key_hash: str, claim: Claim, changed: Claim) -> bool:
        order.append("freed")
        return await change(tenant_id, key_hash, claim, changed)

    claims_of(gateway).change = changing  # type: ignore[method-assign]
    answer = Answer(log=order)
    await gateway.post(headers=KEYED, answer=answer, **CHAT)
    assert order[0] == "freed" and is_free == [True]


async def test_a_request_that_was_not_admitted_frees_the_key(gateway: Gateway) -> None:
    allowance = Allowance(limits=(Limits(concurrent_requests=1),))
    settings(gateway, allowance=allowance)
    other: list[Answer] = []

    async def meanwhile() -> None:
        other.append(await gateway.post(headers=KEYED, **CHAT))

    gateway.provider.meanwhile = meanwhile
    await gateway.post(**CHAT)
    gateway.provider.meanwhile = None
    assert (other[0].status, claim_of(gateway).is_freed) == (429, True)
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200


async def test_a_first_request_that_failed_and_was_paid_for_keeps_the_key(gateway: Gateway) -> None:
    """Its provider took it and its answer is nonsense: it may have been charged."""
    gateway.provider.reply = ["nonsense"]
    failed = await gateway.post(headers=KEYED, **CHAT)
    assert (failed.status, failed.json["error"]["retryable"]) == (502, False)
    gateway.provider.reply = None
    again = await gateway.post(headers=KEYED, **CHAT)
    assert refusal(again) == (409, "idempotency_conflict", False, failed.headers["x-gateway-request-id"])
    assert gateway.provider.asked == 1


async def test_a_first_request_that_died_may_have_been_paid_for(gateway: Gateway) -> None:
    claims = claims_of(gateway)
    at_the_time: list[Claim] = []

    async def noted() -> None:
        at_the_time.append(claim_of(gateway))

    gateway.provider.meanwhile = noted
    await gateway.post(headers=KEYED, **CHAT)
    (place,) = claims.held
    claims.held[place] = at_the_time[0]  # its function died then
    running = await gateway.post(headers=KEYED, **CHAT)
    assert (running.status, running.json["error"]["retryable"]) == (409, True)
    gateway.clock.unix_s += WORK_S + 1
    broken = await gateway.post(headers=KEYED, **CHAT)
    assert refusal(broken)[:3] == (409, "idempotency_conflict", False)
    assert "broke off" in broken.json["error"]["message"]
    assert gateway.provider.asked == 1


async def test_a_first_request_that_died_while_a_hook_was_asked_leaves_the_key(gateway: Gateway) -> None:
    remote, at_the_time = gateway.world.hooks, list[Claim]()
    assert isinstance(remote, ScriptedHooks)

    async def noted() -> dict[str, Any]:
        at_the_time.append(claim_of(gateway))
        return {"action": "allow"}

    settings(gateway, hooks=(hook(),))
    remote.answers["lambda"] = noted
    asked_by_then: list[bool] = []

    async def asked() -> None:
        asked_by_then.append(claim_of(gateway).is_asked)

    gateway.provider.meanwhile = asked
    await gateway.post(headers=KEYED, **CHAT)
    assert (at_the_time[0].is_asked, asked_by_then) == (False, [True])
    (place,) = claims_of(gateway).held
    claims_of(gateway).held[place] = at_the_time[0]
    assert (await gateway.post(headers=KEYED, **CHAT)).json["error"]["retryable"]
    gateway.clock.unix_s += WORK_S + 1
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200


async def test_who_lost_the_key_while_a_hook_was_asked_asks_no_provider(gateway: Gateway) -> None:
    remote = gateway.world.hooks
    assert isinstance(remote, ScriptedHooks)

    async def slow() -> dict[str, Any]:
        remote.answers["lambda"] = {"action": "allow"}
        gateway.clock.unix_s += WORK_S + 1
        assert (await gateway.post(headers=KEYED, **CHAT)).status == 200
        return {"action": "allow"}

    settings(gateway, hooks=(hook(),))
    remote.answers["lambda"] = slow
    assert refusal(await gateway.post(headers=KEYED, **CHAT))[:3] == (409, "idempotency_conflict", True)
    assert gateway.provider.asked == 1
    assert claim_of(gateway).is_over


async def test_a_key_that_cannot_be_claimed_lets_nothing_pass_and_is_freed(gateway: Gateway) -> None:
    """The write came through, though nobody heard of it."""
    claims_of(gateway).failures = [UNAVAILABLE]
    refused = await gateway.post(headers=KEYED, **CHAT)
    assert (refused.status, refused.json["error"]["retryable"]) == (503, True)
    assert (gateway.provider.asked, gateway.holds, claim_of(gateway).is_freed) == (0, 0, True)
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200


@pytest.mark.parametrize("failures", [[], [UNAVAILABLE], [UNAVAILABLE, UNAVAILABLE]], ids=["good", "one", "both"])
async def test_a_key_is_claimed_once_where_what_was_remembered_is_outdated(
    gateway: Gateway, failures: list[StorageUnavailable]
) -> None:
    """The request is admitted anew, and is not let in by a claim of which nobody knows whether it stands."""
    await gateway.post(**CHAT)
    settings(gateway, name="Acme")
    claims_of(gateway).failures = [*failures]
    answer = await gateway.post(headers=KEYED, **CHAT)
    assert answer.status == (503 if len(failures) == 2 else 200)
    assert (gateway.provider.asked, gateway.holds) == (2 if answer.status == 200 else 1, 0)
    assert (claim_of(gateway).is_over, claim_of(gateway).is_freed) == (answer.status == 200, answer.status == 503)


async def test_a_key_that_is_revoked_meanwhile_claims_nothing(gateway: Gateway) -> None:
    await gateway.post(**CHAT)
    held = gateway.access.held.pop(key_hash(KEY))
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 401
    gateway.access.held[key_hash(KEY)] = held
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200


async def test_an_end_that_cannot_be_written_is_told(gateway: Gateway) -> None:
    async def failing() -> None:
        claims_of(gateway).failures = [UNAVAILABLE, UNAVAILABLE]

    gateway.provider.meanwhile = failing
    assert (await gateway.post(headers=KEYED, **CHAT)).status == 200
    assert isinstance(gateway.world.records, ListRecords)
    assert [trouble["event"] for trouble in gateway.world.records.troubles] == ["claim.not_ended"]


async def test_what_is_refused_for_its_key_counts_in_no_rate(gateway: Gateway) -> None:
    settings(gateway, allowance=Allowance(limits=(Limits(requests_per_minute=3),)))
    await gateway.post(headers=KEYED, **CHAT)
    for _ in range(5):
        assert (await gateway.post(headers=KEYED, **CHAT)).status == 409
    assert [(await gateway.post(**CHAT)).status for _ in range(3)] == [200, 200, 429]
    assert isinstance(gateway.world.events, ListEvents)
    records = [told for told in gateway.world.events.told if isinstance(told, UsageRecord)]
    assert [told.outcome for told in records].count("refused") == 6


def test_a_form_that_is_sent_again_is_the_same_by_whatever_boundary() -> None:
    def form(boundary: str, text: str = "hi") -> Inbound:
        body = f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n{text}\r\n--{boundary}--\r\n'
        return Inbound("", f"multipart/form-data; boundary={boundary}", body.encode(), path="/v1/audio/transcriptions")

    assert request_hash(form("aaaa")) == request_hash(form("bbbb")) == request_hash(form("cc.dd"))
    assert request_hash(form("aaaa")) != request_hash(form("aaaa", "ho"))
