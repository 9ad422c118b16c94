"""What a provider does by itself for a call: held for where it has a bound, refused where it has none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts, Prices, UnitPrice
from gateway.model.chat import ChatCall
from gateway.model.errors import PriceUnknown
from gateway.model.limits import Allowance, Budget
from gateway.model.tenant import Principal, Tenant
from gateway.pipeline.demand import demand_of
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import Route
from gateway.providers.lookup import provider_named
from tests.fakes import principal

CONTEXT, FEE = 100_000, 10_000_000
FACTS = ModelFacts(
    id="m",
    name="M",
    source="https://example.com",
    context_tokens=CONTEXT,
    prices=Prices(input=1_000_000, output=1_000_000),
    unit_prices=(UnitPrice(unit="web_searches", pico_usd=FEE * 1_000),),
)
LIMITED = principal(Tenant(id="acme", allowance=Allowance(budgets=(Budget(window="month", usd=Decimal(1_000)),))))
FREE = principal(Tenant(id="acme"))
SEARCH = {"type": "web_search"}
CLAUDE_SEARCH = {"type": "web_search_20260318", "name": "web_search"}
CLAUDE_FETCH = {"type": "web_fetch_20260318", "name": "web_fetch"}


def demand(
    provider: str,
    api: str,
    options: dict[str, Any],
    of: Principal = LIMITED,
    facts: ModelFacts = FACTS,
    **members: Any,
) -> tuple[ChatCall, Demand]:
    said = [{"role": "user", "content": "Hi"}]
    body = {"model": "m", "messages": said, "max_tokens": 10, "provider_options": {provider: options}, **members}
    known = provider_named(provider)
    return demand_of(msgspec.convert(body, ChatCall), Route(known, facts, known.wires[api]), of, 1.0)


WORK: list[tuple[str, str, dict[str, Any], int, int]] = [
    ("openai", "responses", {"tools": [SEARCH]}, 10, 11),
    ("openai", "responses", {"tools": [SEARCH], "max_tool_calls": 3}, 3, 4),
    ("openai", "responses", {"tools": [SEARCH, {"type": "mcp"}], "max_tool_calls": 1}, 1, 2),
    ("openai", "responses", {"tools": [SEARCH, SEARCH]}, 20, 21),
    ("openai", "responses", {"tools": [{**SEARCH, "max_uses": 1}]}, 10, 11),
    ("openai", "responses", {"tools": [SEARCH], "max_tool_calls": True}, 10, 11),
    ("azure", "responses", {"tools": [{"type": "web_search_preview"}], "max_tool_calls": 2}, 2, 3),
    ("anthropic", "messages", {"tools": [CLAUDE_SEARCH]}, 10, 11),
    ("anthropic", "messages", {"tools": [{**CLAUDE_SEARCH, "max_uses": 2}, CLAUDE_FETCH]}, 2, 13),
    ("anthropic", "messages", {"tools": [CLAUDE_SEARCH], "max_tool_calls": 0}, 10, 11),
    ("anthropic", "messages", {"mcp_servers": [{"type": "url"}]}, 0, 11),
    ("google", "generate_content", {"tools": [{"googleSearch": {}}]}, 10, 1),
    ("google", "generate_content", {"tools": [{"google_search": {}, "url_context": {}}]}, 10, 11),
    ("google", "generate_content", {"tools": [{"google_search": {}}], "max_tool_calls": 0}, 10, 1),
]


@pytest.mark.parametrize(("provider", "api", "options", "searches", "turns"), WORK)
def test_each_search_has_its_fee_and_each_turn_reads_all_that_the_model_can(
    provider: str, api: str, options: dict[str, Any], searches: int, turns: int
) -> None:
    _, held = demand(provider, api, options)
    assert held.cost_nano_usd == turns * CONTEXT * 1_000 + 10 * 1_000 + searches * FEE
    assert held.tokens == CONTEXT + 10


CLIENT: list[tuple[str, str, dict[str, Any]]] = [
    ("openai", "responses", {"tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]}),
    (
        "anthropic",
        "messages",
        {"tools": [{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]},
    ),
    ("anthropic", "messages", {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
    ("google", "generate_content", {"tools": [{"functionDeclarations": [{"name": "f"}]}]}),
    ("bedrock", "converse", {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}}),
    ("bedrock", "converse", {"additionalModelRequestFields": {"tools": [{"type": "bash_20250124", "name": "bash"}]}}),
    ("cohere", "cohere_chat", {"tools": [{"type": "function"}]}),
    ("xai", "chat_completions", {"tools": [{"type": "function"}]}),
]


@pytest.mark.parametrize(("provider", "api", "options"), CLIENT)
def test_tools_that_the_client_runs_are_a_part_of_the_prompt(provider: str, api: str, options: dict[str, Any]) -> None:
    _, held = demand(provider, api, options)
    assert held.cost_nano_usd < 1_000 * 1_000


COMPACT = {"edits": [{"type": "clear_tool_uses_20250919"}, {"type": "compact_20260112"}]}
UNBOUNDED: list[tuple[str, str, dict[str, Any], str]] = [
    ("anthropic", "messages", {"context_management": COMPACT}, "context_management"),
    ("anthropic", "messages", {"compaction": {}}, "compaction"),
    ("openai", "responses", {"tools": [{"type": "image_generation"}]}, "tools"),
    ("openai", "responses", {"tools": [{"type": "code_interpreter"}], "max_tool_calls": 0}, "tools"),
    ("openai", "responses", {"tools": [SEARCH, {"type": "file_search"}]}, "tools"),
    ("openai", "chat_completions", {"tools": [SEARCH]}, "tools"),
    ("azure", "chat_completions", {"data_sources": [{"type": "azure_search"}]}, "data_sources"),
    ("anthropic", "messages", {"tools": [{"type": "code_execution_20260521"}]}, "tools"),
    ("anthropic", "messages", {"tools": [{"type": "advisor_20260301", "model": "dearest"}]}, "tools"),
    ("google", "generate_content", {"tools": [{"googleSearch": {}, "googleMaps": {}}]}, "tools"),
    (
        "bedrock",
        "converse",
        {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
        "toolConfig.tools",
    ),
    ("xai", "chat_completions", {"search_parameters": {"mode": "on"}, "max_tool_calls": 0}, "search_parameters"),
    ("xai", "responses", {"tools": [SEARCH], "max_tool_calls": 1}, "tools"),
    ("openrouter", "responses", {"tools": [{"type": "openrouter:web_search"}], "max_tool_calls": 1}, "tools"),
    ("groq", "chat_completions", {"tools": [{"type": "browser_search"}]}, "tools"),
]


@pytest.mark.parametrize(("provider", "api", "options", "member"), UNBOUNDED)
def test_what_has_no_bound_is_refused_where_money_is_limited(
    provider: str, api: str, options: dict[str, Any], member: str
) -> None:
    with pytest.raises(PriceUnknown) as refused:
        demand(provider, api, options)
    assert refused.value.param == f"provider_options.{provider}.{member}"
    demand(provider, api, options, FREE)


def test_a_search_without_a_price_is_refused_where_money_is_limited() -> None:
    unpriced = msgspec.structs.replace(FACTS, unit_prices=())
    with pytest.raises(PriceUnknown) as refused:
        demand("azure", "responses", {"tools": [SEARCH]}, facts=unpriced)
    assert refused.value.param == "provider_options.azure.tools"
    with pytest.raises(PriceUnknown) as refused:
        demand("openai", "responses", {}, facts=unpriced, web_search_options={})
    assert refused.value.param == "web_search_options"


def test_a_provider_that_keeps_to_a_limit_is_told_what_is_held_for() -> None:
    call, held = demand("openai", "responses", {"tools": [SEARCH], "store": False})
    assert call.options_for("openai") == {"tools": [SEARCH], "store": False, "max_tool_calls": 10}
    unlimited, _ = demand("openai", "responses", {"tools": [SEARCH], "max_tool_calls": None})
    assert unlimited.options_for("openai")["max_tool_calls"] == 10
    searching, same = demand("openai", "responses", {}, web_search_options={})
    assert searching.options_for("openai") == {"max_tool_calls": 10}
    assert same.cost_nano_usd == held.cost_nano_usd


@pytest.mark.parametrize("most", [3, 0])
def test_a_limit_that_the_call_has_itself_stands(most: int) -> None:
    options = {"tools": [SEARCH], "max_tool_calls": most}
    assert demand("openai", "responses", options)[0].options_for("openai") == options


def test_where_nothing_is_limited_nobody_is_told_anything() -> None:
    assert demand("openai", "responses", {"tools": [SEARCH]}, FREE)[0].options_for("openai") == {"tools": [SEARCH]}
