"""Secrets for browsers: who may make them, what they are good for, and until when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace
from msgspec.structs import replace as replaced
from openai.types.realtime.client_secret_create_response import ClientSecretCreateResponse

from gateway.entry.realtime import RealtimeFunction
from gateway.model.caller import Caller
from gateway.model.errors import ScopeMissing
from gateway.model.limits import Allowance, Limits
from gateway.model.realtime import MAX_MESSAGE_BYTES
from gateway.model.record import AuditEvent
from gateway.model.tenant import ApiKey
from gateway.pipeline.realtime_admitted import exchange_of, still_usable
from gateway.pipeline.realtime_connect import KEY_PROTOCOL
from tests.fakes import ListEvents, key_hash, principal
from tests.unit.conftest import KEY
from tests.unit.realtime_gateway import CONNECTION, TENANT, RealtimeGateway

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "voice",
    "instructions": "Be brief.",
    "audio": {"input": {"turn_detection": None}},
}


@pytest.fixture
def gateway() -> RealtimeGateway:
    return RealtimeGateway()


async def secret_of(gateway: RealtimeGateway, **body: Any) -> str:
    answer = await gateway.make_secret({"session": SESSION, **body})
    assert answer.status == 200, answer.body
    value: str = answer.json["value"]
    return value


def presenting(value: str) -> dict[str, str]:
    return {"Sec-WebSocket-Protocol": f"realtime, {KEY_PROTOCOL}{value}"}


async def refusal_of(gateway: RealtimeGateway, value: str, model: str | None = None) -> tuple[int, str]:
    answer = await gateway.connect(model, presenting(value), connection_id="refused")
    return answer["statusCode"], json.loads(answer["body"])["error"]["code"] if "body" in answer else ""


async def test_it_has_openai_s_shape(gateway: RealtimeGateway) -> None:
    answer = await gateway.make_secret({"session": SESSION})
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    made = ClientSecretCreateResponse.model_validate(answer.json)
    assert made.value.startswith("ek_")
    assert made.expires_at == int(gateway.clock.now_s()) + 60
    assert answer.json["session"] == SESSION | {"object": "realtime.session", "id": made.session.id}


async def test_it_is_kept_by_its_hash(gateway: RealtimeGateway) -> None:
    value = await secret_of(gateway)
    assert list(gateway.secrets.held) == [key_hash(value)]
    told = repr((gateway.secrets.held, gateway.records.written, gateway.world.events))
    assert value not in told and KEY not in told


async def test_a_session_begins_with_it_and_what_it_says(gateway: RealtimeGateway) -> None:
    value = await secret_of(gateway)
    answer = await gateway.connect(None, presenting(value))
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "realtime"}}
    admitted = gateway.sessions.held[CONNECTION].admitted
    assert (admitted.tenant_id, admitted.user_id, admitted.model) == ("acme", "alice", "voice")
    assert (admitted.key_hash, admitted.config.instructions) == (key_hash(KEY), "Be brief.")
    assert (await gateway.connect("voice", {"Authorization": f"Bearer {value}"}, "c2"))["statusCode"] == 200


async def test_it_is_for_its_own_model(gateway: RealtimeGateway) -> None:
    value = await secret_of(gateway)
    assert await refusal_of(gateway, value, "openai/gpt-realtime") == (400, "validation_error")


@pytest.mark.parametrize(("expires_after", "lasts_s"), [(None, 60), ({"anchor": "created_at", "seconds": 600}, 600)])
async def test_it_is_good_until_its_end(
    gateway: RealtimeGateway, expires_after: dict[str, Any] | None, lasts_s: int
) -> None:
    value = await secret_of(gateway, **({} if expires_after is None else {"expires_after": expires_after}))
    await gateway.clock.sleep(lasts_s - 1)
    assert (await gateway.connect(None, presenting(value)))["statusCode"] == 200
    await gateway.clock.sleep(1)
    assert await refusal_of(gateway, value) == (401, "invalid_api_key")


async def test_it_is_revoked_with_its_key(gateway: RealtimeGateway) -> None:
    value = await secret_of(gateway)
    gateway.hold(TENANT, status="revoked")
    assert await refusal_of(gateway, value) == (401, "invalid_api_key")
    gateway.hold(replace(TENANT, status="disabled"))
    assert await refusal_of(gateway, value) == (403, "tenant_disabled")
    gateway.hold(TENANT, scopes=("chat",))
    assert await refusal_of(gateway, value) == (403, "scope_missing")
    gateway.access.held.clear()
    assert await refusal_of(gateway, value) == (401, "invalid_api_key")


async def test_a_stranger_s_is_refused(gateway: RealtimeGateway) -> None:
    assert await refusal_of(gateway, "ek_stranger") == (401, "invalid_api_key")


async def test_it_makes_no_other(gateway: RealtimeGateway) -> None:
    value = await secret_of(gateway)
    assert (await gateway.make_secret({"session": SESSION}, key=value)).status == 401


async def test_it_may_be_for_another_user(gateway: RealtimeGateway) -> None:
    answer = await gateway.make_secret({"session": SESSION, "user": "bob"})
    assert (answer.status, answer.json["error"]["code"]) == (403, "scope_missing")
    gateway.hold(TENANT, scopes=("realtime", "assert_user"))
    value = await secret_of(gateway, user="bob", metadata={"conversation_id": "conv_1"})
    assert (await gateway.connect(None, presenting(value)))["statusCode"] == 200
    admitted = gateway.sessions.held[CONNECTION].admitted
    assert (admitted.user_id, admitted.conversation_id) == ("bob", "conv_1")
    assert (await exchange_of(admitted, gateway.world)).principal == await still_usable(admitted, gateway.world)
    assert (await still_usable(admitted, gateway.world)).user.id == "bob"
    gateway.hold(TENANT, scopes=("realtime",))
    with pytest.raises(ScopeMissing):
        await still_usable(admitted, gateway.world)


class OneToken:
    """Of an identity provider, whose tokens are no stored keys."""

    def __init__(self, key: ApiKey) -> None:
        self._key = key

    async def verify(self, token: str) -> Caller | None:
        return Caller(token_key=self._key) if token == "token" else None  # noqa: S105


async def test_one_made_with_a_token_ends_with_it(gateway: RealtimeGateway) -> None:
    key = replace(principal(TENANT).key, expires_at_s=int(gateway.clock.now_s()) + 30)
    gateway.world = replaced(gateway.world, tokens=OneToken(key))
    gateway.function = RealtimeFunction(gateway.world, gateway.voice, gateway.terms)
    value = (await gateway.make_secret({"session": SESSION}, key="token")).json["value"]
    assert (await gateway.connect(None, presenting(value)))["statusCode"] == 200
    assert gateway.sessions.held[CONNECTION].admitted.key_hash is None
    await gateway.clock.sleep(30)
    assert await refusal_of(gateway, value) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, (400, "validation_error", "session")),
        ({"session": {"type": "realtime"}}, (400, "validation_error", "session.model")),
        ({"session": SESSION | {"model": ""}}, (400, "validation_error", "session.model")),
        ({"session": SESSION | {"type": "transcription"}}, (400, "capability_not_supported", "session.type")),
        ({"session": SESSION | {"voice": "alloy"}}, (400, "capability_not_supported", "session.voice")),
        ({"session": SESSION | {"colour": "red"}}, (400, "validation_error", "session.colour")),
        ({"session": SESSION | {"model": "openai/none"}}, (404, "model_not_found", "session.model")),
        ({"session": SESSION | {"model": "openai/gpt-4o"}}, (400, "capability_not_supported", "session.model")),
        ({"session": SESSION | {"model": "openai/whisper-1"}}, (400, "capability_not_supported", "session.model")),
        (
            {"session": SESSION | {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}}},
            (400, "capability_not_supported", "session.audio.input.format.rate"),
        ),
        (
            {"session": SESSION | {"reasoning": {"effort": "low"}, "tools": [{"type": "reference", "schema_id": "x"}]}},
            (400, "capability_not_supported", "session.reasoning"),
        ),
        ({"session": SESSION, "expires_after": {"seconds": 9}}, (400, "validation_error", "expires_after.seconds")),
        ({"session": SESSION, "expires_after": {"seconds": 7_201}}, (400, "validation_error", "expires_after.seconds")),
        ({"session": SESSION, "expires_after": {"anchor": "now"}}, (400, "validation_error", "expires_after.anchor")),
        ({"session": SESSION, "more": 1}, (400, "validation_error", "more")),
        (b"{", (400, "validation_error", None)),
        (b" " * (MAX_MESSAGE_BYTES + 1), (413, "payload_too_large", None)),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    gateway: RealtimeGateway, body: Any, refusal: tuple[int, str, str | None]
) -> None:
    answer = await gateway.make_secret(body)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == refusal
    assert gateway.secrets.held == {}


async def test_only_a_key_for_it_makes_one(gateway: RealtimeGateway) -> None:
    assert (await gateway.make_secret({}, key="gwk_other")).status == 401
    gateway.hold(TENANT, scopes=("chat",))
    assert (await gateway.make_secret({"session": SESSION})).json["error"]["code"] == "scope_missing"
    gateway.hold(TENANT, models=("google/*",))
    assert (await gateway.make_secret({"session": SESSION})).json["error"]["code"] == "model_not_approved"
    assert (await gateway.make_secret(b"{}", content_type="text/plain")).status == 415


async def test_it_counts_as_a_request_and_is_told(gateway: RealtimeGateway) -> None:
    gateway.hold(replace(TENANT, allowance=Allowance(limits=(Limits(requests_per_minute=1),))))
    await secret_of(gateway)
    assert (await gateway.make_secret({"session": SESSION})).status == 429
    [made] = gateway.secrets.held.values()
    assert isinstance(gateway.world.events, ListEvents)
    ended = [told for told in gateway.world.events.told if isinstance(told, AuditEvent) and told.id.endswith(".ended")]
    assert ended[0].facts["client_secret_id"] == made.id
    [record, refused] = gateway.usage_records
    assert (record.of.operation, record.outcome, record.cost_nano_usd) == ("realtime.client_secret", "ok", 0)
    assert (record.model_requested, refused.outcome) == ("voice", "refused")


async def test_nothing_is_promised_that_is_not_kept(gateway: RealtimeGateway) -> None:
    gateway.secrets.is_down = True
    answer = await gateway.make_secret({"session": SESSION})
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    gateway.secrets.is_down = False
    value = await secret_of(gateway)
    gateway.secrets.is_down = True
    assert await refusal_of(gateway, value) == (503, "storage_unavailable")
