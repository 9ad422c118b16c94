"""Another model is asked when a provider fails: which failures, which models, what the client and the books see."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.health_ports import AllHealthy
from gateway.model.catalog import EmbeddingFacts
from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.provider_errors import ProviderError
from gateway.model.reliability import FallbackRule, Health
from tests.unit.several_providers import (
    FIGURES,
    ROLE,
    Several,
    answers,
    embeds,
    event,
    fails,
    model,
    says,
    several,
    stalls,
    streams,
    streams_text,
    texts,
)

HELLO: dict[str, Any] = {"model": "openai/gpt", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
ONE = {**HELLO, "fallback": {"models": ["groq/llama"]}}
TWO = {**HELLO, "fallback": {"models": ["groq/llama", "mistral/large"]}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
COST = {"openai": 20_000, "groq": 60_000, "mistral": 40_000}
"""Of FIGURES, in nano-USD."""
UNREACHABLE = ProviderError("The connection to the provider failed (ConnectionRefusedError).")


@pytest.fixture
def gateway() -> Several:
    made = several()
    made.provider("groq", says("groq"))
    made.provider("mistral", says("mistral"))
    return made


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (UNREACHABLE, "provider_error"),
        (fails(401), "provider_error"),
        (fails(403), "provider_error"),
        (fails(404), "model_not_found"),
        (fails(408), "provider_timeout"),
        (fails(429), "rate_limited"),
        (fails(500), "provider_error"),
        (fails(503), "provider_error"),
        (fails(529), "provider_error"),
        (answers(200, b"<html>", content_type="text/html"), "provider_error"),
        (answers(200, b'{"id": "c", "choices": [', ProviderError("cut")), "provider_error"),
    ],
)
async def test_another_model_answers_when_a_provider_fails(gateway: Several, failure: Any, code: str) -> None:
    gateway.provider("openai", failure)
    answer = await gateway.chat(ONE)
    report = answer.json["gateway"]
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "groq")
    assert answer.json["model"] == report["model_used"] == "groq/llama"
    assert (report["provider"], report["model_requested"], report["fallback_used"]) == ("groq", "openai/gpt", True)
    shown = [(one["provider"], one["model"], one["status"], one["code"]) for one in report["attempts"]]
    assert shown == [("openai", "openai/gpt", "error", code), ("groq", "groq/llama", "ok", None)]
    assert report["attempts"][1]["cost_estimate"] == COST["groq"] / 1e9
    [switch] = gateway.switches
    assert switch.facts == {"from": "openai/gpt", "to": "groq/llama", "code": code}
    assert (switch.id, switch.of and switch.of.operation) == (f"{report['request_id']}.fallback.1", "chat")
    assert [(one.attempt, one.model, one.code) for one in gateway.usage] == [
        (1, "openai/gpt", code),
        (2, "groq/llama", None),
    ]
    [line] = gateway.records.written
    assert (line.attempts, line.fallbacks, line.retries, line.outcome) == (2, 1, 0, "ok")


@pytest.mark.parametrize(("failure", "status"), [(fails(400), 400), (fails(422), 400), (fails(413), 413)])
async def test_what_is_wrong_with_the_request_itself_is_told(gateway: Several, failure: Any, status: int) -> None:
    gateway.provider("openai", failure)
    assert (await gateway.chat(ONE)).status == status
    assert gateway.providers.asked == ["openai"]


async def test_nobody_else_is_asked_when_the_first_one_answers(gateway: Several) -> None:
    gateway.provider("openai", says("openai"))
    report = (await gateway.chat(TWO)).json["gateway"]
    assert gateway.providers.asked == ["openai"]
    assert (report["fallback_used"], len(report["attempts"]), "left_out" in report) == (False, 1, False)
    assert gateway.switches == []


async def test_they_are_asked_in_turn_and_the_last_failure_is_told(gateway: Several) -> None:
    gateway.provider("openai", fails(500))
    gateway.provider("groq", fails(429))
    gateway.provider("mistral", fails(401))
    answer = await gateway.chat(TWO)
    assert gateway.providers.asked == ["openai", "groq", "mistral"]
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")
    assert "mistral" in answer.json["error"]["message"]
    assert [one["code"] for one in answer.json["error"]["attempts"]] == [
        "provider_error",
        "rate_limited",
        "provider_error",
    ]
    assert [switch.facts["to"] for switch in gateway.switches] == ["groq/llama", "mistral/large"]
    assert sum(one.id.endswith(".ended") for one in gateway.told) == 1
    assert (await gateway.world.ledger.read("T#acme#0")).holds == {}


@pytest.mark.parametrize(
    "spelt",
    [{"fallbacks": ["spare"]}, {"models": ["openai/gpt", "groq/llama"]}, {"fallback": {"models": ["llama", "spare"]}}],
)
async def test_it_is_spelt_in_several_ways(gateway: Several, spelt: dict[str, Any]) -> None:
    gateway.provider("openai", fails(500))
    assert (await gateway.chat({**HELLO, **spelt})).json["gateway"]["model_used"] == "groq/llama"
    assert gateway.providers.asked == ["openai", "groq"]


@pytest.mark.parametrize(
    ("spelt", "param"),
    [
        ({"fallback": {"models": ["groq/llama", "groq/nope"]}}, "fallback.models[1]"),
        ({"fallbacks": ["nope"]}, "fallbacks[0]"),
        ({"models": ["openai/gpt", "nope"]}, "models[1]"),
    ],
)
async def test_a_name_that_is_none_is_told(gateway: Several, spelt: dict[str, Any], param: str) -> None:
    error = (await gateway.chat({**HELLO, **spelt})).json["error"]
    assert (error["code"], error["param"]) == ("model_not_found", param)
    assert gateway.providers.asked == []


@pytest.mark.parametrize(
    ("asked", "model", "code"),
    [
        ({"tools": TOOLS}, "groq/dumb", "capability_not_supported"),
        ({"messages": [{"role": "user", "content": "word " * 40}]}, "groq/small", "validation_error"),
        ({}, "mistral/embed", "capability_not_supported"),
    ],
)
async def test_a_model_that_cannot_do_it_is_left_out(gateway: Several, asked: Any, model: str, code: str) -> None:
    gateway.provider("openai", fails(500))
    answer = await gateway.chat({**HELLO, **asked, "fallbacks": [model, "mistral/large"]})
    report = answer.json["gateway"]
    assert report["model_used"] == "mistral/large"
    assert [(one["model"], one["code"]) for one in report["left_out"]] == [(model, code)]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_says_who_could_not_be_asked(gateway: Several, stream: bool) -> None:
    gateway.provider("openai", fails(500))
    answer = await gateway.chat({**HELLO, "fallbacks": ["groq/dumb"], "tools": TOOLS, "stream": stream})
    [one] = answer.json["error"]["left_out"]
    assert (answer.status, one["model"], one["code"]) == (502, "groq/dumb", "capability_not_supported")
    assert "left_out" not in (await gateway.chat(HELLO)).json["error"]


async def test_a_model_that_is_not_approved_is_left_out(gateway: Several) -> None:
    gateway.tenant(approvals=("openai/*", "mistral/*"))
    gateway.provider("openai", fails(500))
    report = (await gateway.chat(TWO)).json["gateway"]
    assert gateway.providers.asked == ["openai", "mistral"]
    assert [(one["model"], one["code"]) for one in report["left_out"]] == [("groq/llama", "model_not_approved")]


async def test_the_model_that_is_asked_for_has_to_be_one_that_can_do_it(gateway: Several) -> None:
    answer = await gateway.chat({**HELLO, "model": "groq/dumb", "tools": TOOLS, "fallbacks": ["mistral/large"]})
    assert (answer.status, answer.json["error"]["param"], gateway.providers.asked) == (400, "tools", [])


async def test_a_tenant_says_what_its_requests_fall_back_on(gateway: Several) -> None:
    rules = (
        FallbackRule(models="groq/*", fallback=("openai/gpt",)),
        FallbackRule(fallback=("mistral/embed", "nope", "mistral/large")),
    )
    gateway.tenant(fallbacks=rules)
    gateway.provider("openai", fails(500))
    report = (await gateway.chat(HELLO)).json["gateway"]
    assert (report["model_used"], "left_out" in report) == ("mistral/large", False)
    assert (await gateway.chat({**HELLO, "fallbacks": []})).status == 502
    assert (await gateway.chat(ONE)).json["gateway"]["model_used"] == "groq/llama"


async def test_models_that_are_not_well_are_asked_last(gateway: Several) -> None:
    states: dict[str, Health] = {"openai": "unhealthy", "groq": "degraded"}

    class Reading(AllHealthy):
        def of(self, provider: str, _model: str) -> Health:
            return states.get(provider, "healthy")

    gateway.world = replace(gateway.world, health=Reading())
    gateway.provider("mistral", fails(500))
    gateway.provider("groq", fails(500))
    gateway.provider("openai", says("openai"))
    report = (await gateway.chat(TWO)).json["gateway"]
    assert gateway.providers.asked == ["mistral", "groq", "openai"]
    assert [switch.facts["code"] for switch in gateway.switches] == ["unhealthy", "provider_error", "provider_error"]
    assert report["fallback_used"] is False


class TestStreams:
    @pytest.mark.parametrize(
        "failure",
        [
            UNREACHABLE,
            fails(429),
            fails(529),
            fails(401),
            streams(ProviderError("cut")),
            streams(ROLE, ProviderError("cut")),
            streams(ROLE, b'data: {"error": {"message": "overloaded"}}\n\n'),
        ],
    )
    async def test_another_model_answers_when_nothing_has_come(self, gateway: Several, failure: Any) -> None:
        gateway.provider("openai", failure)
        gateway.provider("groq", streams_text("g", "roq"))
        answer = await gateway.chat({**ONE, "stream": True})
        assert (answer.status, answer.events[-1], texts(answer.events)) == (200, "[DONE]", "groq")
        chunks = [one for one in answer.events if isinstance(one, dict)]
        assert {chunk["model"] for chunk in chunks} == {"groq/llama"}
        assert [chunk["choices"][0]["delta"].get("role") for chunk in chunks].count("assistant") == 1
        last = chunks[-1]
        assert last["gateway"]["fallback_used"] is True
        assert [one["status"] for one in last["gateway"]["attempts"]] == ["error", "ok"]
        assert len(gateway.switches) == 1
        assert gateway.providers.still_open == 0

    async def test_nobody_else_is_asked_once_the_client_has_something(self, gateway: Several) -> None:
        gateway.provider("openai", streams(ROLE, event({"content": "Hi"}), ProviderError("cut")))
        answer = await gateway.chat({**ONE, "stream": True})
        assert texts(answer.events) == "Hi"
        assert answer.events[-1]["error"]["code"] == "provider_error"
        assert gateway.providers.asked == ["openai"]
        assert gateway.switches == []

    async def test_all_failed_is_told_with_its_own_status(self, gateway: Several) -> None:
        gateway.provider("openai", fails(500))
        gateway.provider("groq", fails(429))
        answer = await gateway.chat({**ONE, "stream": True})
        assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limited")

    async def test_a_slow_first_token_makes_it_the_next_ones_turn(self, gateway: Several) -> None:
        gateway.provider("openai", streams(ROLE, lambda: asyncio.Event().wait()))
        gateway.provider("groq", streams_text("groq"))
        answer = await gateway.chat({**ONE, "stream": True, "timeouts": {"ttft_ms": 20}})
        report = answer.events[-2]["gateway"]
        assert [one["code"] for one in report["attempts"]] == ["provider_timeout", None]
        assert texts(answer.events) == "groq"


async def test_a_total_that_is_over_makes_it_the_next_ones_turn(gateway: Several) -> None:
    gateway.provider("openai", stalls())
    answer = await gateway.chat({**ONE, "timeouts": {"total_ms": 20}})
    assert [one["code"] for one in answer.json["gateway"]["attempts"]] == ["provider_timeout", None]
    assert gateway.providers.still_open == 0


async def test_no_other_is_asked_when_the_time_is_over(gateway: Several) -> None:
    clock = gateway.world.clock

    async def late() -> Any:
        clock.running_s += 286  # type: ignore[attr-defined]
        return fails(500)

    gateway.provider("openai", late)
    assert (await gateway.chat(ONE)).status == 502
    assert gateway.providers.asked == ["openai"]


class TestMoney:
    async def test_the_dearest_is_held_and_what_was_used_is_settled(self, gateway: Several) -> None:
        """groq is dearest: 1 prompt token for each byte, and 10 of its reply."""
        held: list[int] = []

        async def look() -> Any:
            held.append(await gateway.spent("c2026-09"))
            return fails(500)

        gateway.provider("openai", look, says("openai"))
        gateway.provider("groq", says("groq"))
        await gateway.chat({**HELLO, "fallbacks": []})
        alone = held[0]
        gateway.provider("openai", look)
        await gateway.chat(ONE)
        assert held[1] == 3 * alone
        assert await gateway.spent("s2026-09") == COST["groq"]
        assert await gateway.spent("c2026-09") == COST["groq"]

    async def test_a_failure_that_was_paid_counts(self, gateway: Several) -> None:
        """An answer that was cut off costs all that was held for that model."""
        gateway.provider("openai", answers(200, b"{", ProviderError("cut")))
        reply = (await gateway.chat(ONE)).json
        first, second = gateway.usage
        assert first.cost_nano_usd
        assert second.cost_nano_usd == COST["groq"]
        assert await gateway.spent("s2026-09") == first.cost_nano_usd + COST["groq"]
        assert reply["usage"]["cost_estimate"] == (first.cost_nano_usd + COST["groq"]) / 1e9
        assert [one["cost_estimate"] for one in reply["gateway"]["attempts"]] == [
            first.cost_nano_usd / 1e9,
            COST["groq"] / 1e9,
        ]
        assert reply["usage"]["prompt_tokens"] == FIGURES["prompt_tokens"]

    async def test_each_model_is_charged_to_its_own_budget(self, gateway: Several) -> None:
        budgets = tuple(Budget(window="month", usd=Decimal(1), models=f"{name}/*") for name in ("openai", "groq"))
        gateway.tenant(allowance=Allowance(budgets=budgets, limits=(Limits(models="groq/*", concurrent_requests=1),)))
        gateway.provider("openai", answers(200, b"{", ProviderError("cut")))
        await gateway.chat(ONE)
        first, _ = gateway.usage
        numbers = (await gateway.world.ledger.read("T#acme#0")).numbers

        openai, groq = suffix("openai/*"), suffix("groq/*")
        assert numbers[f"s2026-09{openai}"] == numbers[f"c2026-09{openai}"] == first.cost_nano_usd
        assert numbers[f"s2026-09{groq}"] == numbers[f"c2026-09{groq}"] == COST["groq"]
        assert (numbers[f"n{openai}"], numbers[f"n{groq}"], numbers["n"]) == (0, 0, 0)

    async def test_a_model_whose_budget_has_no_room_is_left_out(self, gateway: Several) -> None:
        gateway.tenant(allowance=Allowance(budgets=(Budget(window="month", usd=Decimal(0), models="groq/*"),)))
        gateway.provider("openai", fails(500))
        report = (await gateway.chat(TWO)).json["gateway"]
        assert report["model_used"] == "mistral/large"
        assert [(one["model"], one["code"]) for one in report["left_out"]] == [("groq/llama", "budget_exceeded")]

    async def test_what_a_failure_cost_has_to_leave_room_for_the_next(self, gateway: Several) -> None:
        held: list[int] = []

        async def look() -> Any:
            held.append(await gateway.spent("c2026-09"))
            return answers(200, b"{", ProviderError("cut"))

        gateway.provider("openai", look)
        await gateway.chat(ONE)
        limit = held[0] + await gateway.spent("s2026-09") + 1
        gateway.tenant(allowance=Allowance(budgets=(Budget(window="month", usd=Decimal(limit) / 10**9),)))
        answer = await gateway.chat(ONE)
        assert answer.status == 502
        assert gateway.providers.asked == ["openai", "groq", "openai"]


async def test_each_provider_is_asked_in_its_own_words(gateway: Several) -> None:
    gateway.provider("openai", fails(500))
    options = {"groq": {"service_tier": "flex"}, "openai": {"store": False}}
    await gateway.chat({**ONE, "provider_options": options})
    first, second = [json.loads(request.body) for request in gateway.providers.sent]
    assert (first["model"], second["model"]) == ("gpt", "llama")
    assert ("store" in first, "store" in second, second["service_tier"]) == (True, False, "flex")


class TestEmbeddings:
    @pytest.fixture
    def made(self, gateway: Several) -> Several:
        gateway.provider("mistral", embeds())
        gateway.provider("openai", fails(503))
        return gateway

    async def test_another_model_answers(self, made: Several) -> None:
        answer = await made.embed(fallbacks=["mistral/embed"])
        assert (answer.status, answer.json["model"]) == (200, "mistral/embed")
        assert [one["status"] for one in answer.json["gateway"]["attempts"]] == ["error", "ok"]
        assert [one.model for one in made.usage] == ["openai/embed", "mistral/embed"]

    async def test_not_one_whose_vectors_have_another_length(self, made: Several) -> None:
        answer = await made.embed(fallbacks=["mistral/long"])
        assert (answer.status, made.providers.asked) == (502, ["openai"])

    @pytest.mark.parametrize(
        ("asked", "other", "is_answered"),
        [
            ({"model": "openai/some"}, "mistral/other", False),
            ({"model": "openai/some"}, "mistral/embed", False),
            ({}, "mistral/other", False),
            ({"model": "openai/some"}, "mistral/some", True),
            ({"model": "openai/some", "dimensions": 2}, "mistral/other", True),
        ],
    )
    async def test_where_a_length_is_not_known_only_the_same_model_answers(
        self, made: Several, asked: Any, other: str, is_answered: bool
    ) -> None:
        held = made.world.catalog.held  # type: ignore[attr-defined]
        for provider, name in (("openai", "some"), ("mistral", "some"), ("mistral", "other")):
            held[provider][name] = model(name, api="embeddings", embedding=EmbeddingFacts(min_dimensions=1))
        answer = await made.embed(**asked, fallbacks=[other])
        assert made.providers.asked == (["openai", "mistral"] if is_answered else ["openai"])
        assert answer.status == (200 if is_answered else 502)
