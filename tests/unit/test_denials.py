"""Known callers who are refused at the door: who it was and why is logged and told, and a flood of them stays cheap."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.model.denials import AT_MOST
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.tenant import Principal, User
from tests.fakes import ManualClock, principal
from tests.unit.conftest import TENANT, Gateway
from tests.unit.test_admission import books, told
from tests.unit.test_chat_function import HELLO, WHOLE

DISABLED = msgspec.structs.replace(TENANT, status="disabled")
BOB_IS_DISABLED = Principal(key=principal(TENANT, "bob").key, tenant=TENANT, user=User(id="bob", status="disabled"))
DENIED = [
    (principal(TENANT, status="revoked"), "invalid_api_key", "The key is revoked."),
    (principal(TENANT, expires_at_s=1_790_000_000), "invalid_api_key", "The key has expired."),
    (principal(DISABLED), "tenant_disabled", "This tenant is disabled."),
    (BOB_IS_DISABLED, "tenant_disabled", "This user is disabled."),
    (principal(TENANT, scopes=("embeddings",)), "scope_missing", "This key is not for chat."),
    (
        principal(TENANT, models=("openai/gpt-3*",)),
        "model_not_approved",
        "The model 'openai/gpt-4o' is not approved for this key.",
    ),
]


def clock(gateway: Gateway) -> ManualClock:
    assert isinstance(gateway.world.clock, ManualClock)
    return gateway.world.clock


@pytest.mark.parametrize("is_remembered", [False, True])
@pytest.mark.parametrize(("holder", "code", "reason"), DENIED)
async def test_who_was_refused_and_why_is_told_once(
    gateway: Gateway, holder: Principal, code: str, reason: str, is_remembered: bool
) -> None:
    gateway.hold(holder)
    if is_remembered:
        await gateway.chat(HELLO)
        gateway.world.events.told.clear()  # type: ignore[attr-defined]
    answer = await gateway.chat(HELLO)
    assert answer.json["error"]["code"] == code
    started, ended = told(gateway, AuditEvent)
    assert (started.event, ended.event) == ("request.started", "request.blocked")
    assert started.of == ended.of
    of = ended.of
    assert (of.tenant_id, of.user_id, of.key_id) == ("acme", holder.user.id, "key_1")
    assert (ended.facts["code"], ended.facts["reason"], ended.facts["status"]) == (code, reason, answer.status)
    line = gateway.records.written[-1]
    assert (line.tenant_id, line.user_id, line.key_id) == ("acme", holder.user.id, "key_1")
    assert told(gateway, UsageRecord) == []
    assert gateway.outbound.sent == []


async def test_the_client_is_not_told_which_keys_there_were(gateway: Gateway) -> None:
    stranger = await gateway.chat(HELLO, headers={"authorization": "Bearer gwk_wrong"})
    gateway.hold(principal(TENANT, status="revoked"))
    refused = await gateway.chat(HELLO)
    assert refused.json["error"]["message"] == stranger.json["error"]["message"]
    assert "reason" not in refused.json["error"]


async def test_a_key_that_is_revoked_between_two_requests_is_told_of(gateway: Gateway) -> None:
    gateway.answers(200, WHOLE)
    await gateway.chat(HELLO)
    gateway.hold(principal(TENANT, status="revoked"))
    await gateway.chat(HELLO)
    ended = told(gateway, AuditEvent)[-1]
    assert (ended.event, ended.facts["reason"]) == ("request.blocked", "The key is revoked.")
    assert (await books(gateway)).holds == {}


@pytest.mark.parametrize("body", [b"not json", b"{}"])
async def test_whatever_the_body(gateway: Gateway, body: bytes) -> None:
    gateway.hold(principal(DISABLED))
    assert (await gateway.chat(body)).status == 403
    assert told(gateway, AuditEvent)[-1].facts["code"] == "tenant_disabled"


async def test_nobody_is_blamed_whom_the_key_may_not_name(gateway: Gateway) -> None:
    gateway.access.users["acme", "bob"] = User(id="bob", status="disabled")
    refused = await gateway.chat({**HELLO, "user": "bob"})
    assert refused.json["error"]["code"] == "scope_missing"
    assert {event.of.user_id for event in told(gateway, AuditEvent)} == {"alice"}
    gateway.hold(principal(TENANT, scopes=("*", "assert_user")))
    await gateway.chat({**HELLO, "user": "two words"})
    assert {event.of.user_id for event in told(gateway, AuditEvent)} == {"alice"}


async def test_of_a_flood_some_are_told_and_the_others_counted(gateway: Gateway) -> None:
    gateway.hold(principal(DISABLED))
    for _ in range(AT_MOST + 7):
        await gateway.chat(HELLO)
    assert len(told(gateway, AuditEvent)) == 2 * AT_MOST
    assert len(gateway.records.written) == AT_MOST + 7
    assert {line.tenant_id for line in gateway.records.written} == {"acme"}
    clock(gateway).unix_s += 60
    await gateway.chat(HELLO)
    assert [event.facts.get("left_out") for event in told(gateway, AuditEvent)[-2:]] == [None, 7]
    await gateway.chat(HELLO)
    assert "left_out" not in told(gateway, AuditEvent)[-1].facts


async def test_a_flood_of_one_key_leaves_the_others_alone(gateway: Gateway) -> None:
    gateway.hold(principal(DISABLED))
    for _ in range(AT_MOST + 1):
        await gateway.chat(HELLO)
    gateway.hold(principal(TENANT, status="revoked"))
    await gateway.chat(HELLO)
    assert told(gateway, AuditEvent)[-1].facts["code"] == "invalid_api_key"


async def test_a_refusal_reads_once_and_writes_no_account(gateway: Gateway) -> None:
    gateway.hold(principal(DISABLED))
    await gateway.chat(HELLO)
    gateway.access.reads = 0
    await gateway.chat(HELLO)
    assert gateway.access.reads == 1
    accounts: list[Any] = [account async for account in gateway.world.ledger.accounts()]
    assert accounts == []
