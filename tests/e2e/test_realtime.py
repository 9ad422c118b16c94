"""Sessions of voice through the unmodified OpenAI SDK and the deployed functions, with simulated providers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from jsonschema import Draft7Validator
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus

from gateway.model.money import NANO_PER_USD
from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, customer_of, eventually, processes_of

MODELS = {"openai": "openai/gpt-realtime-2.1", "google": "google/gemini-3.1-flash-live-preview"}
HEARD_MS, SAID_MS = {"openai": 100, "google": 40}, {"openai": 50, "google": 40}
MARGIN_S = 6.0
"""For a machine with two cores to start the next function, besides the five seconds in which it is asked for."""
FRAME_BYTES = 4_800
"""100 ms at 24 kHz."""
pytestmark = pytest.mark.stack


@dataclass
class Voice:
    """One session as the SDK has it."""

    connection: AsyncRealtimeConnection
    events: list[dict[str, Any]] = field(default_factory=list)

    async def until(self, kind: str, timeout_s: float = 30.0) -> dict[str, Any]:
        async with asyncio.timeout(timeout_s):
            while True:
                event: dict[str, Any] = json.loads(await self.connection.recv_bytes())
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def speaks(self, words: str, pause_s: float = 0.0) -> bytes:
        """Half a second, and as much silence; gives the samples."""
        written = f"<<{words}>>".encode()
        sound = written + b"\x10\x20" * ((24_000 - len(written)) // 2) + bytes(24_000 + len(written) % 2)
        for at in range(0, len(sound), FRAME_BYTES):
            await self.connection.input_audio_buffer.append(audio=b64encode(sound[at : at + FRAME_BYTES]).decode())
            await asyncio.sleep(pause_s)
        return sound

    async def closes(self) -> dict[str, Any]:
        await self.connection.send({"type": "session.close"})  # type: ignore[arg-type]  # the gateway's own
        summary = await self.until("gateway.session.summary")
        with pytest.raises(ConnectionClosedOK):
            await self.until("nothing")
        return summary

    @property
    def sound(self) -> bytes:
        deltas = [event["delta"] for event in self.events if event["type"] == "response.output_audio.delta"]
        return b"".join(map(b64decode, deltas))


@asynccontextmanager
async def session(gateway: Gateway, model: str, key: str | None = None) -> AsyncIterator[Voice]:
    base = gateway.http.replace("http", "ws", 1)
    client = AsyncOpenAI(api_key=key or gateway.api_key, base_url=gateway.http, websocket_base_url=base)
    async with client, client.realtime.connect(model=model) as connection:
        yield Voice(connection)


async def configured(voice: Voice, name: str, **members: Any) -> None:
    written: dict[str, Any] = {"model": "whisper-1"} if name == "openai" else {}
    said: Any = {"type": "realtime", "audio": {"input": {"transcription": written}}, **members}
    await voice.connection.session.update(session=said)


@pytest.fixture
def customer(local: Gateway) -> Iterator[Customer]:
    with customer_of(local, f"voice-{uuid.uuid4().hex[:8]}") as found:
        yield found


@pytest.mark.parametrize("name", MODELS)
async def test_a_spoken_turn(customer: Customer, name: str) -> None:
    """With sound both ways, what it has cost at the end, and the same in the books."""
    async with session(customer.local, MODELS[name], customer.key) as voice:
        created = await voice.until("session.created")
        await configured(voice, name, instructions="Be brief")
        sound = await voice.speaks("Hello you")
        done = await voice.until("response.done")
        summary = await voice.closes()
    assert created["session"]["model"] == MODELS[name]
    assert done["response"]["output"][0]["content"][0]["transcript"] == "You said: Hello you"
    assert voice.sound == sound
    usage = summary["usage"]
    assert usage["input_token_details"]["audio_tokens"] == 1000 // HEARD_MS[name]
    assert usage["output_token_details"]["audio_tokens"] == 1000 // SAID_MS[name]
    await asyncio.to_thread(customer.used, 1)
    told = customer.http.get(f"/usage/requests/{summary['request_id']}").json()
    assert (told["status"], told["stream"]) == ("completed", True)
    assert told["cost_nano_usd"] == round(usage["cost_estimate"] * NANO_PER_USD) > 0
    assert customer.settled_nano_usd() == dict.fromkeys("TU", told["cost_nano_usd"])


async def test_what_is_said_is_as_published(local: Gateway) -> None:
    """By the contract that the stack serves, to whoever asks."""
    async with httpx.AsyncClient(timeout=30) as client:
        published = (await client.get(f"{local.origin}/asyncapi.json")).raise_for_status().json()
    told = {reference["$ref"].rpartition("/")[2] for reference in published["operations"]["speak"]["messages"]}
    async with session(local, MODELS["openai"]) as voice:
        await configured(voice, "openai")
        await voice.speaks("Hello you")
        await voice.until("response.done")
        await voice.closes()
    assert {event["type"] for event in voice.events} <= told
    for event in voice.events:
        payload = published["components"]["messages"][event["type"]]["payload"]
        Draft7Validator({**payload, "components": published["components"]}).validate(event)


async def test_who_is_refused_hears_why(local: Gateway) -> None:
    for model, key, status, code in [
        ("openai/gpt-realtime-2.1", "gwk_wrong", 401, "invalid_api_key"),
        ("openai/none", None, 404, "model_not_found"),
        ("openai/gpt-4o-mini", None, 400, "capability_not_supported"),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            async with session(local, model, key):
                pass
        response = refused.value.response
        assert response.status_code == status
        assert json.loads(response.body or b"")["error"]["code"] == code


async def test_a_browser_speaks_with_a_secret_of_its_own(customer: Customer) -> None:
    """As OpenAI's clients in browsers do: among the protocols, for they cannot set a header."""
    base = customer.local.http
    async with AsyncOpenAI(api_key=customer.key, base_url=base) as client:
        session_of: Any = {"type": "realtime", "model": MODELS["openai"], "instructions": "Be brief"}
        made = await client.realtime.client_secrets.create(session=session_of)
    offered: Any = ["realtime", f"openai-insecure-api-key.{made.value}"]
    url = f"{base.replace('http', 'ws', 1)}/realtime?model={MODELS['openai']}"
    async with connect(url, subprotocols=offered) as browser:
        assert browser.subprotocol == "realtime"
        created, updated = json.loads(await browser.recv()), json.loads(await browser.recv())
        assert (created["type"], updated["type"]) == ("session.created", "session.updated")
        assert updated["session"]["instructions"] == "Be brief"
    with pytest.raises(InvalidStatus):
        offered[1] = "openai-insecure-api-key.ek_made_up"
        async with connect(url, subprotocols=offered):
            pass
    async with httpx.AsyncClient(base_url=base, headers={"authorization": f"Bearer {made.value}"}) as other:
        assert (await other.get("/models")).status_code == 401


async def test_a_budget_ends_the_session_before_what_it_cannot_pay(local: Gateway) -> None:
    """A minute of sound and the longest answer are 0.36 USD at this model: there is no room for a second session."""
    allowance = {"budgets": [{"window": "month", "usd": "0.37"}]}
    with customer_of(local, "voice-budget", allowance=allowance) as customer:
        async with session(local, MODELS["openai"], customer.key) as voice:
            await voice.until("session.created")
            with pytest.raises(InvalidStatus) as refused:
                async with session(local, MODELS["openai"], customer.key):
                    pass
            assert refused.value.response.status_code == 402
            speaking = asyncio.create_task(speaks_on(voice))
            error = await voice.until("error", timeout_s=60)
            summary = await voice.until("gateway.session.summary")
            with pytest.raises(ConnectionClosedOK):
                await voice.until("nothing")
            await asyncio.gather(speaking, return_exceptions=True)
        assert error["error"]["code"] == "budget_exceeded"
        cost_nano_usd = round(summary["usage"]["cost_estimate"] * NANO_PER_USD)
        assert 0 < cost_nano_usd <= 370_000_000
        await asyncio.to_thread(customer.used, 2)
        assert customer.settled_nano_usd() == dict.fromkeys("TU", cost_nano_usd)


async def speaks_on(voice: Voice) -> None:
    """Until nobody takes it any more."""
    with suppress(ConnectionClosed):
        while True:
            await voice.speaks("Hello you", pause_s=0.05)


async def test_a_client_that_goes_is_settled(customer: Customer) -> None:
    async with session(customer.local, MODELS["openai"], customer.key) as voice:
        await voice.until("session.created")
        await voice.speaks("Hello you")
        await voice.until("response.done")
    total = await asyncio.to_thread(customer.used, 1)
    assert customer.settled_nano_usd() == dict.fromkeys("TU", total["cost_nano_usd"])
    assert total["cost_nano_usd"] > 0


@pytest.mark.parametrize("name", MODELS)
async def test_functions_take_turns_and_nothing_is_lost(customer: Customer, name: str) -> None:
    """In this stack a function hands a session over after 5 seconds."""
    spoken, said = b"", []
    async with session(customer.local, MODELS[name], customer.key) as voice:
        await voice.until("session.created")
        await configured(voice, name)
        for number in range(12):
            spoken += await voice.speaks(f"Number {number}", pause_s=0.1)
            done = await voice.until("response.done")
            said.append(done["response"]["output"][0]["content"][0]["transcript"])
        summary = await voice.closes()
    assert said == [f"You said: Number {number}" for number in range(12)]
    assert voice.sound == spoken
    kinds = [event["type"] for event in voice.events]
    assert kinds.count("session.created") == 1 and "error" not in kinds
    assert summary["usage"]["seconds"] >= 12
    await asyncio.to_thread(recorded, customer, summary)


@pytest.mark.parametrize("name", MODELS)
async def test_an_open_microphone_loses_nothing_while_functions_take_turns(customer: Customer, name: str) -> None:
    """Sound all the time, whether somebody speaks or not; each piece of speech is unlike any other."""
    marks = [bytes([turn, number]) for turn in range(8) for number in range(8)]
    pieces = [mark + b"\x10\x20" * ((FRAME_BYTES - len(mark)) // 2) for mark in marks]
    async with session(customer.local, MODELS[name], customer.key) as voice:
        await voice.until("session.created")
        listening = asyncio.create_task(voice.until("gateway.session.summary", timeout_s=90))
        for number, piece in enumerate(pieces, start=1):
            silent = [bytes(FRAME_BYTES)] * (12 if number % 8 == 0 else 0)
            for sound in (piece, *silent):
                await voice.connection.input_audio_buffer.append(audio=b64encode(sound).decode())
                await asyncio.sleep(0.1)
        await voice.connection.send({"type": "session.close"})  # type: ignore[arg-type]  # the gateway's own
        await listening
    heard = [voice.sound[at : at + FRAME_BYTES] for at in range(0, len(voice.sound), FRAME_BYTES)]
    assert [piece for piece in heard if any(piece)] == pieces
    kinds = {event["type"] for event in voice.events}
    assert not {"error", "gateway.session.recovered"} & kinds


async def test_a_function_that_is_killed_is_followed_within_seconds(customer: Customer) -> None:
    gate = f"killed-{uuid.uuid4().hex}"
    async with session(customer.local, MODELS["openai"], customer.key) as voice:
        await voice.until("session.created")
        await configured(voice, "openai")
        await voice.speaks(f"Wait [[gate={gate} gate_at=2 id={gate}]]")
        await voice.until("response.output_audio.delta")
        for pid in processes_of(customer.local, "realtime-session"):
            os.kill(pid, signal.SIGKILL)
        killed_s = time.monotonic()
        speaking = asyncio.create_task(silence(voice))
        await voice.until("gateway.session.recovered")
        recovered_s = time.monotonic() - killed_s
        opened = await asyncio.to_thread(httpx.post, f"{customer.local.simulators}/_sim/gates/{gate}")
        opened.raise_for_status()
        await voice.until("response.done")
        speaking.cancel()
        summary = await voice.closes()
    assert recovered_s < 5 + MARGIN_S
    cost_nano_usd = await asyncio.to_thread(recorded, customer, summary)
    assert customer.settled_nano_usd() == dict.fromkeys("TU", cost_nano_usd)


def recorded(customer: Customer, summary: dict[str, Any]) -> int:
    """What the session has cost by its summary, in nano-USD, once all of its records say so: a response that was lost
    has one of its own, which may come after the other.
    """
    cost_nano_usd: int = round(summary["usage"]["cost_estimate"] * NANO_PER_USD)

    def look() -> bool | None:
        total = customer.report()["total"]
        assert total["requests"] <= 1
        assert total["cost_nano_usd"] <= cost_nano_usd
        return True if (total["requests"], total["cost_nano_usd"]) == (1, cost_nano_usd) else None

    eventually(look)
    return cost_nano_usd


async def silence(voice: Voice) -> None:
    """A client that listens sends what its microphone hears."""
    while True:
        await voice.connection.input_audio_buffer.append(audio=b64encode(bytes(FRAME_BYTES)).decode())
        await asyncio.sleep(0.1)
