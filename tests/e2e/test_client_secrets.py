"""Secrets for browsers, made with OpenAI's own client and presented as a browser does."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

import openai
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.e2e.conftest import Gateway
from tests.e2e.customer import customer_of
from tests.e2e.tenants import put_key, put_tenant, table

MODEL = "openai/gpt-realtime-2.1"
pytestmark = pytest.mark.stack


def secret_of(sdk: openai.OpenAI, **more: Any) -> str:
    made = sdk.realtime.client_secrets.create(
        session={"type": "realtime", "model": MODEL, "instructions": "Be brief.", "max_output_tokens": 400}, **more
    )
    assert made.value.startswith("ek_")
    return made.value


def as_browser(gateway: Gateway, value: str) -> connect:
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{value}")]
    return connect(f"{gateway.http.replace('http', 'ws', 1)}/realtime", subprotocols=offered)


async def until(connection: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = json.loads(await connection.recv())
        if event["type"] == kind:
            return event


async def test_a_browser_begins_with_what_its_server_chose(local: Gateway, sdk: openai.OpenAI) -> None:
    value = secret_of(sdk)
    for _ in range(2):
        async with as_browser(local, value) as connection:
            assert connection.subprotocol == "realtime"
            session = (await until(connection, "session.updated"))["session"]
            assert (session["model"], session["instructions"], session["max_output_tokens"]) == (
                *(MODEL, "Be brief."),
                400,
            )
            await connection.send(json.dumps({"type": "session.close"}))
            await until(connection, "gateway.session.summary")


async def test_it_is_good_for_nothing_else(local: Gateway, sdk: openai.OpenAI) -> None:
    bearer = sdk.with_options(api_key=secret_of(sdk))
    with pytest.raises(openai.AuthenticationError):
        bearer.models.list()
    with pytest.raises(openai.AuthenticationError):
        secret_of(bearer)


async def test_it_is_revoked_with_its_key(local: Gateway, sdk: openai.OpenAI) -> None:
    tenant_id, endpoint = f"secrets-{uuid.uuid4().hex[:8]}", local.aws_endpoint_url
    put_tenant(endpoint, tenant_id)
    key = put_key(endpoint, tenant_id, "alice")
    value = secret_of(sdk.with_options(api_key=key))
    put_key(endpoint, tenant_id, "alice", key, status="revoked")
    await refused(local, value)


async def test_it_ends(local: Gateway, sdk: openai.OpenAI) -> None:
    before_s = time.time()
    made = sdk.realtime.client_secrets.create(
        session={"type": "realtime", "model": MODEL}, expires_after={"anchor": "created_at", "seconds": 10}
    )
    assert before_s + 9 <= made.expires_at <= time.time() + 10
    rows = table(local.aws_endpoint_url, "-realtime")
    [stored] = [
        row for row in rows.scan()["Items"] if row["pk"].startswith("K#") and row["ends_at_s"] == made.expires_at
    ]
    assert made.value not in str(stored)
    document = json.loads(stored["document"]) | {"expires_at_s": int(time.time())}
    rows.put_item(Item={**stored, "document": json.dumps(document)})  # as if it had been waited for
    await refused(local, made.value)


async def test_a_session_is_charged_to_the_user_it_is_for(local: Gateway, sdk: openai.OpenAI) -> None:
    with customer_of(local, "secrets") as customer:
        key = put_key(local.aws_endpoint_url, customer.tenant_id, "server", scopes=["realtime", "assert_user"])
        value = secret_of(sdk.with_options(api_key=key), extra_body={"user": "alice"})
        async with as_browser(local, value) as connection:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
            await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await connection.send(json.dumps({"type": "response.create"}))
            await until(connection, "response.done")
            await connection.send(json.dumps({"type": "session.close"}))
            summary = await until(connection, "gateway.session.summary")
        total = await asyncio.to_thread(customer.used, 2)  # the secret is one of them
        assert customer.settled_nano_usd() == dict.fromkeys("TU", total["cost_nano_usd"])
        told = customer.http.get(f"/usage/requests/{summary['request_id']}").json()
        assert (told["user_id"], told["cost_nano_usd"]) == ("alice", total["cost_nano_usd"])


async def refused(gateway: Gateway, value: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with as_browser(gateway, value):
            pass
    response = refusal.value.response
    assert response.status_code == 401
    assert json.loads(response.body or b"")["error"]["code"] == "invalid_api_key"
