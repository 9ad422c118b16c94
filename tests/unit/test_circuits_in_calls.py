"""A provider that fails again and again is not asked for a while: what requests see of it, and what counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.circuit import SLOW_CALLS, Rules
from gateway.model.http import Credential
from gateway.model.provider_errors import ProviderError
from gateway.model.secret import Secret
from gateway.pipeline.patience import STREAM_S, WHOLE_S
from gateway.pipeline.shared_health import SharedHealth
from tests.fakes import ManualClock
from tests.health_store import MemoryHealth
from tests.unit.several_providers import (
    END,
    ROLE,
    Several,
    answers,
    event,
    fails,
    says,
    several,
    stalls,
    streams,
)

HELLO: dict[str, Any] = {"model": "openai/gpt", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
ONE = {**HELLO, "fallbacks": ["groq/llama"]}
STREAM = {**HELLO, "stream": True}
HURRIED = {**HELLO, "timeouts": {"total_ms": 5}}
UNREACHABLE = ProviderError("The connection to the provider failed (ConnectionRefusedError).")
TIMES = 5


class Watched:
    def __init__(self) -> None:
        self.gateway: Several = several()
        clock = self.gateway.world.clock
        assert isinstance(clock, ManualClock)
        self.clock, self.store = clock, MemoryHealth()
        self.health = SharedHealth(Rules(("*",)), 60_000, self.store, clock, self.gateway.records)
        self.gateway.world = replace(self.gateway.world, health=self.health)
        self.gateway.provider("groq", says("groq"))

    @property
    def asked(self) -> list[str]:
        return self.gateway.providers.asked

    def pass_s(self, seconds: float) -> None:
        self.clock.unix_s += seconds
        self.clock.running_s += seconds

    async def codes(self, body: Any = HELLO, times: int = TIMES) -> list[str | None]:
        found = []
        for _ in range(times):
            answer = await self.gateway.chat(body)
            last = answer.events[-1] if answer.events else answer.json
            error = last.get("error") if isinstance(last, dict) else None
            found.append(error["code"] if error else None)
        return found

    async def is_open(self) -> bool:
        self.asked.clear()
        await self.gateway.chat(HELLO)
        return not self.asked


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_a_provider_that_fails_again_and_again_is_not_asked(watched: Watched) -> None:
    watched.gateway.provider("openai", fails(503))
    assert await watched.codes() == TIMES * ["provider_error"]
    answer = await watched.gateway.chat(HELLO)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["retryable"]) == (503, "circuit_open", True)
    assert answer.headers["retry-after"] == "30"
    assert watched.asked == TIMES * ["openai"]
    assert {"event": "circuit.opened"}.items() <= watched.gateway.records.troubles[-1].items()
    assert "usage" not in error
    record = watched.gateway.usage[-1]
    assert (record.code, record.cost_nano_usd) == ("circuit_open", 0)
    assert not (await watched.gateway.world.ledger.read("T#acme#0")).holds


async def test_the_next_model_is_asked_at_once(watched: Watched) -> None:
    watched.gateway.provider("openai", UNREACHABLE)
    await watched.codes(ONE)
    report = (await watched.gateway.chat(ONE)).json["gateway"]
    assert [(one["model"], one["code"]) for one in report["attempts"]] == [
        ("openai/gpt", "circuit_open"),
        ("groq/llama", None),
    ]
    assert report["attempts"][0]["cost_estimate"] == 0
    assert watched.gateway.switches[-1].facts == {"from": "openai/gpt", "to": "groq/llama", "code": "circuit_open"}


async def test_it_is_asked_again_when_it_is_well(watched: Watched) -> None:
    watched.gateway.provider("openai", *(TIMES * [fails(500)]), says("well"))
    await watched.codes()
    watched.pass_s(29)
    assert await watched.is_open()
    watched.pass_s(1)
    assert await watched.codes(times=1) == ["circuit_open"]  # whose environment then asks whether it may try
    assert await watched.codes() == TIMES * [None]
    events = [trouble["event"] for trouble in watched.gateway.records.troubles]
    assert events == ["circuit.opened", "circuit.closed"]


BREAKS = [UNREACHABLE, *map(fails, (408, 500, 502, 503, 504, 529)), answers(200, ProviderError("cut"))]


@pytest.mark.parametrize("failure", BREAKS)
async def test_what_opens_a_circuit(watched: Watched, failure: Any) -> None:
    watched.gateway.provider("openai", failure)
    await watched.codes()
    assert await watched.is_open()


@pytest.mark.parametrize("failure", [*map(fails, (400, 401, 403, 404, 413, 422, 429)), answers(200, b"<html>")])
async def test_what_does_not(watched: Watched, failure: Any) -> None:
    watched.gateway.provider("openai", failure)
    await watched.codes()
    assert not await watched.is_open()


@pytest.mark.parametrize(
    ("parts", "opens"),
    [
        ([ROLE, ProviderError("cut")], True),
        ([ROLE, event({"content": "Hi"}), ProviderError("cut")], True),
        ([ROLE, b'data: {"error": {"message": "no", "code": "bad_prompt"}}\n\n'], False),
    ],
)
async def test_streams_that_break_off(watched: Watched, parts: list[Any], opens: bool) -> None:
    watched.gateway.provider("openai", streams(*parts))
    assert await watched.codes(STREAM) == TIMES * ["provider_error"]
    assert await watched.is_open() is opens


async def test_nobody_counts_what_was_broken_off(watched: Watched) -> None:
    watched.gateway.provider("openai", stalls())
    race = {**HELLO, "fallback": {"models": ["groq/llama"], "strategy": "parallel"}}
    for _ in range(25):
        assert (await watched.gateway.chat(race)).status == 200
    assert watched.health.of("openai", "gpt") == "healthy"
    assert not watched.health.circuits._circuits
    assert not watched.health.circuits._hurried


async def test_one_tenants_failures_are_nobody_elses(watched: Watched) -> None:
    watched.gateway.provider("openai", *(TIMES * [fails(503)]), says("well"))
    await watched.codes()
    assert await watched.is_open()
    watched.gateway.tenant(id="other")
    assert not await watched.is_open()


async def test_what_a_tenants_own_key_meets_is_nobody_elses(watched: Watched) -> None:
    held = watched.gateway.world.credentials.held  # type: ignore[attr-defined]
    held["openai/acme"] = Credential(Secret("own"))
    watched.gateway.tenant(own_keys=("openai",))
    watched.gateway.provider("openai", *(TIMES * [fails(503)]), says("well"))
    await watched.codes()
    assert await watched.is_open()
    assert watched.gateway.records.troubles[-1]["event"] == "own_circuit.opened"
    assert not watched.health.is_cut_off("openai", "gpt", "acme")
    watched.gateway.tenant()
    assert not await watched.is_open()


async def test_a_tenants_own_key_is_asked_however_the_owners_does(watched: Watched) -> None:
    held = watched.gateway.world.credentials.held  # type: ignore[attr-defined]
    held["openai/acme"] = Credential(Secret("own"))
    watched.gateway.provider("openai", *(20 * [fails(401)]), says("well"))
    watched.gateway.tenant(id="other")
    await watched.codes(HELLO, 20)
    assert watched.health.of("openai", "gpt") == "unhealthy"
    watched.gateway.tenant(own_keys=("openai",))
    assert (await watched.gateway.chat(ONE)).json["gateway"]["model_used"] == "openai/gpt"


async def test_a_stream_that_tries_is_news_when_it_begins(watched: Watched) -> None:
    seen: list[str | None] = []

    async def later() -> bytes:
        seen.extend(await watched.codes(HELLO, 1))
        return event({"content": "!"})

    failures = TIMES * [fails(503)]
    watched.gateway.provider(
        "openai", *failures, streams(ROLE, event({"content": "Hi"}), b"", later, END), says("well"), says("well")
    )
    await watched.codes()
    watched.pass_s(30)
    assert await watched.codes(HELLO, 1) == ["circuit_open"]
    assert await watched.codes(STREAM, 1) == [None]
    assert seen == [None]


class TestTimeouts:
    """With a limit that is over when the provider has said nothing for so long."""

    def silent(self, watched: Watched, seconds: float) -> Callable[[], Any]:
        async def answer() -> Any:
            watched.pass_s(seconds)
            await asyncio.Event().wait()

        return answer

    async def asked_by_several(self, watched: Watched, body: Any) -> None:
        for number in range(25):
            watched.gateway.tenant(id=f"hurried-{number}")
            await watched.codes(body, 1)

    @pytest.mark.parametrize(
        ("body", "seconds", "opens"),
        [
            (HURRIED, WHOLE_S, True),
            (HURRIED, WHOLE_S - 1, False),
            ({**STREAM, "timeouts": {"ttft_ms": 5}}, STREAM_S, True),
            ({**STREAM, "timeouts": {"ttft_ms": 5}}, STREAM_S - 1, False),
        ],
    )
    async def test_one_who_had_time_enough_has_failed_for_everybody(
        self, watched: Watched, body: Any, seconds: float, opens: bool
    ) -> None:
        watched.gateway.provider("openai", self.silent(watched, seconds))
        await self.asked_by_several(watched, body)
        watched.gateway.provider("openai", says("well"))
        watched.gateway.tenant(id="patient")
        assert await watched.is_open() is opens

    async def test_a_hurried_tenant_stops_asking_for_itself_alone(self, watched: Watched) -> None:
        watched.gateway.provider("openai", self.silent(watched, 1))
        assert await watched.codes(HURRIED) == SLOW_CALLS * ["provider_timeout"] + 2 * ["circuit_open"]
        assert watched.health.of("openai", "gpt") == "healthy"
        watched.gateway.provider("openai", says("well"))
        assert not await watched.is_open()  # who says nothing has more time
        watched.gateway.tenant(id="other")
        assert await watched.codes(HURRIED, 1) == [None]

    async def test_nobody_elses_health_suffers_from_it(self, watched: Watched) -> None:
        watched.gateway.provider("openai", self.silent(watched, 1))
        await self.asked_by_several(watched, HURRIED)
        assert watched.health.of("openai", "gpt") == "healthy"
        assert not watched.health.is_cut_off("openai", "gpt", "acme")

    async def test_who_has_begun_to_answer_has_not_failed(self, watched: Watched) -> None:
        """However long it may take, and however many callers end it."""

        async def ended() -> bytes:
            watched.pass_s(300)
            await asyncio.Event().wait()
            raise AssertionError

        watched.gateway.provider("openai", streams(ROLE, event({"content": "Hi"}), ended))
        await self.asked_by_several(watched, {**STREAM, "timeouts": {"total_ms": 40}})
        assert watched.asked == 25 * ["openai"]
        assert watched.health.of("openai", "gpt") == "healthy"
        assert not watched.health.circuits._circuits


class TestHealth:
    """With circuits that no failures in a row open, so that all are asked."""

    @pytest.fixture(autouse=True)
    def _closed(self, watched: Watched) -> None:
        watched.health.circuits.rules = Rules(("*",), failures=10**6)

    @pytest.mark.parametrize(
        ("failure", "health"),
        [
            *((each, "unhealthy") for each in (UNREACHABLE, *map(fails, (401, 403, 404, 408, 429, 500, 529)))),
            (answers(200, b"<html>"), "unhealthy"),
            *((fails(status), "healthy") for status in (400, 413, 422)),
            (says("well"), "healthy"),
        ],
    )
    async def test_what_counts(self, watched: Watched, failure: Any, health: str) -> None:
        watched.gateway.provider("openai", failure)
        await watched.codes(HELLO, 20)
        assert watched.health.of("openai", "gpt") == health

    async def test_an_unhealthy_model_is_asked_last(self, watched: Watched) -> None:
        watched.gateway.provider("openai", fails(429))
        await watched.codes(HELLO, 20)
        watched.asked.clear()
        report = (await watched.gateway.chat(ONE)).json["gateway"]
        assert (watched.asked, report["model_used"]) == (["groq"], "groq/llama")
        assert watched.gateway.switches[-1].facts["code"] == "unhealthy"

    async def test_streams_tell_how_long_their_first_content_takes(self, watched: Watched) -> None:
        async def late() -> bytes:
            watched.pass_s(2.5)
            return b""

        watched.gateway.provider("openai", streams(ROLE, late, event({"content": "Hi"}), END))
        await watched.codes(STREAM, 1)
        assert watched.health.p95_ms("openai", "gpt") == 3_000

    async def test_a_refused_request_writes_nothing(self, watched: Watched) -> None:
        await watched.codes({**HELLO, "model": "openai/nope"})
        assert watched.store.writes == 0


async def test_an_open_circuit_is_no_failure_of_its_model(watched: Watched) -> None:
    watched.gateway.provider("openai", fails(500))
    assert (await watched.codes(HELLO, 30))[-1] == "circuit_open"
    assert watched.health.of("openai", "gpt") == "healthy"
    assert watched.asked == TIMES * ["openai"]
