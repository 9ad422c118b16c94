"""POST /v1/realtime/client_secrets in memory: what a secret is good for, for how long, and for whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.entry.realtime_secrets import realtime_secrets_app
from gateway.pipeline.realtime_secret import hash_of
from tests.asgi import Answer, call
from tests.fakes import key_hash, principal
from tests.unit.conftest import KEY
from tests.unit.realtime_gateway import CONNECTION, TENANT, RealtimeGateway

PATH = "/v1/realtime/client_secrets"


@pytest.fixture
def gateway() -> RealtimeGateway:
    return RealtimeGateway()


async def asked(gateway: RealtimeGateway, body: Any, **headers: str) -> Answer:
    sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
    app: Any = realtime_secrets_app(gateway.world, gateway.grants)
    return await call(app, json.dumps(body).encode(), sent, path=PATH)


async def secret(gateway: RealtimeGateway, **session: Any) -> str:
    answer = await asked(gateway, {"session": {"type": "realtime", "model": "voice", **session}})
    assert answer.status == 200, answer.json
    value: str = answer.json["value"]
    return value


def offering(value: str) -> dict[str, str]:
    return {"Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{value}"}


async def test_a_secret_is_as_openai_gives_it(gateway: RealtimeGateway) -> None:
    answer = await asked(gateway, {"session": {"type": "realtime", "model": "voice", "instructions": "Be brief"}})
    made = answer.json
    assert made["value"].startswith("ek_") and made["expires_at"] == int(gateway.clock.now_s()) + 60
    session = made["session"]
    assert (session["object"], session["type"], session["model"]) == ("realtime.session", "realtime", "voice")
    assert session["instructions"] == "Be brief"
    assert made["value"] not in repr(gateway.grants.held)


async def test_a_browser_opens_what_its_secret_is_for(gateway: RealtimeGateway) -> None:
    value = await secret(gateway, instructions="Be brief")
    answer = await gateway.connect(None, offering(value))
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "realtime"}}
    admitted = gateway.sessions.held[CONNECTION].admitted
    assert (admitted.model, admitted.config.instructions, admitted.user_id) == ("voice", "Be brief", "alice")
    assert admitted.key_hash == key_hash(KEY)
    again = await gateway.connect("voice", {"Authorization": f"Bearer {value}"}, "c2")
    assert again["statusCode"] == 200


async def test_it_is_for_no_other_model(gateway: RealtimeGateway) -> None:
    refused = await gateway.connect("openai/gpt-realtime", offering(await secret(gateway)))
    assert (refused["statusCode"], json.loads(refused["body"])["error"]["param"]) == (400, "model")


async def test_it_is_good_for_a_minute(gateway: RealtimeGateway) -> None:
    value = await secret(gateway)
    await gateway.clock.sleep(59)
    assert (await gateway.connect(None, offering(value)))["statusCode"] == 200
    await gateway.clock.sleep(1)
    assert (await gateway.connect(None, offering(value), "c2"))["statusCode"] == 401


async def test_it_dies_with_the_key_that_it_was_got_with(gateway: RealtimeGateway) -> None:
    value = await secret(gateway)
    gateway.hold(TENANT, status="revoked")
    assert (await gateway.connect(None, offering(value)))["statusCode"] == 401
    assert (await gateway.connect(None, offering("ek_made_up")))["statusCode"] == 401


async def test_of_a_token_it_stands_for_whoever_had_it(gateway: RealtimeGateway) -> None:
    value = await secret(gateway)
    [grant] = gateway.grants.held.values()
    gateway.grants.held[hash_of(value)] = replace(grant, key_hash=None, key_id="token_1")
    assert (await gateway.connect(None, offering(value)))["statusCode"] == 200
    admitted = gateway.sessions.held[CONNECTION].admitted
    assert (admitted.key_hash, admitted.key_id, admitted.tenant_id) == (None, "token_1", "acme")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "session"),
        ({"session": {"type": "realtime"}}, 400, "session.model"),
        ({"session": {"model": "none"}}, 404, "session.model"),
        ({"session": {"model": "openai/gpt-4o"}}, 400, "session.model"),
        ({"session": {"model": "voice", "voice": "alloy"}}, 400, "session.voice"),
        ({"session": {"model": "voice", "type": "transcription"}}, 400, "session.type"),
        ({"session": {"model": "voice", "audio": {"output": {"speed": 9}}}}, 400, "session.audio.output.speed"),
        ({"session": {"model": "voice"}, "expires_after": {"seconds": 601}}, 400, "expires_after.seconds"),
        ({"session": {"model": "voice"}, "expires_at": 1}, 400, "expires_at"),
    ],
)
async def test_what_is_refused(gateway: RealtimeGateway, body: Any, status: int, param: str) -> None:
    answer = await asked(gateway, body)
    assert (answer.status, answer.json["error"]["param"]) == (status, param), answer.json
    assert gateway.grants.held == {}


async def test_a_key_has_to_be_for_it(gateway: RealtimeGateway) -> None:
    gateway.access.held[key_hash(KEY)] = principal(TENANT, scopes=("chat",))
    assert (await asked(gateway, {"session": {"model": "voice"}})).status == 403
    assert (await asked(gateway, {"session": {"model": "voice"}}, authorization="Bearer ek_made_up")).status == 401
