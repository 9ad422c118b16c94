"""GET /v1/models and its neighbours, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from gateway.entry.models import models_app
from gateway.model.circuit import Call, Rules, endpoint_of
from gateway.pipeline.shared_health import SharedHealth
from tests.health_store import MemoryHealth
from tests.unit.conftest import KEY, Gateway

SHARED = Path(__file__).parents[2] / "shared"
AUTH = {"authorization": f"Bearer {KEY}"}


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(models_app(gateway.world, SHARED), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_a_tenant_sees_what_it_may_use_and_its_aliases(client: httpx.AsyncClient) -> None:
    """Not dall-e: its api makes images, and its row does not say that it does."""
    answer = (await client.get("/v1/models", headers=AUTH)).json()
    assert [model["id"] for model in answer["data"]] == ["openai/gpt-4o", "smart"]
    assert answer["data"][0]["gateway"]["prices_usd_per_million"] == {"input": 2.5, "output": 10.0}


async def test_a_model_and_its_alias_show_how_well_it_is(gateway: Gateway) -> None:
    """As another environment has counted."""
    store, clock, records = MemoryHealth(), gateway.world.clock, gateway.records
    here, there = (SharedHealth(Rules(("*",)), 60_000, store, clock, records) for _ in range(2))
    for _ in range(20):
        there.note("openai", "gpt-4o", None, is_stream=True)
    there.note("openai", "gpt-4o", 600, is_stream=True)
    for _ in range(5):
        call = Call(endpoint_of("openai", "https://api.openai.com/v1"), "openai/gpt-4o", "acme", clock.now_s())
        there.circuits.note(call, "failed", clock.now_s())
    await there.share()
    transport = httpx.ASGITransport(models_app(replace(gateway.world, health=here), SHARED))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=AUTH) as client:
        listed = (await client.get("/v1/models")).json()["data"]
        one = (await client.get("/v1/models/smart")).json()
    for model in (*listed, one):
        assert [model["gateway"][name] for name in ("health", "p95_ms", "circuit")] == ["unhealthy", 750, "open"]
    store.is_down = True
    lone = SharedHealth(Rules(("*",)), 60_000, store, clock, records)
    transport = httpx.ASGITransport(models_app(replace(gateway.world, health=lone), SHARED))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=AUTH) as client:
        facts = (await client.get("/v1/models/gpt-4o")).json()["gateway"]
    assert [facts[name] for name in ("health", "p95_ms", "circuit")] == ["healthy", None, "closed"]
    assert records.troubles[-1]["event"] == "health.not_shared"


async def test_a_model_is_found_by_the_names_that_chat_takes(client: httpx.AsyncClient) -> None:
    ids = [
        (await client.get(f"/v1/models/{name}", headers=AUTH)).json()["id"] for name in ("gpt-4o", "openai%2Fgpt-4o")
    ]
    assert ids == ["openai/gpt-4o", "openai/gpt-4o"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/models/nope", 404, "model_not_found"),
        ("GET", "/v1/models/groq/llama", 403, "model_not_approved"),
        ("GET", "/v1/models/openai/gpt-3", 410, "model_deprecated"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "not_found"),
    ],
)
async def test_refusals_have_the_one_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path, headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["request_id"] == answer.headers["x-gateway-request-id"]


async def test_models_need_a_key_and_the_contract_does_not(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/models")).json()["error"]["code"] == "invalid_api_key"
    assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")


async def test_a_defect_is_a_500_that_tells_nothing(
    client: httpx.AsyncClient, gateway: Gateway, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    gateway.access.read = None  # type: ignore[assignment, method-assign]
    answer = await client.get("/v1/models", headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert b"gateway.defect" in capsysbinary.readouterr().out
