"""The gateway's wires in conversation with the simulators over real sockets: one client, whichever provider."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.model.catalog import ModelFacts
from gateway.model.http import Credential
from gateway.model.realtime import ProviderEvent
from gateway.model.secret import Secret
from gateway.model.usage import TokenUsage
from gateway.pipeline.realtime_read import read_event
from gateway.providers.contract import Target
from gateway.providers.contract.realtime import Carried, Opening, RealtimeSession, Step
from gateway.providers.lookup import provider_named, realtime_wire
from tests.simulators.process import KEY, Simulator

PREFIXES = {"openai": "/openai/v1", "google": "/google"}
MODELS = {"openai": "gpt-realtime-2.1", "google": "gemini-3.1-flash-live-preview"}
HEARD_MS, SAID_MS = {"openai": 100, "google": 40}, {"openai": 50, "google": 40}
"""Of one token of sound."""
EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


@dataclass
class Talk:
    session: RealtimeSession
    socket: ClientConnection
    events: list[dict[str, Any]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    looked_at: int = 0

    async def says(self, kind: str, **members: Any) -> None:
        event = read_event(json.dumps({"type": kind, **members}).encode())
        assert isinstance(event, ProviderEvent)
        await self.carry_out(self.session.send(event))

    async def speaks(self, words: str) -> bytes:
        """Half a second, and as much silence; gives the samples."""
        written = f"<<{words}>>".encode()
        sound = written + b"\x10\x20" * ((24_000 - len(written)) // 2) + bytes(24_000 + len(written) % 2)
        for at in range(0, len(sound), 4800):
            audio = b64encode(sound[at : at + 4800]).decode()
            await self.says("input_audio_buffer.append", audio=audio)
        return sound

    async def carry_out(self, step: Step) -> None:
        self.steps.append(step)
        for message in step.messages:
            await self.socket.send(message)
        for event in step.events:
            EVENT.validate_python(event)
        self.events += step.events

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of this type, past those that were awaited before."""
        async with asyncio.timeout(10):
            while True:
                for event in self.events[self.looked_at :]:
                    self.looked_at += 1
                    if event["type"] == kind:
                        return event
                await self.carry_out(self.session.receive(await self.socket.recv()))

    async def until_quiet(self) -> Carried:
        async with asyncio.timeout(10):
            while not self.session.is_quiet:
                await self.carry_out(self.session.receive(await self.socket.recv()))
        return self.session.carried()

    @property
    def used(self) -> TokenUsage:
        return sum((used.usage for step in self.steps for used in step.used), TokenUsage())

    @property
    def sound(self) -> bytes:
        deltas = [event["delta"] for event in self.events if event["type"] == "response.output_audio.delta"]
        return b"".join(map(b64decode, deltas))


@asynccontextmanager
async def talk(simulator: Simulator, name: str, carried: Carried | None = None) -> AsyncIterator[Talk]:
    provider = provider_named(name)
    facts = ModelFacts(id=MODELS[name], name="", api="realtime", source="x", output=("audio",))
    target = Target(provider=name, model=facts, base_url=simulator.url + PREFIXES[name])
    wire = realtime_wire(provider, "realtime")
    assert wire is not None
    request = provider.authorize(wire.connect(target), Credential(api_key=Secret(KEY)), 0.0)
    opening = Opening(session_id="sess_gw", model_name="voice", carried=carried)
    async with connect(request.url, additional_headers=request.headers) as socket:
        talk = Talk(wire.session(opening, target), socket)
        await talk.carry_out(talk.session.open())
        yield talk


async def configured(talk: Talk, **session: Any) -> None:
    model = {"model": "whisper-1"} if "openai" in str(talk.session.__class__).lower() else {}
    audio = {"input": {"transcription": model}}
    await talk.says("session.update", session={"type": "realtime", "audio": audio, **session})


@pytest.mark.parametrize("name", PREFIXES)
async def test_a_spoken_turn(simulator: Simulator, name: str) -> None:
    async with talk(simulator, name) as voice:
        await configured(voice, instructions="Be very brief")
        sound = await voice.speaks("Hello you")
        done = await voice.until("response.done")
        carried = await voice.until_quiet()
    assert voice.sound == sound
    assert done["response"]["output"][0]["content"][0]["transcript"] == "You said: Hello you"
    assert (voice.used.prompt.audio_tokens, voice.used.completion.audio_tokens) == (
        1000 // HEARD_MS[name],
        1000 // SAID_MS[name],
    )
    assert voice.used.prompt_tokens - voice.used.prompt.audio_tokens == 3
    assert [item["content"][0]["text"] for item in carried.items] == ["Hello you", "You said: Hello you"]
    kinds = {event["type"] for event in voice.events}
    assert {
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_audio_transcript.done",
    } <= kinds


@pytest.mark.parametrize("name", PREFIXES)
@pytest.mark.parametrize("by_handle", [True, False])
async def test_a_session_goes_on_over_another_connection(simulator: Simulator, name: str, by_handle: bool) -> None:
    """The client hears nothing of it, and the model remembers."""
    async with talk(simulator, name) as voice:
        await configured(voice)
        await voice.speaks("I am Ada")
        await voice.until("response.done")
        carried = await voice.until_quiet()
    before = voice.used.prompt_tokens
    carried = carried if by_handle else carried.without_handle()
    async with talk(simulator, name, carried) as again:
        assert again.events == []
        await again.speaks("Who am I")
        await again.until("response.done")
    assert not {"session.created", "session.updated"} & {event["type"] for event in again.events}
    told = again.used.prompt_tokens - again.used.prompt.audio_tokens
    heard = 1000 // HEARD_MS[name]
    if by_handle and name == "google":
        assert again.used.prompt_tokens == before + 1000 // SAID_MS[name] + heard
    else:
        assert told == (3 + 3) + (3 + 5)
        assert again.used.prompt.audio_tokens == heard


@pytest.mark.parametrize("name", PREFIXES)
async def test_a_function_is_called(simulator: Simulator, name: str) -> None:
    async with talk(simulator, name) as voice:
        await configured(voice, tools=[{"type": "function", "name": "add", "parameters": {"type": "object"}}])
        await voice.speaks('call add {"a": 1}')
        called = await voice.until("response.function_call_arguments.done")
        await voice.until("response.done")
        output = {"type": "function_call_output", "call_id": called["call_id"], "output": "2"}
        await voice.says("conversation.item.create", item=output)
        await voice.says("response.create")
        done = await voice.until("response.done")
        await voice.until_quiet()
    assert (called["name"], json.loads(called["arguments"])) == ("add", {"a": 1})
    assert done["response"]["output"][0]["content"][0]["transcript"] == "Tool said: 2"


@pytest.mark.parametrize("name", PREFIXES)
async def test_the_user_interrupts(simulator: Simulator, name: str) -> None:
    gate = f"wire-{name}"
    async with talk(simulator, name) as voice:
        await configured(voice)
        await voice.speaks(f"Count [[gate={gate} gate_at=2 id={gate}]]")
        await voice.until("response.output_audio.delta")
        simulator.timeline(gate, wait="gate_wait")
        await voice.speaks("Stop")
        done = await voice.until("response.done")
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        assert any(step.interrupted for step in voice.steps)
        said = done["response"]["output"][0]["id"]
        await voice.says("conversation.item.truncate", item_id=said, content_index=0, audio_end_ms=100)
        await voice.until("conversation.item.truncated")
        carried = await voice.until_quiet()
    assert carried.items[-1]["content"][0]["text"] == "You said: Stop"


@pytest.mark.parametrize("name", PREFIXES)
async def test_the_provider_drops_the_connection(simulator: Simulator, name: str) -> None:
    async with talk(simulator, name) as voice:
        await configured(voice)
        await voice.speaks("Hi [[cut=reset cut_after=1]]")
        with pytest.raises(ConnectionClosed):
            await voice.until("response.done")
        assert not voice.session.is_quiet
        told = voice.session.carried().items
    assert told[0]["content"][0]["text"].startswith("Hi")


async def test_the_provider_is_about_to_go_away(simulator: Simulator) -> None:
    async with talk(simulator, "google") as voice:
        await voice.speaks("Hi [[go_away_s=9.5]]")
        await voice.until("response.done")
    assert [step.go_away_s for step in voice.steps if step.go_away_s is not None] == [9.5]
    async with talk(simulator, "openai") as voice:
        await voice.speaks("Hi [[go_away_s=0]]")
        with pytest.raises(ConnectionClosed):
            await voice.until("response.done")
    assert [step.failure.code for step in voice.steps if step.failure] == ["provider_error"]
