"""Secrets of clients, in memory and in DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from gateway.adapters.aws.client_secrets import DynamoClientSecrets
from gateway.model.client_secret import ClientSecret, ClientSecretRequest
from gateway.model.tenant import ApiKey
from gateway.realtime_ports import ClientSecrets
from tests.ports.conftest import table_of
from tests.realtime_fakes import MemoryClientSecrets

REQUEST = b"""{"session": {"type": "realtime", "model": "voice", "instructions": "x", "output_modalities": ["audio"],
 "tools": [{"type": "function", "name": "add", "parameters": {"type": "object"}}], "tool_choice": "required",
 "audio": {"input": {"turn_detection": null, "format": {"type": "audio/pcm"}}, "output": {"voice": "marin"}}},
 "user": "bob", "metadata": {"conversation_id": "conv_1"}}"""


@pytest.fixture
def realtime_table(aws_url: str, aws_keys: None) -> Iterator[str]:
    yield from table_of(aws_url, "realtime", "pk", "sk")


@pytest.fixture(params=["memory", "dynamodb"])
def secrets(request: pytest.FixtureRequest) -> ClientSecrets:
    if request.param == "memory":
        return MemoryClientSecrets()
    return DynamoClientSecrets(request.getfixturevalue("dynamodb_api"), request.getfixturevalue("realtime_table"))


async def test_it_is_found_as_it_was_kept(secrets: ClientSecrets) -> None:
    call = msgspec.json.decode(REQUEST, type=ClientSecretRequest).call
    assert call is not None
    of_key = ClientSecret(id="sess_1", call=call, expires_at_s=1_790_000_060, key_hash="ab" * 32)
    holder = ApiKey(id="key_1", tenant_id="acme", user_id="alice", scopes=("realtime",), expires_at_s=1_790_000_030)
    of_token = ClientSecret(id="sess_2", call=call, expires_at_s=1_790_000_060, token_key=holder)
    await secrets.keep("h1", of_key)
    await secrets.keep("h2", of_token)
    assert [await secrets.find(one) for one in ("h1", "h2", "h3")] == [of_key, of_token, None]
