"""What a request of several attempts costs, as asking another model has them."""

from __future__ import annotations

from gateway.model.catalog import ModelFacts
from gateway.model.record import AuditEvent
from gateway.model.trace import Trace
from gateway.model.usage import TokenUsage
from gateway.pipeline.account import account
from gateway.pipeline.admit import take
from gateway.pipeline.ask import begin
from gateway.pipeline.conclude import conclude
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.meters import Demand
from gateway.pipeline.route import Route
from gateway.providers.lookup import provider_named
from tests.fakes import ListEvents, principal
from tests.unit.conftest import FACTS, TENANT, Gateway


async def test_an_attempt_without_a_price_does_not_hide_what_another_cost(gateway: Gateway) -> None:
    exchange = Exchange("req_1", "chat", started_s=0.0, trace=Trace.of("", ""), principal=principal(TENANT))
    demand = Demand("openai/gpt-4o", tokens=100, cost_nano_usd=500, lease_s=60)
    exchange.ticket = await take("req_1", demand, principal(TENANT), exchange.facts(), gateway.world)
    openai = provider_named("openai")
    for facts in (FACTS, ModelFacts(id="new", name="New")):
        attempt = begin(Route(openai, facts, openai.wires["chat_completions"]), exchange, gateway.world.clock)
        account(attempt, TokenUsage(prompt_tokens=9, completion_tokens=3), exchange)
    await conclude(exchange, gateway.world)
    cost = 9 * 2_500 + 3 * 10_000
    assert (await gateway.world.ledger.read("T#acme#0")).numbers["s2026-09"] == cost
    [line] = gateway.records.written
    assert (line.cost_nano_usd, line.unpriced_attempts) == (cost, 1)
    assert isinstance(gateway.world.events, ListEvents)
    [ended] = [one for one in gateway.world.events.told if isinstance(one, AuditEvent) and one.id.endswith("ended")]
    assert (ended.facts["cost_nano_usd"], ended.facts["unpriced_attempts"]) == (cost, 1)
    assert exchange.usage_report is not None
    assert exchange.usage_report.cost_estimate is None
