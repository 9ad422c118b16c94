"""Sessions of voice through the gateway's own functions, with simulated providers over real sockets."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from gateway.adapters.clock import SystemClock
from gateway.gts.naming import provider_name
from gateway.model.circuit import Rules
from gateway.model.limits import Allowance, Budget
from gateway.model.realtime_call import Terms
from gateway.model.realtime_session import BELIEVED_S
from gateway.pipeline import realtime_pace, realtime_session
from gateway.pipeline.realtime_pace import Rate
from gateway.pipeline.shared_health import SharedHealth
from tests.fakes import ListRecords
from tests.health_store import MemoryHealth
from tests.simulators.process import Simulator
from tests.simulators.realtime_client import CONNECTION, PREFIXES, TENANT, calling

HEARD_MS, SAID_MS = {"openai": 100, "google": 40}, {"openai": 50, "google": 40}
"""Of one token of sound."""


@pytest.mark.parametrize("name", PREFIXES)
async def test_a_spoken_turn_and_its_summary(simulator: Simulator, name: str) -> None:
    async with calling(simulator, name) as caller:
        created = await caller.until("session.created")
        await caller.configures(instructions="Be brief")
        sound = await caller.speaks("Hello you")
        done = await caller.until("response.done")
        await caller.says("session.close")
        summary = await caller.until("gateway.session.summary")
        await caller.ended()
        held = await caller.held()
    assert created["session"]["id"].startswith("sess_") and created["session"]["model"].startswith(name)
    assert done["response"]["output"][0]["content"][0]["transcript"] == "You said: Hello you"
    assert caller.sound == sound
    usage = summary["usage"]
    heard, said = usage["input_token_details"]["audio_tokens"], usage["output_token_details"]["audio_tokens"]
    assert (heard, said) == (1000 // HEARD_MS[name], 1000 // SAID_MS[name])
    assert caller.events[-1] == summary and caller.clients.closed == [CONNECTION]
    own = caller.usage_records[-1]
    assert own.usage is not None and own.usage.prompt.audio_tokens == heard
    assert created["request_id"] == summary["request_id"] == own.of.request_id
    assert summary["usage"]["cost_estimate"] == pytest.approx(caller.spent_nano_usd() / 1e9)
    assert (held, caller.ending.event, caller.outcomes) == (0, "request.completed", ["ended"])
    assert own.latency_ms is not None
    assert own.ttft_ms is not None and own.ttft_ms < own.latency_ms  # what its health is judged by: its connection


async def test_a_client_that_goes_without_a_word_is_settled(simulator: Simulator) -> None:
    async with calling(simulator, "openai") as caller:
        await caller.configures()
        await caller.speaks("Hello you")
        await caller.until("response.done")
        await caller.leaves()
        await caller.ended()
        assert await caller.held() == 0
    assert caller.spent_nano_usd() > 0
    assert caller.ending.event == "request.completed"
    assert "gateway.session.summary" not in caller.kinds


@pytest.mark.parametrize("name", PREFIXES)
async def test_functions_take_turns_and_nothing_is_lost(simulator: Simulator, name: str) -> None:
    """Each holds the session for a second and a half at most; the client hears nothing of it."""
    async with calling(simulator, name, Terms(window_ms=30, rollover_s=1.5)) as caller:
        await caller.configures()
        spoken = b""
        for number in range(6):
            spoken += await caller.speaks(f"Number {number}")
            done = await caller.until("response.done")
            assert done["response"]["output"][0]["content"][0]["transcript"] == f"You said: Number {number}"
            await asyncio.sleep(0.6)
        await caller.says("session.close")
        await caller.until("gateway.session.summary")
        await caller.ended()
    assert caller.sound == spoken
    assert caller.outcomes == ["handed over"] * (len(caller.epochs) - 1) + ["ended"]
    assert len(caller.epochs) >= 3
    assert not {"error", "gateway.session.recovered"} & caller.kinds
    assert [event["type"] for event in caller.events].count("session.created") == 1


@pytest.mark.parametrize("name", PREFIXES)
async def test_a_function_that_is_killed_is_followed_within_seconds(simulator: Simulator, name: str) -> None:
    gate = f"killed-{name}"
    async with calling(simulator, name) as caller:
        await caller.configures()
        await caller.speaks("First")
        await caller.until("response.done")
        await asyncio.sleep(0.3)
        await caller.speaks(f"Second [[gate={gate} gate_at=2 id={gate}]]")
        await caller.until("response.output_audio.delta")
        caller.epochs[1].cancel()
        began_s = caller.world.clock.monotonic_s()
        while 2 not in caller.epochs:
            await asyncio.sleep(0.2)
            await caller.says("input_audio_buffer.append", audio="AAAA")
        assert caller.world.clock.monotonic_s() - began_s < BELIEVED_S + 3
        await caller.until("gateway.session.recovered")
        simulator.control("POST", f"gates/{gate}")
        done = await caller.until("response.done")
        await caller.says("session.close")
        await caller.until("gateway.session.summary")
        await caller.ended_but_the_first()
        assert await caller.held() == 0
    assert "Second" in done["response"]["output"][0]["content"][0]["transcript"]
    assert len({record.id for record in caller.usage_records}) == len(caller.usage_records)


async def test_who_was_followed_says_nothing_more(simulator: Simulator) -> None:
    """A function that was stopped for a while, and does not know that another has its session."""
    async with calling(simulator, "openai") as caller:
        await caller.until("session.created")
        held = caller.sessions.held[CONNECTION]
        held.lease = structs.replace(held.lease, epoch=2)
        await caller.ended()
        told = len(caller.events)
        await caller.speaks("Hello")
        await asyncio.sleep(0.3)
        assert (caller.outcomes, len(caller.events)) == (["fenced"], told)
        assert await caller.held() == 2 and caller.usage_records == []


async def test_a_key_that_is_revoked_ends_its_sessions(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime_session, "CHECK_EVERY_S", 0.2)
    async with calling(simulator, "openai") as caller:
        await caller.until("session.created")
        caller.revoke()
        error = await caller.until("error")
        await caller.ended()
        assert await caller.held() == 0
    assert error["error"]["code"] == "invalid_api_key"


async def test_tools_are_called_by_the_names_that_the_client_gave_them(simulator: Simulator) -> None:
    """Whatever a provider takes for a name, and whichever function holds the session."""
    tool: dict[str, Any] = {"type": "function", "name": "weather.at/home", "parameters": {"type": "object"}}
    async with calling(simulator, "google", Terms(window_ms=30, rollover_s=1.0)) as caller:
        await caller.configures(tools=[tool])
        await caller.speaks("Hello")
        await caller.until("response.done")
        await asyncio.sleep(1.2)
        await caller.speaks(f'call {provider_name(tool["name"])} {{"a": 1}}')
        called = await caller.until("response.function_call_arguments.done")
        assert len(caller.epochs) > 1
    assert (called["name"], called["arguments"]) == (tool["name"], '{"a":1}')


async def test_a_provider_that_drops_the_connection(simulator: Simulator) -> None:
    """What was said is said again over another one."""
    simulator.control("POST", "faults", json={"provider": "openai", "fault": "cut=reset cut_after=1"})
    async with calling(simulator, "openai") as caller:
        await caller.configures()
        await caller.speaks("Hi there")
        await caller.until("gateway.session.recovered")
        done = await caller.until("response.done")
        await caller.says("session.close")
        await caller.until("gateway.session.summary")
        await caller.ended()
    assert done["response"]["output"][0]["content"][0]["transcript"] == "You said: Hi there"
    assert caller.troubles == ["realtime.reconnected"]
    own = caller.usage_records[-1]
    assert own.usage is not None and own.usage.estimated


async def test_a_provider_that_drops_every_connection_has_failed(simulator: Simulator) -> None:
    async with calling(simulator, "openai") as caller:
        await caller.configures()
        await caller.speaks("Hi [[cut=reset cut_after=1]]")
        error = await caller.until("error", timeout_s=20)
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    assert error["error"]["code"] == caller.ending.facts["code"] == "provider_error"


async def test_a_provider_that_does_not_let_anybody_in(simulator: Simulator) -> None:
    simulator.control("POST", "faults", json={"provider": "openai", "fault": "status=401"})
    async with calling(simulator, "openai") as caller:
        error = await caller.until("error")
        await caller.ended()
        assert await caller.held() == 0
    assert error["error"]["code"] == caller.ending.facts["code"]
    assert caller.ending.event == "request.failed"


async def test_a_provider_that_has_no_time_is_asked_again(simulator: Simulator) -> None:
    simulator.control("POST", "faults", json={"provider": "openai", "fault": "status=503"})
    async with calling(simulator, "openai") as caller:
        await caller.until("session.created")
    assert caller.troubles == ["realtime.reconnected"] and "gateway.session.recovered" not in caller.kinds


async def test_a_provider_that_fails_is_left_alone_for_a_while(simulator: Simulator) -> None:
    """By all sessions of an environment, and all its other requests to that model."""
    clock = SystemClock()
    health = SharedHealth(Rules(("*",), failures=2, open_s=30), 60_000, MemoryHealth(), clock, ListRecords())
    simulator.control("POST", "faults", json={"provider": "openai", "fault": "status=503", "count": 9})
    async with calling(simulator, "openai", health=health) as caller:
        assert (await caller.until("error", timeout_s=20))["error"]["code"] == "circuit_open"
        await caller.ended()
    assert len(simulator.control("GET", "requests?provider=openai&limit=9")["requests"]) == 2
    simulator.control("DELETE", "faults")
    async with calling(simulator, "google", health=health) as caller:
        await caller.until("session.created")


async def test_a_budget_that_is_used_up_ends_the_session(simulator: Simulator) -> None:
    """Before the response that it has no room for."""
    budget = Budget(window="day", usd=Decimal("0.37"))
    tenant = replace(TENANT, allowance=Allowance(budgets=(budget,)))
    async with calling(simulator, "openai", tenant=tenant) as caller:
        await caller.configures()
        for _ in range(40):
            await caller.speaks("Hello you")
            event = await caller.until_any("response.done", "error")
            if event["type"] == "error":
                break
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    assert event["error"]["code"] == "budget_exceeded"
    assert 0 < caller.spent_nano_usd() <= 370_000_000
    assert caller.clients.closed == [CONNECTION]


async def test_a_session_in_which_nobody_speaks_ends(simulator: Simulator) -> None:
    async with calling(simulator, "openai", Terms(window_ms=30, idle_s=0.5)) as caller:
        error = await caller.until("error")
        await caller.until("gateway.session.summary")
        await caller.ended()
    assert (error["error"]["code"], error["error"]["retryable"]) == ("session_expired", True)
    assert caller.ending.event == "request.completed"


async def test_a_session_has_a_longest_time(simulator: Simulator) -> None:
    async with calling(simulator, "openai", Terms(window_ms=30, longest_s=1.0)) as caller:
        await caller.speaks("Hello")
        assert (await caller.until("error"))["error"]["code"] == "session_expired"
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0


async def test_who_speaks_too_fast_is_told_and_ended(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used is settled, and the client's next words are for nobody."""
    monkeypatch.setattr(realtime_pace, "MESSAGES", Rate("messages", 1, 60))
    async with calling(simulator, "openai") as caller:
        await caller.configures()
        await caller.speaks("Hello you")
        await caller.until("response.done")
        for _ in range(300):
            await caller.says("input_audio_buffer.clear")
        error = (await caller.until("error"))["error"]
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    assert (error["code"], error["level"], error["retryable"]) == ("rate_limited", "gateway", True)
    assert "takes 1 messages a second, and 60 at once" in error["message"]
    assert caller.clients.closed == [CONNECTION]
    assert caller.spent_nano_usd() > 0
    heard = simulator.last("openai")["messages"]
    assert len([one for one in heard if one["type"] == "input_audio_buffer.clear"]) < 100


async def test_a_recording_of_minutes_may_be_sent_at_once(simulator: Simulator) -> None:
    """As the official SDKs' examples do."""
    async with calling(simulator, "openai") as caller:
        await caller.sends_sound(1_800, 0.1)
        await caller.speaks("Hello you")
        done = await caller.until_any("response.done", "error", timeout_s=30)
    assert done["type"] == "response.done"


async def test_what_cannot_be_read_is_told_and_the_session_goes_on(simulator: Simulator) -> None:
    async with calling(simulator, "google") as caller:
        await caller.until("session.created")
        await caller.says("session.update", session={"voice": "alloy"}, event_id="mine")
        error = (await caller.until("error"))["error"]
        assert (error["code"], error["param"], error["event_id"]) == (
            "capability_not_supported",
            "session.voice",
            "mine",
        )
        await caller.says("no.such.event")
        assert (await caller.until("error"))["error"]["code"] == "validation_error"
        await caller.speaks("Hello")
        await caller.until("response.done")


async def test_a_warning_of_the_provider_is_heeded(simulator: Simulator) -> None:
    async with calling(simulator, "google") as caller:
        await caller.configures()
        await caller.speaks("Hi [[go_away_s=5]]")
        await caller.until("response.done")
        await asyncio.sleep(1)
        await caller.speaks("Who am I")
        done = await caller.until("response.done")
        await caller.says("session.close")
        await caller.until("gateway.session.summary")
        await caller.ended()
    assert "Who am I" in done["response"]["output"][0]["content"][0]["transcript"]
    assert "gateway.session.recovered" not in caller.kinds and caller.outcomes == ["ended"]
    sockets = simulator.control("GET", "requests?provider=google&limit=2")["requests"]
    assert len(sockets) == 2
