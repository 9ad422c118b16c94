"""What sessions of voice cost is booked, whoever ends them and when, with simulated providers over real sockets."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from gateway.adapters.provider_socket import WebSockets
from gateway.model.denials import AT_MOST
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.limits import Allowance, Budget
from gateway.model.provider_errors import ProviderError
from gateway.model.realtime_call import Terms
from gateway.model.realtime_session import Frame
from gateway.pipeline import realtime_session
from gateway.pipeline.contact import Contact
from gateway.pipeline.realtime_demand import TOKENS_PER_S_OF_SOUND
from gateway.realtime_ports import HandshakeRefused
from tests.fakes import MemoryAccess
from tests.realtime_fakes import MemoryFrames
from tests.simulators.process import Simulator
from tests.simulators.realtime_client import CONNECTION, MODELS, PREFIXES, TENANT, Caller, calling

TENANT_WITH_ALIAS = replace(TENANT, aliases={"voice": MODELS["openai"]})
WITH_BUDGET = replace(TENANT, allowance=Allowance(budgets=(Budget(window="day", usd=Decimal(50)),)))
HEARD_NANO_USD = 32_000
"""Of a token of sound at gpt-realtime-2.1."""
MOST_OUTPUT_NANO_USD = 4_096 * 64_000
"""Of the longest response where money is limited."""


@pytest.mark.parametrize("name", PREFIXES)
@pytest.mark.parametrize("kind", ["session.close", "response.cancel"])
async def test_a_response_that_is_broken_off_is_paid(simulator: Simulator, name: str, kind: str) -> None:
    """Google tells what it has cost only once it is over; of what is not told in time the policy for lost requests says
    what it costs.
    """
    gate = f"broken-{name}-{kind}"
    async with calling(simulator, name) as caller:
        await caller.configures()
        await caller.speaks(f"Hello [[gate={gate} gate_at=2 id={gate}]]")
        await caller.until("response.output_audio.delta")
        await caller.says(kind)
        if kind != "session.close":
            await caller.until("response.done")
            await caller.says("session.close")
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    simulator.control("POST", f"gates/{gate}")
    assert caller.spent_nano_usd() > 0


async def test_what_was_used_is_booked_where_nobody_may_go_on(simulator: Simulator) -> None:
    """Its key was deleted while one function handed the session to the next."""
    async with calling(simulator, "openai", Terms(window_ms=30, rollover_s=1.0)) as caller:
        await caller.configures()
        await caller.speaks("Hello you")
        await caller.until("response.done")
        assert isinstance(caller.world.access, MemoryAccess)
        caller.world.access.held.clear()
        await caller.until("error")
        summary = await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    assert caller.outcomes == ["handed over", "ended"]
    assert caller.usage_records[-1].model == "openai/gpt-realtime-2.1"
    assert summary["usage"]["total_tokens"] > 0
    assert caller.spent_nano_usd() > 0


async def test_who_was_followed_ends_nothing(simulator: Simulator) -> None:
    """Though he hears that the session is over before he knows that another has it."""
    async with calling(simulator, "openai") as caller:
        await caller.until("session.created")
        held = caller.sessions.held[CONNECTION]
        held.lease = structs.replace(held.lease, epoch=2)
        await caller.says("session.close")
        await caller.ended()
        assert (caller.outcomes, caller.clients.closed, caller.usage_records) == (["fenced"], [], [])
        assert await caller.held() == 2
        assert "gateway.session.summary" not in caller.kinds


async def test_a_session_is_settled_however_many_were_refused(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusals at the door are no longer told where there are many; of a session that ends for that everything is."""
    monkeypatch.setattr(realtime_session, "CHECK_EVERY_S", 0.2)
    async with calling(simulator, "openai") as caller:
        await caller.configures()
        await caller.speaks("Hello you")
        await caller.until("response.done")
        for _ in range(AT_MOST + 1):
            caller.world.denials.enter("key_1", "invalid_api_key", caller.world.clock.now_s())
        caller.revoke()
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    assert caller.spent_nano_usd() > 0


async def test_a_session_goes_on_with_the_model_that_it_began_with(simulator: Simulator) -> None:
    """Its tenant's alias means another one by now."""
    tenant = TENANT_WITH_ALIAS
    async with calling(simulator, "openai", Terms(window_ms=30, rollover_s=1.0), tenant, model="voice") as caller:
        await caller.configures()
        await caller.speaks("Hello you")
        await caller.until("response.done")
        caller.holds(replace(tenant, aliases={"voice": MODELS["google"]}))
        await asyncio.sleep(1.2)
        await caller.speaks("Still you")
        await caller.until("response.done")
        await caller.says("session.close")
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert len(caller.epochs) > 1
    assert {record.model for record in caller.usage_records} == {MODELS["openai"], "openai/whisper-1"}


async def test_a_session_that_is_settled_does_not_begin_again(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose end could not be written down any more."""
    async with calling(simulator, "openai") as caller:
        await caller.configures()
        await caller.speaks("Hello you")
        await caller.until("response.done")
        monkeypatch.setattr(caller.sessions, "end", _unavailable)
        await caller.says("session.close")
        with pytest.raises(StorageUnavailable):
            await caller.ended()
        monkeypatch.undo()
        spent, told = caller.spent_nano_usd(), len(caller.events)
        held = caller.sessions.held[CONNECTION]
        held.lease = structs.replace(held.lease, alive_until_s=0)
        await caller.leaves()
        await caller.ended_but_the_first()
        assert caller.epochs[2].result() == {"outcome": "ended"}
        assert (caller.spent_nano_usd(), len(caller.events)) == (spent, told)
        assert caller.sessions.held[CONNECTION].lease.is_ended
    assert len(simulator.control("GET", "requests?provider=openai&limit=9")["requests"]) == 1


async def _unavailable(*_: object) -> None:
    raise StorageUnavailable("Sessions cannot be stored at the moment.")


async def test_a_check_that_fails_ends_the_session(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is, nothing would be looked at any more."""
    monkeypatch.setattr(realtime_session, "CHECK_EVERY_S", 0.2)
    async with calling(simulator, "openai") as caller:
        await caller.until("session.created")
        monkeypatch.setattr(realtime_session, "still_usable", _broken)
        assert (await caller.until("error"))["error"]["code"] == "internal_error"
        await caller.ended()
        assert await caller.held() == 0


async def _broken(*_: object) -> None:
    raise ValueError("a defect")


async def test_a_key_that_was_renewed_may_meet_a_provider_that_cannot_be_reached(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without a new key, it is tried again."""
    whole, refused = WebSockets.open, HandshakeRefused(HttpResponse(401, {}, b"{}"))
    failures: list[Exception] = [ProviderError("The provider cannot be reached."), refused]

    def opened(sockets: WebSockets, request: HttpRequest) -> Any:
        if failures:
            raise failures.pop()
        return whole(sockets, request)

    async def renewed(*_: object) -> bool:
        return True

    monkeypatch.setattr(WebSockets, "open", opened)
    monkeypatch.setattr(Contact, "is_renewed", renewed)
    async with calling(simulator, "openai") as caller:
        await caller.until("session.created")
        assert caller.troubles == ["realtime.reconnected"]


async def test_what_was_said_cannot_be_read_again_for_a_moment(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session waits for it, and does not end."""
    between, is_down = MemoryFrames.between, [True]

    async def once_down(frames: MemoryFrames, connection_id: str, after: str, before: str) -> list[Frame]:
        if before.endswith("\x00") and is_down:
            is_down.pop()
            raise StorageUnavailable("What is said cannot be read at the moment.")
        return await between(frames, connection_id, after, before)

    monkeypatch.setattr(MemoryFrames, "between", once_down)
    async with calling(simulator, "openai", Terms(window_ms=30, rollover_s=1.0)) as caller:
        await caller.configures()
        await caller.speaks("Hello you")
        await caller.until("response.done")
        await asyncio.sleep(1.2)
        await caller.speaks("Still you")
        assert (await caller.until_any("response.done", "error"))["type"] == "response.done"
    assert not is_down


async def test_for_a_client_that_has_gone_nothing_is_asked_again(simulator: Simulator) -> None:
    """The function that held its session died with it; the next one only settles."""
    async with calling(simulator, "openai") as caller:
        await caller.configures()
        await caller.speaks("Hello you")
        await caller.until("response.done")
        caller.epochs[1].cancel()
        held = caller.sessions.held[CONNECTION]
        held.lease = structs.replace(held.lease, alive_until_s=0)
        await caller.leaves()
        await caller.ended_but_the_first()
        assert await caller.held() == 0
        assert caller.epochs[2].result() == {"outcome": "ended"}
    assert len(simulator.control("GET", "requests?provider=openai&limit=9")["requests"]) == 1
    assert caller.spent_nano_usd() > 0


async def test_sound_faster_than_it_is_spoken_is_held_for(simulator: Simulator) -> None:
    """Though nobody is heard to speak in it: a recording may be all in before its provider says that a word began."""
    async with calling(simulator, "openai", tenant=WITH_BUDGET) as caller:
        await caller.until("session.updated")  # that a response has a bound
        before = await caller.held_nano_usd()
        await caller.sends_sound(60, 1.0)
        await caller.says("session.update", session={"type": "realtime"})
        await caller.until("session.updated")
        assert await caller.held_nano_usd() > before + 30 * TOKENS_PER_S_OF_SOUND * HEARD_NANO_USD
        assert "error" not in caller.kinds
    heard = simulator.last("openai")["messages"]
    assert len([one for one in heard if one["type"] == "input_audio_buffer.append"]) == 60


async def test_a_recording_that_no_budget_pays_for_is_not_passed_on(simulator: Simulator) -> None:
    """One response fits, with a minute of sound before it, and not two."""
    tenant = replace(TENANT, allowance=Allowance(budgets=(Budget(window="day", usd=Decimal("0.40")),)))
    async with calling(simulator, "openai", tenant=tenant) as caller:
        await caller.until("session.created")
        await caller.sends_sound(90, 1.0)
        assert (await caller.until("error"))["error"]["code"] == "budget_exceeded"
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    heard = simulator.last("openai")["messages"]
    assert len([one for one in heard if one["type"] == "input_audio_buffer.append"]) < 90


async def test_of_answers_beside_the_conversation_that_are_lost_each_is_charged(simulator: Simulator) -> None:
    """With the function that heard them."""
    async with calling(simulator, "openai", tenant=WITH_BUDGET) as caller:
        before = await _two_beside(caller, "lost-beside")
        caller.epochs[1].cancel()
        held = caller.sessions.held[CONNECTION]
        held.lease = structs.replace(held.lease, alive_until_s=0)
        await caller.leaves()
        await caller.ended_but_the_first()
        assert await caller.held() == 0
    simulator.control("POST", "gates/lost-beside")
    assert 2 * MOST_OUTPUT_NANO_USD <= caller.spent_nano_usd() <= before


async def test_answers_beside_the_conversation_are_ended_with_the_session(simulator: Simulator) -> None:
    """So that each tells what it has cost."""
    async with calling(simulator, "openai", tenant=WITH_BUDGET) as caller:
        await _two_beside(caller, "ended-beside")
        await caller.says("session.close")
        ended = [(await caller.until("response.done"))["response"]["status"] for _ in range(2)]
        await caller.until("gateway.session.summary")
        await caller.ended()
        assert await caller.held() == 0
    simulator.control("POST", "gates/ended-beside")
    assert ended == ["cancelled", "cancelled"]
    assert 0 < caller.spent_nano_usd() < MOST_OUTPUT_NANO_USD


async def _two_beside(caller: Caller, gate: str) -> int:
    """That have begun and do not go on; gives what is held then."""
    text = {"type": "input_text", "text": f"Hello [[gate={gate} gate_at=0 id={gate}]]"}
    await caller.says("conversation.item.create", item={"type": "message", "role": "user", "content": [text]})
    await caller.until("conversation.item.done")
    for _ in range(2):
        await caller.says("response.create", response={"conversation": "none"})
        await caller.until("response.created")
    return await caller.held_nano_usd()
