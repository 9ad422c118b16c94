"""How long a provider may take: as the request says, its tenant, or the gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.model.call import Call, Timeouts
from gateway.model.errors import InvalidRequest
from gateway.model.reliability import TimeoutRule
from gateway.model.tenant import Tenant
from gateway.model.trace import Trace
from gateway.pipeline.ask import begin
from gateway.pipeline.exchange import Attempt, Exchange
from gateway.pipeline.patience import BEGINNING_S, OWN_S, STREAM_S, WHOLE_S
from gateway.pipeline.route import Route
from gateway.pipeline.timeouts import timed
from gateway.pipeline.watch import BEGIN_S, Watch
from gateway.providers.lookup import provider_named
from tests.unit.several_providers import ROLE, Several, model, says, several, stalls, streams
from tests.unit.test_fallback import HELLO

RULES = (
    TimeoutRule(models="openai/slow", total_ms=60_000, max_total_ms=100_000),
    TimeoutRule(models="openai/*", ttft_ms=5_000, total_ms=30_000),
    TimeoutRule(max_ttft_ms=4_000, max_total_ms=90_000),
)


def whole_s(call: Call, **more: Any) -> float:
    return Watch.of_whole(call, _attempt(**more), several().world).deadline_s


def first_s(call: Call, spare_s: float = 0.0, **more: Any) -> float:
    return Watch.of_stream(call, _attempt(**more), several().world, spare_s).deadline_s


def _attempt(**more: Any) -> Attempt:
    """Of a request that arrived when the clock began."""
    begun = {"started_s": 0.0, "until_s": 285.0, "stream_until_s": 840.0, **more}
    return Attempt(None, trace_headers={}, **begun)  # type: ignore[arg-type]


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
    assert (first_s(call) * 1000, whole_s(call) * 1000) == found


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
    said = Call(model="m", timeouts=Timeouts(total_ms=200_000))
    assert whole_s(Call(model="m"), chances=3) == 95
    assert whole_s(said, chances=3) == 200
    assert whole_s(said, chances=3, until_s=185.0) == 185


@pytest.mark.parametrize(
    ("rules", "shared_s"),
    [
        ((TimeoutRule(max_ttft_ms=285_000, max_total_ms=600_000),), (142.5, 142.5)),
        ((TimeoutRule(max_ttft_ms=100_000, max_total_ms=120_000),), (100, 120)),
        ((TimeoutRule(ttft_ms=200_000, total_ms=200_000), TimeoutRule(max_total_ms=600_000)), (200, 200)),
        ((TimeoutRule(ttft_ms=200_000, max_ttft_ms=100_000, max_total_ms=90_000),), (90, 90)),
    ],
)
def test_what_is_only_bounded_is_shared_all_the_same(rules: Any, shared_s: tuple[float, float]) -> None:
    """Else a first one that stalls would have the time of all."""
    call = timed(Call(model="m"), "openai/gpt", Tenant(id="acme", timeouts=rules))
    assert (first_s(call, chances=2), whole_s(call, chances=2)) == shared_s


def test_hooks_that_have_to_agree_to_a_stream_take_nothing_of_the_time_until_it_begins() -> None:
    """They are asked after its end, and take of the time until that."""
    watch = Watch.of_stream(Call(model="m"), _attempt(), several().world, 20.0)
    assert (watch.deadline_s, watch.phase) == (285, "ttft")
    watch.has_content()
    assert (watch.deadline_s, watch.phase) == (820, "total")


def test_what_goes_on_at_its_provider_is_taken_within_a_minute() -> None:
    call, world = Call(model="m"), several().world
    assert Watch.of_beginning(call, _attempt(), world).deadline_s == 60
    assert Watch.of_beginning(call, _attempt(chances=9), world).deadline_s == 285 / 9
    job = Call(model="m", async_=True)
    assert Watch.of_beginning(job, _attempt(until_s=840.0, chances=2), world).deadline_s == 420


async def test_whatever_was_before_an_attempt_is_taken_from_it_once() -> None:
    gateway = several()
    clock, seen = gateway.world.clock, Exchange("req_1", "chat", started_s=90.0, trace=Trace.of("", ""))
    openai = provider_named("openai")
    route = Route(openai, model("gpt"), openai.wires["chat_completions"])
    first = begin(route, seen, clock, chances=2)
    assert Watch.of_whole(Call(model="m"), first, gateway.world).deadline_s == 100 + (90 + 285 - 100) / 2
    clock.running_s += 40  # type: ignore[attr-defined]
    seen.media_wait_s += 30
    seen.spare_s = 20
    late = begin(route, seen, clock)
    assert Watch.of_whole(Call(model="m"), late, gateway.world).deadline_s == 90 + 285 - 20


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


@pytest.mark.parametrize(
    ("call", "enough_s"),
    [(Call(model="m"), OWN_S), (Call(model="m", timeouts=Timeouts(total_ms=200_000)), WHOLE_S)],
)
def test_after_how_long_a_provider_has_failed_depends_on_who_says_how_long_it_may_take(
    call: Call, enough_s: float
) -> None:
    attempt, world = _attempt(), several().world
    Watch.of_whole(call, attempt, world)
    assert attempt.enough_s == enough_s
    Watch.of_stream(call, attempt, world, 0.0)
    assert attempt.enough_s == STREAM_S
    Watch.of_beginning(call, attempt, world)
    assert attempt.enough_s == BEGINNING_S < BEGIN_S
