"""The end of a job is told to whoever asked for that: where, when, how often, and what that holds up: nothing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.hooks.chat_request import ChatRequest
from gateway.model.errors import JobInterrupted, StorageUnavailable
from gateway.model.job import Job
from gateway.model.webhook import MAX_URL_CHARACTERS, WebhookMessage, WebhookReceipt, WebhookSettings
from gateway.pipeline.job_end import FINISHING_S, give_up, settle
from gateway.pipeline.job_sweep import TELLS, sweep_jobs
from gateway.pipeline.job_tell import AGAIN_S, TELLING_S, tell, to_do
from gateway.pipeline.job_work import ask
from gateway.pipeline.read import read_chat_call
from tests.fakes import ListExecutions, ListRecords, ListWebhookSender, key_hash, principal
from tests.unit.conftest import KEY
from tests.unit.test_job_task import step
from tests.unit.test_jobs import CHAT, COST, Gateway, gateway

__all__ = ["gateway"]

URL = "https://hooks.example.com/jobs?token=open-sesame"
TOLD: dict[str, Any] = {"webhook_url": URL}


def sender(gateway: Gateway) -> ListWebhookSender:
    assert isinstance(gateway.world.webhook_sender, ListWebhookSender)
    return gateway.world.webhook_sender


def sent(gateway: Gateway) -> list[WebhookMessage]:
    return sender(gateway).sent


def troubles(gateway: Gateway) -> list[tuple[str, Any, Any]]:
    assert isinstance(gateway.world.records, ListRecords)
    return [
        (trouble["event"], trouble["tries"], trouble["cause"])
        for trouble in gateway.world.records.troubles
        if trouble["event"].startswith("webhook.")
    ]


async def ended(gateway: Gateway, **body: Any) -> str:
    """A job that has ended and is settled, and nobody is told yet."""
    job_id = await gateway.accepted(**{**TOLD, **body})
    await gateway.step(ask, job_id)
    await gateway.step(settle, job_id)
    return job_id


async def test_an_end_is_told_once_it_is_settled(gateway: Gateway) -> None:
    job_id = await gateway.accepted(**TOLD)
    shown = await gateway.shown(job_id)
    assert shown["webhook"] == {"status": "pending", "attempts": 0, "last_failure": None}
    assert (await step(gateway, "ask", job_id))["to_do"] == "tell"
    assert (await step(gateway, "settle", job_id))["to_do"] == "tell"
    assert (sent(gateway), list(gateway.costs.values())) == ([], [COST])
    assert (await step(gateway, "tell", job_id))["to_do"] == "nothing"
    [message] = sent(gateway)
    assert (message.id, message.tenant_id, message.url) == (f"{job_id}.completed", "acme", URL)
    told = json.loads(message.body)
    shown = await gateway.shown(job_id)
    kept = ("id", "object", "status", "endpoint", "model", "request_id", "created_at", "finished_at", "expires_at")
    assert told["type"] == "job.completed"
    assert told["timestamp"].endswith("Z")
    assert told["data"] == {name: shown[name] for name in kept} | {"error": None}
    assert shown["webhook"] == {"status": "delivered", "attempts": 1, "last_failure": None}
    assert (await step(gateway, "tell", job_id))["to_do"] == "nothing"
    assert len(sent(gateway)) == 1


async def test_an_end_is_told_without_what_was_said(gateway: Gateway) -> None:
    gateway.provider.status, gateway.provider.reply = 400, {"error": {"message": "a word of the prompt"}}
    job_id = await ended(gateway, messages=[{"role": "user", "content": "a word of the prompt"}])
    await gateway.step(tell, job_id)
    [message] = sent(gateway)
    told = json.loads(message.body)
    assert (told["type"], told["data"]["status"]) == ("job.failed", "failed")
    assert list(told["data"]["error"]) == ["code"]
    assert b"a word of the prompt" not in message.body


async def test_a_cancelled_job_is_told_too(gateway: Gateway) -> None:
    job_id = await gateway.accepted(**TOLD)
    await gateway.send("POST", f"/v1/jobs/{job_id}/cancel")
    ended = {"status": "cancelled", "waiting": False, "to_do": "tell", "wait_s": 0, "callback_s": 0}
    assert await step(gateway, "ask", job_id) == ended
    await step(gateway, "settle", job_id)
    await step(gateway, "tell", job_id)
    [message] = sent(gateway)
    told = json.loads(message.body)
    assert (told["type"], told["data"]["error"]) == ("job.cancelled", {"code": "job_cancelled"})


async def test_the_url_goes_when_it_is_told(gateway: Gateway) -> None:
    """It may open something: nobody is shown it, and nobody keeps it longer than he needs it."""
    job_id = await ended(gateway)
    assert "sesame" not in json.dumps(await gateway.shown(job_id))
    assert "sesame" not in repr((await gateway.job(job_id)).facts)
    await gateway.step(tell, job_id)
    assert b"sesame" not in msgspec.json.encode(await gateway.job(job_id))


async def test_it_is_tried_again_later_and_later_under_the_same_id(gateway: Gateway) -> None:
    job_id = await ended(gateway)
    sender(gateway).receipts = [WebhookReceipt("status_500") for _ in range(len(AGAIN_S) + 1)]
    waits = []
    for number in range(len(AGAIN_S)):
        told = await step(gateway, "tell", job_id)
        assert told["to_do"] == "tell later"
        assert (await step(gateway, "tell", job_id))["to_do"] == "tell later"  # too early: nobody is asked
        assert len(sent(gateway)) == number + 1
        waits.append(told["wait_s"])
        gateway.clock.unix_s += told["wait_s"]
    assert all(base <= wait <= 1.2 * base + 1 for base, wait in zip(AGAIN_S, waits, strict=True))
    assert (await step(gateway, "tell", job_id))["to_do"] == "nothing"
    assert {(message.id, message.body) for message in sent(gateway)} == {(f"{job_id}.completed", sent(gateway)[0].body)}
    assert (await gateway.job(job_id)).webhook is not None
    tries = len(AGAIN_S) + 1
    shown = await gateway.shown(job_id)
    assert shown["webhook"] == {"status": "failed", "attempts": tries, "last_failure": "status_500"}
    assert (shown["status"], list(gateway.costs.values()), gateway.holds) == ("completed", [COST], 0)
    expected = [("webhook.failed", number, "status_500") for number in range(1, tries)]
    assert troubles(gateway) == [*expected, ("webhook.given_up", tries, "status_500")]
    assert b"sesame" not in msgspec.json.encode(await gateway.job(job_id))


async def test_what_is_taken_in_the_end_is_delivered(gateway: Gateway) -> None:
    job_id = await ended(gateway)
    sender(gateway).receipts = [WebhookReceipt("timeout")]
    gateway.clock.unix_s += (await step(gateway, "tell", job_id))["wait_s"]
    await step(gateway, "tell", job_id)
    assert (await gateway.shown(job_id))["webhook"] == {"status": "delivered", "attempts": 2, "last_failure": None}


@pytest.mark.parametrize(("wanted_s", "waits_s"), [(1, 5), (120, 120), (10**9, AGAIN_S[-1])])
async def test_a_receiver_says_how_long_it_wants_to_be_left_alone(
    gateway: Gateway, wanted_s: float, waits_s: float
) -> None:
    job_id = await ended(gateway)
    sender(gateway).receipts = [WebhookReceipt("status_503", wait_s=wanted_s)]
    assert waits_s <= (await step(gateway, "tell", job_id))["wait_s"] <= 1.2 * waits_s + 1


@pytest.mark.parametrize("failure", ["status_410", "address_not_public"])
async def test_nobody_tries_again_what_comes_to_the_same(gateway: Gateway, failure: str) -> None:
    job_id = await ended(gateway)
    sender(gateway).receipts = [WebhookReceipt(failure, is_final=True)]
    assert (await step(gateway, "tell", job_id))["to_do"] == "nothing"
    assert (await gateway.shown(job_id))["webhook"] == {"status": "failed", "attempts": 1, "last_failure": failure}
    assert troubles(gateway) == [("webhook.given_up", 1, failure)]


async def test_what_cannot_be_sent_at_all_is_no_try_and_ends_after_a_day(gateway: Gateway) -> None:
    job_id = await ended(gateway)
    sender(gateway).receipts = [StorageUnavailable("Webhooks cannot be sent at the moment.")] * 3
    with pytest.raises(StorageUnavailable):
        await step(gateway, "tell", job_id)
    assert (await gateway.shown(job_id))["webhook"]["attempts"] == 0
    gateway.clock.unix_s += TELLING_S
    assert (await step(gateway, "tell", job_id))["to_do"] == "nothing"
    assert (await gateway.job(job_id)).result is not None  # its time has come meanwhile, and the sweep puts it away
    assert (sent(gateway), troubles(gateway)) == ([], [("webhook.given_up", 1, "too_late")])


async def test_who_dies_before_he_notes_it_tells_it_again_under_the_same_id(gateway: Gateway) -> None:
    job_id = await ended(gateway)
    change = gateway.world.jobs.change

    async def dies(job: Job, due_at_s: int | None = None) -> bool:
        raise StorageUnavailable("Jobs cannot be stored at the moment.")

    gateway.world.jobs.change = dies  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable):
        await gateway.step(tell, job_id)
    gateway.world.jobs.change = change  # type: ignore[method-assign]
    await gateway.step(tell, job_id)
    assert [message.id for message in sent(gateway)] == [f"{job_id}.completed"] * 2


async def test_what_somebody_else_changes_meanwhile_stays(gateway: Gateway) -> None:
    job_id = await ended(gateway)
    send = sender(gateway).send

    async def meanwhile(message: WebhookMessage) -> WebhookReceipt:
        job = await gateway.job(job_id)
        assert await gateway.world.jobs.change(job.changed(facts={**job.facts, "deleted": True}), None)
        return await send(message)

    sender(gateway).send = meanwhile  # type: ignore[method-assign]
    told = await gateway.step(tell, job_id)
    assert told.webhook is not None
    assert (told.facts["deleted"], told.webhook.status) == (True, "delivered")


async def test_a_job_that_has_not_ended_is_not_told(gateway: Gateway) -> None:
    job_id = await gateway.accepted(**TOLD)
    await gateway.step(tell, job_id)
    assert (sent(gateway), to_do(await gateway.job(job_id), 0)) == ([], ("nothing", 0))


# -- the sweep


async def swept(gateway: Gateway) -> dict[str, int]:
    done = await sweep_jobs(gateway.world, at_most=100, until_s=gateway.clock.now_s() + 100)
    return {name: count for name in ("settled", "told", "untold", "running") if (count := getattr(done, name))}


def stopped(gateway: Gateway, *job_ids: str) -> None:
    """Their executions end without a word."""
    assert isinstance(gateway.world.executions, ListExecutions)
    gateway.world.executions.started.update(dict.fromkeys(job_ids, False))


async def test_the_sweep_tells_what_no_execution_tells(gateway: Gateway) -> None:
    job_id = await gateway.accepted(**TOLD)
    await gateway.step(ask, job_id)
    stopped(gateway, job_id)
    gateway.clock.unix_s += FINISHING_S + 1
    assert await swept(gateway) == {"told": 1}
    assert (len(sent(gateway)), list(gateway.costs.values()), gateway.holds) == (1, [COST], 0)
    gateway.clock.unix_s += FINISHING_S + 1
    assert await swept(gateway) == {}


async def test_the_sweep_waits_as_long_as_it_has_to(gateway: Gateway) -> None:
    job_id = await ended(gateway)
    stopped(gateway, job_id)
    sender(gateway).receipts = [WebhookReceipt("status_500", wait_s=3_000)]
    gateway.clock.unix_s += FINISHING_S + 1
    assert await swept(gateway) == {"told": 1}
    gateway.clock.unix_s += 2_000
    assert await swept(gateway) == {}
    gateway.clock.unix_s += 1_000 + FINISHING_S + 1
    assert await swept(gateway) == {"told": 1}
    assert len(sent(gateway)) == 2


async def test_the_sweep_leaves_it_to_an_execution_that_runs(gateway: Gateway) -> None:
    await ended(gateway)
    gateway.clock.unix_s += FINISHING_S + 1
    assert await swept(gateway) == {"running": 1}
    assert sent(gateway) == []


async def test_slow_receivers_keep_nobody_waiting(gateway: Gateway) -> None:
    job_ids = [await ended(gateway) for _ in range(TELLS + 5)]
    stopped(gateway, *job_ids)
    gateway.clock.unix_s += FINISHING_S + 1
    assert await swept(gateway) == {"told": TELLS, "untold": 5}
    assert await swept(gateway) == {"told": 5}


# -- ordering


async def test_it_is_named_beside_the_endpoint(gateway: Gateway) -> None:
    for order in ({"body": CHAT, **TOLD}, {"body": {**CHAT, **TOLD}}, {"body": {**CHAT, **TOLD}, **TOLD}):
        answer = await gateway.post("/v1/jobs", endpoint="/v1/chat/completions", **order)
        assert (answer.status, answer.json["webhook"]["status"]) == (202, "pending")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://localhost/",
        "https://alice:secret@hooks.example.com/",
        "https://hooks.example.com:8443/",
        "hooks.example.com",
        "",
        f"https://hooks.example.com/{'x' * MAX_URL_CHARACTERS}",
        7,
    ],
)
async def test_a_url_that_nobody_can_be_told_at_is_refused(gateway: Gateway, url: Any) -> None:
    for answer in (
        await gateway.post(**{**CHAT, "async": True, "webhook_url": url}),
        await gateway.post("/v1/jobs", endpoint="/v1/chat/completions", body=CHAT, webhook_url=url),
    ):
        assert (answer.status, answer.json["error"]["code"]) == (400, "validation_error")
        assert answer.json["error"]["param"] == "webhook_url"
        assert "alice" not in answer.json["error"]["message"]
    assert (gateway.holds, gateway.payloads) == (0, {})
    assert (await gateway.send("GET", "/v1/jobs")).json["data"] == []


async def test_there_is_nothing_to_tell_of_what_is_no_job(gateway: Gateway) -> None:
    for body in ({**CHAT, **TOLD}, {**CHAT, **TOLD, "async": False}, {**CHAT, **TOLD, "stream": True}):
        answer = await gateway.post(**body)
        assert (answer.status, answer.json["error"]["param"]) == (400, "webhook_url")
    assert (await gateway.post(headers={"prefer": "respond-async"}, **CHAT, **TOLD)).status == 202


async def test_an_order_has_one_webhook(gateway: Gateway) -> None:
    other = {**CHAT, "webhook_url": "https://other.example.com/"}
    answer = await gateway.post("/v1/jobs", endpoint="/v1/chat/completions", body=other, **TOLD)
    assert (answer.status, answer.json["error"]["param"]) == (400, "webhook_url")


async def test_a_tenant_may_be_told_of_all_its_jobs(gateway: Gateway) -> None:
    held = gateway.access.held[key_hash(KEY)]
    everywhere = WebhookSettings(url="https://acme.example.com/jobs", secret_version=3, previous_until_s=2**40)
    gateway.access.held[key_hash(KEY)] = principal(msgspec.structs.replace(held.tenant, webhooks=everywhere))
    for body in ({}, {"webhook_url": None}, TOLD):
        await gateway.step(tell, await ended(gateway, **{"webhook_url": None, **body}))
    assert [message.url for message in sent(gateway)] == ["https://acme.example.com/jobs"] * 2 + [URL]
    assert {message.versions for message in sent(gateway)} == {(3, 2)}
    assert (await gateway.post(**CHAT)).status == 200


async def test_hooks_are_not_shown_where_the_client_is_told(gateway: Gateway) -> None:
    asked = ChatRequest(
        read_chat_call("application/json", json.dumps({**CHAT, "async": True, **TOLD}).encode()),
        lambda body: read_chat_call("application/json", body),
    )
    assert "webhook_url" not in asked.body()
    assert asked.patched({"temperature": 0}).call.webhook_url == URL


async def test_given_up_jobs_are_told(gateway: Gateway) -> None:
    job_id = await gateway.accepted(**TOLD)
    await settle(await give_up(await gateway.job(job_id), JobInterrupted("Over."), gateway.world), gateway.world)
    await gateway.step(tell, job_id)
    assert json.loads(sent(gateway)[0].body)["data"]["error"] == {"code": "job_interrupted"}


def test_both_secrets_sign_until_the_overlap_is_over() -> None:
    rotated = WebhookSettings(secret_version=2, previous_until_s=100)
    assert (rotated.versions(99), rotated.versions(100)) == ((2, 1), (2,))
    assert WebhookSettings(previous_until_s=100).versions(0) == (1,)
