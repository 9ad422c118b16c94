"""The same model once more: where its provider says when, where nobody else may answer, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.provider_errors import ProviderError
from gateway.pipeline.retry import JOB_WAIT_S, WAIT_S
from gateway.providers.wire.failures import ask_again_s, retry_after_s
from tests.fakes import ManualClock, ScriptedIncoming
from tests.unit.several_providers import (
    ROLE,
    ProvidersOutbound,
    Several,
    event,
    fails,
    says,
    several,
    streams,
    streams_text,
    texts,
)
from tests.unit.test_jobs import gateway_of_jobs

HELLO: dict[str, Any] = {"model": "openai/gpt", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
BOTH = {**HELLO, "fallback": {"models": ["groq/llama"]}}


def busy(status: int = 429, **headers: str) -> ScriptedIncoming:
    body = json.dumps({"error": {"message": "busy"}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ScriptedIncoming(status, {"content-type": "application/json", **named}, [body])


def clock(gateway: Several) -> ManualClock:
    assert isinstance(gateway.world.clock, ManualClock)
    return gateway.world.clock


@pytest.fixture
def gateway() -> Several:
    made = several()
    made.tenant(max_retries=2)
    made.provider("groq", says("groq"))
    return made


@pytest.mark.parametrize(
    ("refusal", "pause_s"),
    [
        (busy(429, retry_after="3"), 3.0),
        (busy(503, retry_after="0.5"), 0.5),
        (busy(529, retry_after_ms="250", retry_after="1"), 0.25),
        (busy(429, date="Sun, 06 Nov 1994 08:49:37 GMT", retry_after="Sun, 06 Nov 1994 08:49:41 GMT"), 4.0),
        (busy(409, retry_after="1", x_should_retry="true"), 1.0),
        (busy(408, retry_after="1", x_should_retry="true"), 1.0),
    ],
)
async def test_who_says_when_is_asked_again_then(gateway: Several, refusal: Any, pause_s: float) -> None:
    gateway.provider("openai", refusal, says("Hello."))
    answer = await gateway.chat(HELLO)
    assert (answer.status, clock(gateway).slept) == (200, [pause_s])
    report = answer.json["gateway"]
    assert [one["status"] for one in report["attempts"]] == ["error", "ok"]
    assert report["fallback_used"] is False and not gateway.switches
    assert report["overhead_ms"] < 1_000 * pause_s <= report["latency_ms"]
    assert [record.cost_nano_usd for record in gateway.usage] == [0, 20_000]
    assert len({record.id for record in gateway.usage}) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        busy(429),
        busy(429, retry_after="3", x_should_retry="false"),
        busy(429, retry_after="soon"),
        busy(429, retry_after="Sun, 06 Nov 1994 08:49:41 GMT"),
        busy(429, retry_after=str(WAIT_S + 1)),
        busy(500, retry_after="1"),
        busy(500, retry_after="1", x_should_retry="true"),
        busy(408, retry_after="1"),
        busy(400, retry_after="1"),
        busy(401, retry_after="1"),
        ProviderError("cut"),
    ],
)
async def test_nobody_else_is(gateway: Several, refusal: Any) -> None:
    gateway.provider("openai", refusal)
    assert (await gateway.chat(HELLO)).status >= 400
    assert (gateway.providers.asked, clock(gateway).slept) == (["openai"], [])


async def test_twice_at_most_and_then_the_client_is_told_when(gateway: Several) -> None:
    gateway.provider("openai", busy(429, retry_after="2"))
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["error"]["code"], answer.headers["retry-after"]) == (429, "rate_limited", "2")
    assert (len(gateway.providers.asked), clock(gateway).slept) == (3, [2.0, 2.0])
    assert [one["code"] for one in answer.json["error"]["attempts"]] == ["rate_limited"] * 3


async def test_ten_seconds_at_most_in_all(gateway: Several) -> None:
    gateway.provider("openai", busy(429, retry_after="6"))
    assert (await gateway.chat(HELLO)).status == 429
    assert clock(gateway).slept == [6.0]


async def test_by_default_the_client_is_told_at_once(gateway: Several) -> None:
    gateway.tenant()
    gateway.provider("openai", busy(429, retry_after="2"), says("Hello."))
    assert (await gateway.chat(HELLO)).status == 429


async def test_another_model_is_asked_rather(gateway: Several) -> None:
    gateway.provider("openai", busy(429, retry_after="1"))
    answer = await gateway.chat(BOTH)
    assert (answer.json["model"], clock(gateway).slept) == ("groq/llama", [])


async def test_the_last_one_is_asked_again_when_all_have_refused(gateway: Several) -> None:
    gateway.provider("openai", busy(429, retry_after="1"))
    gateway.provider("groq", busy(429, retry_after="2"), says("groq"))
    answer = await gateway.chat(BOTH)
    assert (answer.json["model"], clock(gateway).slept) == ("groq/llama", [2.0])
    assert gateway.providers.asked == ["openai", "groq", "groq"]
    assert len(gateway.switches) == 1


async def test_not_beyond_the_time_that_the_client_gives(gateway: Several) -> None:
    gateway.provider("openai", busy(429, retry_after="2"), says("Hello."))
    answer = await gateway.chat({**HELLO, "timeouts": {"total_ms": 2_000}})
    assert (answer.status, clock(gateway).slept) == (429, [])
    gateway.provider("openai", busy(429, retry_after="2"), says("Hello."))
    assert (await gateway.chat({**HELLO, "timeouts": {"total_ms": 2_001}})).status == 200


async def test_a_stream_is_asked_for_again_before_it_has_begun(gateway: Several) -> None:
    gateway.provider("openai", busy(429, retry_after="2"), streams_text("He", "llo."))
    answer = await gateway.chat({**HELLO, "stream": True})
    assert (answer.status, texts(answer.events), clock(gateway).slept) == (200, "Hello.", [2.0])


async def test_and_never_after_it(gateway: Several) -> None:
    broken = streams(ROLE, event({"content": "He"}), b'data: {"error": {"message": "busy", "code": 429}}\n\n')
    gateway.provider("openai", broken, streams_text("Hello."))
    answer = await gateway.chat({**HELLO, "stream": True})
    assert (texts(answer.events), gateway.providers.asked) == ("He", ["openai"])


async def test_a_race_is_lost_by_who_has_no_time(gateway: Several) -> None:
    gateway.provider("openai", busy(429, retry_after="1"))
    gateway.provider("groq", fails(500))
    answer = await gateway.chat({**HELLO, "fallback": {"models": ["groq/llama"], "strategy": "parallel"}})
    assert (answer.status, sorted(gateway.providers.asked)) == (429, ["groq", "openai"])


@pytest.mark.parametrize(("header", "expected"), [("nan", None), ("inf", None), ("-5", 0.0), ("1e3", 1000.0)])
def test_numbers_that_are_odd(header: str, expected: float | None) -> None:
    headers = {"retry-after": header}
    assert ask_again_s(429, headers) == expected
    assert retry_after_s(headers) == expected


@pytest.mark.parametrize(("pause_s", "asked"), [(JOB_WAIT_S, 2), (JOB_WAIT_S + 1, 1)])
async def test_a_job_waits_longer_whatever_its_tenant_says(pause_s: float, asked: int) -> None:
    outbound = ProvidersOutbound({"openai": [busy(429, retry_after=str(pause_s)), says("Hello.")]})
    gateway = gateway_of_jobs()
    gateway.world = replace(gateway.world, outbound=outbound)
    shown = await gateway.worked(await gateway.accepted())
    assert shown["status"] == ("completed" if asked == 2 else "failed")
    assert len(outbound.asked) == asked
