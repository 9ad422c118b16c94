"""The realtime function: who is let in, what is written of what clients say, and what happens when they go."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.errors import StorageUnavailable
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.realtime_session import BEAT_S, BEGINS_S, BELIEVED_S, Frame
from tests.fakes import key_hash
from tests.unit.conftest import KEY
from tests.unit.realtime_gateway import CONNECTION, TENANT, RealtimeGateway
from tests.unit.test_hooks import hook


@pytest.fixture
def gateway() -> RealtimeGateway:
    return RealtimeGateway()


def with_(gateway: RealtimeGateway, **settings: Any) -> None:
    gateway.hold(replace(TENANT, **settings))


def error_of(answer: dict[str, Any]) -> tuple[int, str, str | None]:
    error = json.loads(answer["body"])["error"]
    return answer["statusCode"], error["code"], error["param"]


async def holds(gateway: RealtimeGateway) -> int:
    """How many stand in all accounts."""
    return sum([len(reading.holds) async for _, reading in gateway.world.ledger.accounts()])


async def test_who_is_let_in_is_held_by_a_function(gateway: RealtimeGateway) -> None:
    assert await gateway.connect() == {"statusCode": 200, "headers": {}}
    admitted = gateway.sessions.held[CONNECTION].admitted
    assert (admitted.tenant_id, admitted.user_id, admitted.model) == ("acme", "alice", "voice")
    assert admitted.key_hash == key_hash(KEY)
    assert admitted.ends_s == admitted.arrived_s + gateway.terms.longest_s
    assert gateway.holders.started == [(CONNECTION, 1)]
    assert KEY not in repr(admitted)
    assert gateway.records.written == []


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(f"realtime, openai-insecure-api-key.{KEY}", "realtime"), (f"openai-insecure-api-key.{KEY}", None)],
)
async def test_a_browser_sends_its_key_among_the_protocols(
    gateway: RealtimeGateway, offered: str, chosen: str | None
) -> None:
    """Of what it offers one is answered, and never the key."""
    answer = await gateway.connect(headers={"Sec-WebSocket-Protocol": offered})
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": chosen} if chosen else {}}


@pytest.mark.parametrize(
    ("model", "headers", "refusal"),
    [
        ("voice", {}, (401, "invalid_api_key", None)),
        ("voice", {"Authorization": "Bearer gwk_other"}, (401, "invalid_api_key", None)),
        (None, None, (400, "validation_error", "model")),
        ("openai/none", None, (404, "model_not_found", "model")),
        ("openai/gpt-4o", None, (400, "capability_not_supported", "model")),
    ],
)
async def test_who_is_refused(
    gateway: RealtimeGateway, model: str | None, headers: dict[str, str] | None, refusal: tuple[int, str, str | None]
) -> None:
    assert error_of(await gateway.connect(model, headers)) == refusal
    assert (gateway.sessions.held, gateway.holders.started) == ({}, [])
    assert [line.error for line in gateway.records.written] == [refusal[1]]


async def test_a_key_has_to_be_for_it(gateway: RealtimeGateway) -> None:
    gateway.hold(TENANT, scopes=("chat",))
    assert error_of(await gateway.connect())[:2] == (403, "scope_missing")
    with_(gateway, approvals=("google/*",))
    assert error_of(await gateway.connect())[:2] == (403, "model_not_approved")


async def test_sessions_at_once_are_limited(gateway: RealtimeGateway) -> None:
    """A session is a request that runs for long."""
    with_(gateway, allowance=Allowance(limits=(Limits(models="openai/*realtime*", concurrent_requests=1),)))
    assert (await gateway.connect())["statusCode"] == 200
    assert error_of(await gateway.connect(connection_id="c2"))[:2] == (429, "rate_limited")
    assert await holds(gateway) == 2


async def test_a_budget_has_to_have_room_for_one_response(gateway: RealtimeGateway) -> None:
    """A minute of sound, 3,000 tokens at $32, and the longest response, 4,096 at $64 per million."""
    for usd, status in (("0.358", 402), ("0.359", 200)):
        with_(gateway, allowance=Allowance(budgets=(Budget(window="day", usd=Decimal(usd)),)))
        assert (await gateway.connect())["statusCode"] == status
    with_(gateway, default_max_tokens=100, allowance=Allowance(budgets=(Budget(window="day", usd=Decimal("0.4605")),)))
    assert (await gateway.connect(connection_id="c2"))["statusCode"] == 402
    with_(gateway, default_max_tokens=80, allowance=Allowance(budgets=(Budget(window="day", usd=Decimal("0.4605")),)))
    assert (await gateway.connect(connection_id="c2"))["statusCode"] == 200


async def test_a_hook_is_asked_before_the_session(gateway: RealtimeGateway) -> None:
    with_(gateway, hooks=(hook("size", max_prompt_characters=3),))
    assert (await gateway.connect())["statusCode"] == 200
    with_(gateway, hooks=(hook("json_schema", schema={"properties": {"model": {"const": "other"}}}),))
    assert error_of(await gateway.connect(connection_id="c2"))[:2] == (403, "request_blocked")
    assert await holds(gateway) == 2


async def test_nothing_is_held_for_who_cannot_be_served(gateway: RealtimeGateway) -> None:
    gateway.sessions.is_down = True
    assert error_of(await gateway.connect())[:2] == (503, "storage_unavailable")
    assert await holds(gateway) == 0


async def test_what_is_said_is_written_once_as_it_was_said(gateway: RealtimeGateway) -> None:
    await gateway.connect()
    said = '{"type": "input_audio_buffer.append", "audio": "AAAA"}'
    assert await gateway.say(said) == {"statusCode": 200}
    [frame] = gateway.frames.held[CONNECTION].values()
    assert frame == Frame(int(gateway.clock.now_s() * 1000), "m0001", said.encode())


async def test_what_is_written_late_is_written_again_later(gateway: RealtimeGateway) -> None:
    """Its reader may have passed the time at which it was said."""
    slow = iter([0.2, 0.01])
    arrived_ms = int(gateway.clock.now_s() * 1000)

    async def take_time(_frame: Frame) -> None:
        await gateway.clock.sleep(next(slow, 0))

    gateway.frames.on_append = take_time
    await gateway.say({"type": "x"})
    frames = sorted(gateway.frames.held[CONNECTION].values(), key=lambda frame: frame.name)
    assert [frame.at_ms - arrived_ms for frame in frames] == [0, 200]
    assert {frame.id for frame in frames} == {"m0001"}


async def test_what_comes_late_to_the_function_is_written_under_the_present(gateway: RealtimeGateway) -> None:
    """A function that had to be loaded first."""
    now_ms = int(gateway.clock.now_s() * 1000)
    await gateway.say({"type": "x"}, at_ms=now_ms - 900)
    [frame] = gateway.frames.held[CONNECTION].values()
    assert frame.at_ms == now_ms


async def test_a_message_that_is_lost_is_told_of(gateway: RealtimeGateway) -> None:
    async def fail(_frame: Frame) -> None:
        raise StorageUnavailable("Not now.")

    gateway.frames.on_append = fail
    assert (await gateway.say({"type": "response.create", "event_id": "mine"}))["statusCode"] == 200
    [told] = map(json.loads, gateway.clients.posted[CONNECTION])
    assert (told["type"], told["error"]["code"], told["error"]["event_id"]) == ("error", "storage_unavailable", "mine")

    async def crawl(_frame: Frame) -> None:
        await gateway.clock.sleep(2)

    gateway.frames.on_append = crawl
    await gateway.say({"type": "response.create"})
    assert len(gateway.clients.posted[CONNECTION]) == 2


async def test_a_session_without_a_holder_gets_the_next(gateway: RealtimeGateway) -> None:
    """Looked for beside the write, and now and then only."""
    await gateway.connect()
    await gateway.say({"type": "x"})
    assert gateway.holders.started == [(CONNECTION, 1)]
    await gateway.clock.sleep(BEGINS_S)
    await gateway.say({"type": "x"})
    await gateway.say({"type": "x"})
    assert gateway.holders.started == [(CONNECTION, 1), (CONNECTION, 1)]
    await gateway.sessions.take(CONNECTION, 1, gateway.clock.now_s())
    await gateway.clock.sleep(BELIEVED_S)
    await gateway.say({"type": "x"})
    assert gateway.holders.started[-1] == (CONNECTION, 2)


async def test_a_holder_that_failed_is_followed(gateway: RealtimeGateway) -> None:
    await gateway.connect()
    await gateway.sessions.take(CONNECTION, 1, gateway.clock.now_s())
    order = {"connection_id": CONNECTION, "epoch": 1}
    await gateway.function.handle({"requestPayload": order}, None)  # type: ignore[arg-type]
    assert (gateway.holders.started[-1], gateway.clock.slept) == ((CONNECTION, 2), [BELIEVED_S])
    await gateway.sessions.take(CONNECTION, 2, gateway.clock.now_s())
    await gateway.function.handle({"requestPayload": order}, None)  # type: ignore[arg-type]
    assert gateway.holders.started[-1] == (CONNECTION, 2)


async def test_whom_lambda_had_no_room_for_is_asked_again(gateway: RealtimeGateway) -> None:
    """He never began: after a minute Lambda gives up. What the client hears until then is silence."""
    await gateway.connect()
    never_began = {"condition": "EventAgeExceeded"}
    failed: dict[str, Any] = {
        "requestContext": never_began,
        "requestPayload": {"connection_id": CONNECTION, "epoch": 1},
    }
    await gateway.clock.sleep(60)
    await gateway.function.handle(failed, None)  # type: ignore[arg-type]
    assert gateway.holders.started == [(CONNECTION, 1)] * 2
    await gateway.sessions.take(CONNECTION, 1, gateway.clock.now_s())
    await gateway.sessions.hand_over(CONNECTION, 1, gateway.clock.now_s())
    await gateway.clock.sleep(60)
    failed["requestPayload"]["epoch"] = 2
    await gateway.function.handle(failed, None)  # type: ignore[arg-type]
    assert gateway.holders.started[-1] == (CONNECTION, 2)


async def test_a_client_that_goes_ends_its_session(gateway: RealtimeGateway) -> None:
    await gateway.connect()
    await gateway.sessions.take(CONNECTION, 1, gateway.clock.now_s())
    leaving = asyncio.create_task(gateway.leave())
    await asyncio.sleep(0)
    assert (await gateway.sessions.beat(CONNECTION, 1, gateway.clock.now_s())).is_left
    await gateway.sessions.end(CONNECTION, 1)
    assert await leaving == {"statusCode": 200}
    assert gateway.holders.started == [(CONNECTION, 1)]


async def test_of_a_client_that_goes_after_its_holder_another_takes_leave(gateway: RealtimeGateway) -> None:
    await gateway.connect()
    await gateway.sessions.take(CONNECTION, 1, gateway.clock.now_s())

    asked = asyncio.Event()
    gateway.holders.on_start = lambda _, epoch: asked.set() if epoch == 2 else None

    async def follow() -> None:
        await asked.wait()
        await gateway.sessions.take(CONNECTION, 2, gateway.clock.now_s())
        await gateway.sessions.end(CONNECTION, 2)

    await asyncio.gather(gateway.leave(), follow())
    assert sum(gateway.clock.slept) <= BELIEVED_S + 2 * BEAT_S
    await gateway.leave("stranger")
