"""How a race ends: one wins and no other does anything more, a refusal is nobody's failure, or the request is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from gateway.entry.speech import ROUTE as SPEECH
from gateway.entry.speech import speech_app
from gateway.entry.transcriptions import ROUTE as TRANSCRIPTIONS
from gateway.entry.transcriptions import transcriptions_app
from gateway.model.hook import LambdaHook, SizeHook
from gateway.model.provider_errors import ProviderError
from tests.fakes import MemoryCatalog, MemoryFiles, ScriptedHooks
from tests.unit.several_providers import (
    END,
    ROLE,
    Several,
    answers,
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
from tests.unit.test_fallback import COST, HELLO
from tests.unit.test_fallback_media import SPEAK, SPOKEN, post, speaks
from tests.unit.test_fallback_media import gateway as with_media
from tests.unit.test_transcriptions_function import SOUND, form

media = with_media
BOTH = {**HELLO, "fallback": {"models": ["groq/llama"], "strategy": "parallel"}}
SPEAKING: dict[str, Any] = {
    **{name: value for name, value in SPEAK.items() if name != "fallbacks"},
    "fallback": {"models": ["openai/tokens"], "strategy": "parallel"},
}
SIZE = SizeHook(id="size", stages=("post_response",), max_reply_characters=1_000)
JUDGE = LambdaHook(
    id="judge", stages=("post_response",), function="arn:aws:lambda:eu-central-1:123456789012:function:judge"
)


@pytest.fixture
def gateway() -> Several:
    return several()


class Together:
    """Lets as many go on as have come, in one turn of the loop."""

    def __init__(self, number: int) -> None:
        self._missing, self._all = number, asyncio.Event()

    async def come(self) -> None:
        self._missing -= 1
        if not self._missing:
            asyncio.get_running_loop().call_soon(self._all.set)  # the last one waits too
        await self._all.wait()

    def then(self, answer: Any) -> Callable[[], Awaitable[Any]]:
        async def wait() -> Any:
            await self.come()
            return answer

        return wait


def outcomes(gateway: Several) -> list[tuple[str | None, str | None]]:
    return [(one.model, one.code) for one in gateway.usage]


class TestInOneTurn:
    """Two could win at the same moment."""

    async def test_of_streams_one_is_told_as_broken_off(self, gateway: Several) -> None:
        both = Together(2)
        for name in ("openai", "groq"):
            gateway.provider(name, streams(ROLE, both.come, event({"content": name}), END))
        last = (await gateway.chat({**BOTH, "stream": True})).events[-2]["gateway"]
        assert [(one["model"], one["status"]) for one in last["attempts"]] == [
            ("groq/llama", "cancelled"),
            ("openai/gpt", "ok"),
        ]
        assert outcomes(gateway) == [("groq/llama", "cancelled"), ("openai/gpt", None)]
        assert gateway.providers.still_open == 0

    async def test_of_answers_too(self, gateway: Several) -> None:
        both = Together(2)
        for name in ("openai", "groq"):
            gateway.provider(name, both.then(says(name)))
        reply = (await gateway.chat(BOTH)).json
        assert [one["status"] for one in reply["gateway"]["attempts"]] == ["cancelled", "ok"]
        costs = [one.cost_nano_usd or 0 for one in gateway.usage]
        assert costs[1] == COST["openai"]
        assert reply["usage"]["cost_estimate"] == sum(costs) / 1e9

    async def test_one_recording_is_kept(self, media: Several) -> None:
        both = Together(2)
        media.provider("openai", both.then(speaks(*SPOKEN)), both.then(speaks(*SPOKEN)))
        report = (await post(media, speech_app, SPEECH, SPEAKING)).json["gateway"]
        assert [one["status"] for one in report["attempts"]] == ["cancelled", "ok"]
        assert isinstance(media.world.files, MemoryFiles)
        assert len(media.world.files.whole) == 1

    @pytest.mark.parametrize("accept", ["application/json", "audio/*"])
    async def test_hooks_are_asked_about_one_recording(self, media: Several, accept: str) -> None:
        both = Together(2)
        media.tenant(approvals=("*",), hooks=(JUDGE,))
        hooks = media.world.hooks
        assert isinstance(hooks, ScriptedHooks)
        hooks.answers["judge"] = {"action": "allow"}
        media.provider("openai", both.then(speaks(*SPOKEN)), both.then(speaks(*SPOKEN)))
        assert (await post(media, speech_app, SPEECH, SPEAKING, accept=accept)).status == 200
        assert len(hooks.asked) == 1


async def test_an_attempt_that_never_left_costs_nothing(gateway: Several) -> None:
    gateway.provider("openai", says("openai"))
    gateway.provider("groq", stalls())
    report = (await gateway.chat(BOTH)).json["gateway"]
    assert gateway.providers.asked == ["openai"]
    assert [(one["status"], one["cost_estimate"]) for one in report["attempts"]] == [("cancelled", 0), ("ok", 2e-05)]
    assert [one.cost_nano_usd for one in gateway.usage] == [0, COST["openai"]]


class TestHeldBack:
    """Nothing of a stream is given before it is whole, so that decides."""

    async def test_what_has_begun_and_breaks_leaves_it_to_the_others(self, gateway: Several) -> None:
        cut = asyncio.Event()

        async def later() -> Any:
            await cut.wait()
            return streams_text("gr", "oq")

        async def breaks() -> Any:
            cut.set()
            raise ProviderError("cut")

        gateway.tenant(hooks=(SIZE,))
        gateway.provider("openai", streams(ROLE, event({"content": "Hi"}), breaks))
        gateway.provider("groq", later)
        answer = await gateway.chat({**BOTH, "stream": True})
        assert texts(answer.events) == "groq"
        assert outcomes(gateway) == [("openai/gpt", "provider_error"), ("groq/llama", None)]

    async def test_who_is_whole_first_counts_and_all_is_in_its_cost(self, gateway: Several) -> None:
        gateway.tenant(hooks=(SIZE,))
        gateway.provider("openai", streams(ROLE, event({"content": "Hi"}), asyncio.Event().wait))
        gateway.provider("groq", streams(ROLE, event({"content": "groq"}), END))
        answer = await gateway.chat({**BOTH, "stream": True})
        last = answer.events[-2]
        costs = [one.cost_nano_usd or 0 for one in gateway.usage]
        assert texts(answer.events) == "groq"
        assert (last["model"], [one["status"] for one in last["gateway"]["attempts"]]) == (
            "groq/llama",
            ["cancelled", "ok"],
        )
        assert costs[0] and last["usage"]["cost_estimate"] == sum(costs) / 1e9

    async def test_events_of_a_transcript_too(self, media: Several) -> None:
        said = b'data: {"type": "transcript.text.delta", "delta": "Good"}\n\n'
        done = b'data: {"type": "transcript.text.done", "text": "Good"}\n\n'
        began = asyncio.Event()

        async def cut() -> Any:
            began.set()
            raise ProviderError("cut")

        async def later() -> Any:
            await began.wait()
            return streams(said, done)

        media.tenant(approvals=("*",), hooks=(SIZE,))
        media.provider("openai", streams(said, cut))
        media.provider("groq", later)
        fallback = {"fallback[models][]": "groq/lists", "fallback[strategy]": "parallel"}
        body, kind = form(file=SOUND, model="openai/gpt", stream="true", **fallback)
        answer = await post(media, transcriptions_app, TRANSCRIPTIONS, body, **{"content-type": kind})
        assert answer.events[-2]["text"] == "Good"
        assert answer.events[-2]["gateway"]["model_used"] == "groq/lists"


class TestRefusals:
    @pytest.mark.parametrize("accept", ["application/json", "audio/*"])
    async def test_what_a_hook_blocks_is_not_left_to_the_others(self, media: Several, accept: str) -> None:
        media.tenant(approvals=("*",), hooks=(JUDGE,))
        hooks = media.world.hooks
        assert isinstance(hooks, ScriptedHooks)
        hooks.answers["judge"] = {"action": "block", "reason": "no"}
        media.provider("openai", speaks(*SPOKEN), stalls())
        answer = await post(media, speech_app, SPEECH, SPEAKING, accept=accept)
        assert (answer.status, answer.json["error"]["code"]) == (403, "response_blocked")
        assert len(hooks.asked) == 1
        [ended] = [one for one in media.told if one.id.endswith(".ended")]
        assert (ended.event, ended.facts["hook"]) == ("request.blocked", "judge")
        assert outcomes(media)[-1] == ("openai/tts", "response_blocked")
        assert isinstance(media.world.files, MemoryFiles)
        assert media.world.files.whole == {}

    @pytest.mark.parametrize(("name", "status"), [("openai/fixed", 400), ("openai/gpt", 200)])
    async def test_what_the_gateway_refuses_counts_for_the_model_that_was_asked_for(
        self, gateway: Several, name: str, status: int
    ) -> None:
        """`fixed` takes no temperature, which is seen when its request is made."""
        assert isinstance(gateway.world.catalog, MemoryCatalog)
        gateway.world.catalog.held["openai"]["fixed"] = model("fixed", sampling=False)
        others = ["openai/fixed", "openai/gpt"]
        gateway.provider("openai", says("openai") if status == 200 else stalls())
        fallback = {"models": [other for other in others if other != name], "strategy": "parallel"}
        answer = await gateway.chat({**HELLO, "model": name, "temperature": 0.5, "fallback": fallback})
        assert answer.status == status
        if status == 400:
            assert answer.json["error"]["param"] == "temperature"

    async def test_what_a_provider_calls_wrong_is_left_to_the_others(self, gateway: Several) -> None:
        gateway.provider("openai", fails(400))
        gateway.provider("groq", says("groq"))
        assert (await gateway.chat(BOTH)).json["model"] == "groq/llama"


async def test_when_the_request_is_over_nobody_was_overtaken(gateway: Several) -> None:
    began = asyncio.Event()
    gateway.provider("openai", stalls())
    gateway.provider("groq", stalls(began))
    asking = asyncio.ensure_future(gateway.chat(BOTH))
    await began.wait()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert outcomes(gateway) == [("openai/gpt", "provider_timeout"), ("groq/llama", "provider_timeout")]
    assert gateway.providers.still_open == 0
    assert (await gateway.world.ledger.read("T#acme#0")).holds == {}


async def test_of_many_racers_nothing_is_left(gateway: Several) -> None:
    """Whichever ends first, and however."""
    endings: list[Any] = [fails(500), stalls(), answers(200, b"{", ProviderError("cut")), says("well")]
    for number in range(16):
        gateway.provider("openai", endings[number % 4])
        gateway.provider("groq", endings[number // 4])
        await gateway.chat({**BOTH, "timeouts": {"total_ms": 10}})
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert gateway.providers.still_open == 0
