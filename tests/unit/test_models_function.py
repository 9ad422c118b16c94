"""GET /v1/models and its neighbours, in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from gateway.adapters.catalog import FileCatalog
from gateway.entry.models import models_app
from gateway.health_ports import AllHealthy
from gateway.model.catalog import InputLimit, ModelFacts, Prices
from gateway.model.circuit import Call, Rules, endpoint_of
from gateway.model.errors import InvalidRequest
from gateway.model.group import GroupMember, ModelGroup
from gateway.model.limits import Allowance
from gateway.model.reliability import Health
from gateway.model.tenant import Tenant
from gateway.pipeline.list_models import describe
from gateway.pipeline.realtime_read import read_event
from gateway.pipeline.shared_health import SharedHealth
from tests.fakes import MemoryCatalog, principal
from tests.health_store import MemoryHealth
from tests.unit.conftest import KEY, TENANT, Gateway
from tests.unit.facts.contract import component, problems

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
        call = Call(endpoint_of("openai", "https://api.openai.com/v1"), "gpt-4o", "acme", clock.now_s())
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


async def test_models_need_a_key_and_the_contracts_do_not(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/models")).json()["error"]["code"] == "invalid_api_key"
    assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")
    assert (await client.get("/asyncapi.json")).json()["asyncapi"].startswith("3.0")


@pytest.mark.parametrize(("provider", "maker_says"), [("openai", "image"), ("google", "video")])
def test_a_model_of_voice_takes_what_its_sessions_take(provider: str, maker_says: str) -> None:
    """Its maker shows it pictures as well, which sessions refuse by name."""
    rows = [facts for facts in FileCatalog(SHARED / "catalog").models() if facts[1].api == "realtime"]
    told = {facts.id: describe(name, facts, AllHealthy(), "acme")["gateway"] for name, facts in rows}
    assert {tuple(one["input"]) for one in told.values()} == {("text", "audio")}
    assert any(maker_says in facts.input for name, facts in rows if name == provider)
    picture = {"type": f"input_{maker_says}", f"{maker_says}_url": "data:,"}
    item = {"type": "message", "role": "user", "content": [picture]}
    with pytest.raises(InvalidRequest):
        read_event(json.dumps({"type": "conversation.item.create", "item": item}).encode())


async def test_a_budget_for_any_pattern_leaves_what_runs_at_once_alone(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    """ "**" matches also the empty name of no model, and is a rule with numbers of its own."""
    allowance = msgspec.convert({"budgets": [{"window": "month", "usd": "1", "models": "**"}]}, Allowance)
    gateway.hold(principal(msgspec.structs.replace(TENANT, allowance=allowance)))
    for _ in range(3):
        assert (await client.get("/v1/models", headers=AUTH)).status_code == 200
    numbers = (await gateway.world.ledger.read("T#acme#0")).numbers
    assert {name: number for name, number in numbers.items() if name[0] == "n"} == {"n": 0}


async def test_a_defect_is_a_500_that_tells_nothing(
    client: httpx.AsyncClient, gateway: Gateway, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    gateway.access.read = None  # type: ignore[assignment, method-assign]
    answer = await client.get("/v1/models", headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert b"gateway.defect" in capsysbinary.readouterr().out


class TestGroups:
    """What is said of a group holds whichever of its members answers."""

    @pytest.fixture
    def listed(self, gateway: Gateway) -> httpx.AsyncClient:
        return self._listed(gateway)

    def _listed(self, gateway: Gateway) -> httpx.AsyncClient:
        limits: Any = {"source": "https://example.com", "as_of": "2026-11-29", "of": "images"}
        facts = {"api": "chat_completions", "source": "https://example.com", "as_of": "2026-11-29"}
        first: dict[str, Any] = {
            **facts,
            "input": ("text", "image"),
            "capabilities": ("streaming", "tools", "reasoning"),
            "context_tokens": 1_000,
            "max_output_tokens": 100,
            "prices": Prices(input=1_000_000, output=2_000_000),
            "limits": (InputLimit(most=20, **limits),),
            "released": "2026-01-01",
        }
        second: dict[str, Any] = {
            **first,
            "capabilities": ("tools", "streaming"),
            "context_tokens": 900,
            "max_output_tokens": None,
            "limits": (InputLimit(most=10, **limits), InputLimit(most=5, above_images=2, **limits)),
            "lifecycle": "preview",
            "released": "2026-03-01",
        }
        third: dict[str, Any] = {**facts, "prices": Prices(input=5, output=6), "shutdown": "2030-01-01"}
        models = {name: ModelFacts(id=name, name=name, **more) for name, more in (("a", first), ("c", third))}
        catalog = MemoryCatalog({"openai": models, "groq": {"b": ModelFacts(id="b", name="b", **second)}})
        gateway.world = replace(gateway.world, catalog=catalog)
        aliases: Any = {
            "pair": ModelGroup(models=(GroupMember(model="openai/a", weight=3), "groq/b"), routing="weighted"),
            "all": ModelGroup(models=("openai/a", "openai/c", "groq/b")),
            "one": ModelGroup(models=("nobody/x", "c", "xai/y")),
            "none": ModelGroup(models=("nobody/x", "xai/y")),
            "plain": "openai/a",
        }
        gateway.hold(principal(Tenant(id="acme", approvals=("openai/*", "groq/*"), aliases=aliases)))
        transport = httpx.ASGITransport(models_app(gateway.world, SHARED), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=AUTH)

    async def test_a_group_is_listed_as_a_model_of_its_own(self, listed: httpx.AsyncClient) -> None:
        answer = (await listed.get("/v1/models")).json()
        assert problems(component("ModelList"), answer) == []
        by_id = {one["id"]: one for one in answer["data"]}
        assert list(by_id) == ["openai/a", "openai/c", "groq/b", "all", "one", "pair", "plain"]
        pair = by_id["pair"]
        told = pair["gateway"]
        assert (pair["owned_by"], told["provider"], told["name"]) == ("several", None, "pair")
        assert pair["created"] == by_id["groq/b"]["created"]
        assert (told["routing"], told["members"]) == (
            "weighted",
            [{"model": "openai/a", "weight": 3}, {"model": "groq/b", "weight": 1}],
        )
        assert (told["context_tokens"], told["max_output_tokens"]) == (900, None)
        assert (told["input"], told["capabilities"]) == (["text", "image"], ["streaming", "tools"])
        assert (told["lifecycle"], told["shutdown"]) == ("preview", None)
        assert told["prices_usd_per_million"] == {"input": 1.0, "output": 2.0}
        assert [(one["most"], one["above_images"]) for one in told["limits"]] == [(10, 0), (5, 2)]
        assert "members" not in by_id["plain"]["gateway"]

    async def test_it_is_as_well_as_its_healthiest_member(self, gateway: Gateway) -> None:
        class Reading(AllHealthy):
            def of(self, provider: str, _model: str) -> Health:
                return "unhealthy" if provider == "openai" else "degraded"

            def is_cut_off(self, provider: str, _model: str, _tenant_id: str) -> bool:
                return provider == "openai"

        gateway.world = replace(gateway.world, health=Reading())
        async with self._listed(gateway) as listed:
            told = {one: (await listed.get(f"/v1/models/{one}")).json()["gateway"] for one in ("pair", "one", "plain")}
        states = {one: (facts["health"], facts["circuit"]) for one, facts in told.items()}
        assert states == {"pair": ("degraded", "closed"), "one": ("unhealthy", "open"), "plain": ("unhealthy", "open")}

    async def test_what_differs_is_not_said(self, listed: httpx.AsyncClient) -> None:
        told = (await listed.get("/v1/models/all")).json()["gateway"]
        assert (told["context_tokens"], told["prices_usd_per_million"], told["capabilities"]) == (None, None, [])
        assert told["input"] == ["text"]

    async def test_of_those_that_may_be_used(self, listed: httpx.AsyncClient) -> None:
        one = (await listed.get("/v1/models/one")).json()
        assert problems(component("Model"), one) == []
        assert (one["id"], one["owned_by"], one["gateway"]["shutdown"]) == ("one", "openai", "2030-01-01")
        assert one["gateway"]["members"] == [{"model": "openai/c", "weight": 1}]
        none = await listed.get("/v1/models/none")
        assert (none.status_code, none.json()["error"]["code"]) == (404, "model_not_found")
