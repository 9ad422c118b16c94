"""How long a provider may take: as the request says, its tenant, or the gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.model.call import MAX_BEGIN_MS, Call, Timeouts
from gateway.model.errors import InvalidRequest
from gateway.model.reliability import TimeoutRule
from gateway.model.tenant import Tenant
from gateway.model.trace import Trace
from gateway.pipeline.ask import begin
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.route import Route
from gateway.pipeline.timeouts import timed
from gateway.pipeline.watch import begins_s, seconds, total_s
from gateway.providers.lookup import provider_named
from tests.unit.several_providers import ROLE, Several, model, says, several, stalls, streams
from tests.unit.test_fallback import HELLO

RULES = (
    TimeoutRule(models="openai/slow", total_ms=60_000, max_total_ms=100_000),
    TimeoutRule(models="openai/*", ttft_ms=5_000, total_ms=30_000),
    TimeoutRule(max_ttft_ms=4_000, max_total_ms=90_000),
)


def attempt(**more: Any) -> Attempt:
    return Attempt(None, 0.0, {}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "asked", "found"),
    [
        ("openai/gpt", None, (4_000, 30_000)),
        ("openai/slow", None, (4_000, 60_000)),
        ("groq/llama", None, (4_000, 90_000)),
        ("openai/gpt", Timeouts(total_ms=80_000), (4_000, 80_000)),
        ("openai/gpt", Timeouts(ttft_ms=7), (7, 30_000)),
    ],
)
def test_a_tenants_times_hold_where_the_request_says_none(
    model: str, asked: Timeouts | None, found: tuple[int, int]
) -> None:
    call = timed(Call(model="m", timeouts=asked), model, Tenant(id="acme", timeouts=RULES))
    assert (begins_s(call, attempt()) * 1000, total_s(call) * 1000) == found


@pytest.mark.parametrize(
    ("asked", "param"),
    [(Timeouts(ttft_ms=4_001), "timeouts.ttft_ms"), (Timeouts(total_ms=90_001), "timeouts.total_ms")],
)
def test_more_than_the_lowest_ceiling_is_refused(asked: Timeouts, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        timed(Call(model="m", timeouts=asked), "openai/slow", Tenant(id="acme", timeouts=RULES))
    assert caught.value.param == param


def test_a_call_of_a_tenant_that_says_nothing_stays_as_it_is() -> None:
    call = Call(model="m")
    assert timed(call, "openai/gpt", Tenant(id="acme")) is call
    assert timed(call, "groq/llama", Tenant(id="acme", timeouts=RULES[:2])) is call


def test_those_who_may_still_be_asked_share_the_time_that_nobody_set() -> None:
    assert seconds(None, None, MAX_BEGIN_MS, chances=3) == 95
    assert seconds(200_000, None, MAX_BEGIN_MS, chances=3) == 200
    assert seconds(200_000, None, MAX_BEGIN_MS, spare_s=100, chances=3) == 185


@pytest.mark.parametrize(
    ("rules", "shared_s"),
    [
        ((TimeoutRule(max_ttft_ms=285_000, max_total_ms=600_000),), (142.5, 142.5)),
        ((TimeoutRule(max_ttft_ms=100_000, max_total_ms=120_000),), (100, 120)),
        ((TimeoutRule(ttft_ms=200_000, total_ms=200_000), TimeoutRule(max_total_ms=600_000)), (200, 200)),
        ((TimeoutRule(ttft_ms=200_000, max_ttft_ms=100_000, max_total_ms=90_000),), (100, 90)),
    ],
)
def test_what_is_only_bounded_is_shared_all_the_same(rules: Any, shared_s: tuple[float, float]) -> None:
    """Else a first one that stalls would have the time of all."""
    call = timed(Call(model="m"), "openai/gpt", Tenant(id="acme", timeouts=rules))
    assert (begins_s(call, attempt(chances=2)), total_s(call, chances=2)) == shared_s


def test_hooks_that_have_to_agree_to_a_stream_take_nothing_of_the_time_until_it_begins() -> None:
    """They are asked after its end; what was waited for before counts."""
    assert begins_s(Call(model="m"), attempt(own_wait_s=30)) == 285 - 30


async def test_a_later_attempt_has_what_is_left_and_media_are_counted_once() -> None:
    gateway = several()
    clock, seen = gateway.world.clock, Exchange("req_1", "chat", started_s=100.0, trace=Trace.of("", ""))
    openai = provider_named("openai")
    route = Route(openai, model("gpt"), openai.wires["chat_completions"])
    begin(route, seen, clock, chances=2)
    clock.running_s += 40  # type: ignore[attr-defined]
    seen.media_wait_s += 30
    late = begin(route, seen, clock)
    assert late.late_s == 10
    assert begins_s(Call(model="m"), late) == 285 - 30 - 10


class TestChats:
    @pytest.fixture
    def gateway(self) -> Several:
        made = several()
        made.provider("groq", says("groq"))
        return made

    @pytest.mark.parametrize(
        ("rule", "answer", "stream", "phase"),
        [
            (TimeoutRule(total_ms=20), stalls(), False, "total"),
            (TimeoutRule(total_ms=20), streams(ROLE, asyncio.Event().wait), True, "total"),
            (TimeoutRule(ttft_ms=20), streams(ROLE, asyncio.Event().wait), True, "ttft"),
            (TimeoutRule(ttft_ms=20), streams(b": ping\n\n", b": ping\n\n", asyncio.Event().wait), True, "ttft"),
            (TimeoutRule(models="groq/*", total_ms=20), says("openai"), False, None),
        ],
    )
    async def test_a_tenants_time_ends_an_attempt(
        self, gateway: Several, rule: TimeoutRule, answer: Any, stream: bool, phase: str | None
    ) -> None:
        gateway.tenant(timeouts=(rule,))
        gateway.provider("openai", answer)
        answered = await gateway.chat({**HELLO, "stream": stream})
        error = answered.events[-1]["error"] if answered.status == 200 and stream else answered.json.get("error", {})
        assert (error.get("code"), error.get("phase")) == ("provider_timeout" if phase else None, phase)

    async def test_then_it_is_the_next_ones_turn(self, gateway: Several) -> None:
        gateway.tenant(timeouts=(TimeoutRule(models="openai/*", total_ms=20),))
        gateway.provider("openai", stalls())
        report = (await gateway.chat({**HELLO, "fallbacks": ["groq/llama"]})).json["gateway"]
        assert report["model_used"] == "groq/llama"

    async def test_more_than_is_allowed_is_refused_unasked(self, gateway: Several) -> None:
        gateway.tenant(timeouts=(TimeoutRule(max_total_ms=1_000),))
        answer = await gateway.chat({**HELLO, "timeouts": {"total_ms": 1_001}})
        assert (answer.status, answer.json["error"]["param"]) == (400, "timeouts.total_ms")
        assert gateway.providers.asked == []
