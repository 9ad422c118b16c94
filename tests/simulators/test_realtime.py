"""Realtime sessions with the simulators, through the unmodified SDKs over real sockets."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from google import genai
from google.genai import types
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.simulators.process import KEY, Simulator

MODEL = "gpt-realtime-2.1"
GEMINI = "gemini-3.1-flash-live-preview"
LIVE = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
QUIET = bytes(4800)


def loud(words: str = "", size: int = 4800) -> bytes:
    """100 ms of PCM at 24 kHz, with words in it."""
    written = f"<<{words}>>".encode() if words else b""
    return written + b"\x10\x20" * ((size - len(written)) // 2) + b"\x00" * (len(written) % 2)


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    socket_url = simulator.url.replace("http:", "ws:")
    async with openai.AsyncOpenAI(
        base_url=f"{simulator.url}/openai/v1", websocket_base_url=f"{socket_url}/openai/v1", api_key=KEY
    ) as sdk:
        yield sdk


async def until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """The events up to the first of this type."""
    events: list[Any] = []
    async with asyncio.timeout(10):
        while not events or events[-1].type != kind:
            events.append(await connection.recv())
    return events


async def append(connection: AsyncRealtimeConnection, *frames: bytes) -> None:
    for frame in frames:
        await connection.input_audio_buffer.append(audio=b64encode(frame).decode())


async def test_a_spoken_turn_is_echoed_and_counted(client: openai.AsyncOpenAI, simulator: Simulator) -> None:
    """500 ms of speech and 500 of silence: 10 tokens heard, 20 said, as 1000 ms of sound come back."""
    async with client.realtime.connect(model=MODEL) as connection:
        await until(connection, "session.created")
        await connection.session.update(
            session={
                "type": "realtime",
                "instructions": "Be very brief",
                "audio": {"input": {"transcription": {"model": "whisper-1"}}},
            }
        )
        await until(connection, "session.updated")
        sound = [loud("Hello you"), *(loud() for _ in range(4)), *(QUIET for _ in range(5))]
        await append(connection, QUIET, *sound)
        events = await until(connection, "response.done")
    kinds = [event.type for event in events]
    assert kinds[:7] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert events[6].transcript == "Hello you"
    heard = b"".join(b64decode(event.delta) for event in events if event.type == "response.output_audio.delta")
    assert heard == b"".join(sound)
    usage = events[-1].response.usage
    details = usage.input_token_details
    assert (details.text_tokens, details.audio_tokens) == (3, 10)
    assert (usage.output_token_details.text_tokens, usage.output_token_details.audio_tokens) == (4, 20)
    transcript = events[-1].response.output[0].content[0].transcript
    assert transcript == "You said: Hello you"
    logged = simulator.last("openai")
    assert (logged["status"], logged["model"]) == (101, MODEL)
    assert [message["type"] for message in logged["messages"]][:2] == ["session.update", "input_audio_buffer.append"]


async def test_turns_by_commit_text_and_tools(client: openai.AsyncOpenAI) -> None:
    async with client.realtime.connect(model=MODEL) as connection:
        await until(connection, "session.created")
        tool = {"type": "function", "name": "add", "parameters": {"type": "object"}}
        await connection.session.update(
            session={
                "type": "realtime",
                "output_modalities": ["text"],
                "audio": {"input": {"turn_detection": None}},
                "tools": [tool],  # type: ignore[list-item]
            }
        )
        await append(connection, loud('call add {"a": 1}'))
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        events = await until(connection, "response.done")
        [call] = events[-1].response.output
        assert (call.name, call.arguments) == ("add", '{"a": 1}')
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": "2"}
        )
        await connection.response.create()
        events = await until(connection, "response.done")
        assert events[-1].response.output[0].content[0].text == "Tool said: 2"
        await connection.input_audio_buffer.commit()
        [error] = await until(connection, "error")
        assert error.error.code == "input_audio_buffer_commit_empty"


async def test_responses_beside_the_conversation(client: openai.AsyncOpenAI, simulator: Simulator) -> None:
    """Several at once, that leave nothing in it; each may be cancelled by its id."""
    text = {"type": "input_text", "text": "Hi [[gate=beside gate_at=1 id=beside]]"}
    item = {"type": "message", "role": "user", "content": [text]}
    async with client.realtime.connect(model=MODEL) as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.conversation.item.create(item=item)  # type: ignore[arg-type]
        created = []
        for at in range(2):
            await connection.response.create(response={"conversation": "none", "metadata": {"at": str(at)}})
            created.append((await until(connection, "response.created"))[-1].response)
        assert [one.conversation_id for one in created] == [None, None]
        await connection.response.cancel(response_id=created[1].id)
        done = (await until(connection, "response.done"))[-1].response
        assert (done.id, done.status) == (created[1].id, "cancelled")
        simulator.control("POST", "gates/beside")
        events = await until(connection, "response.done")
        done = events[-1].response
        assert (done.id, done.status, done.usage is None) == (created[0].id, "completed", False)
        assert "conversation.item.added" not in [event.type for event in events]
        await connection.conversation.item.retrieve(item_id=done.output[0].id)
        assert (await until(connection, "error"))[-1].error.code == "item_not_found"


async def test_speech_interrupts_what_is_said(client: openai.AsyncOpenAI, simulator: Simulator) -> None:
    async with client.realtime.connect(model=MODEL) as connection:
        await append(connection, loud("Count [[gate=realtime-barge gate_at=2 id=barge]]"), *(QUIET for _ in range(5)))
        await until(connection, "response.output_audio.delta")
        simulator.timeline("barge", wait="gate_wait")
        await append(connection, loud("Stop"))
        events = await until(connection, "response.done")
        assert events[-1].response.status == "cancelled"
        assert events[-1].response.status_details.reason == "turn_detected"
        await append(connection, *(QUIET for _ in range(5)))
        events = await until(connection, "response.done")
        assert events[-1].response.output[0].content[0].transcript == "You said: Stop"


async def test_faults_of_openai(client: openai.AsyncOpenAI, simulator: Simulator) -> None:
    async def asked(text: str) -> AsyncRealtimeConnection:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        connection = await client.realtime.connect(model=MODEL).enter()
        await until(connection, "session.created")
        await connection.conversation.item.create(item=item)  # type: ignore[arg-type]
        await connection.response.create()
        return connection

    with pytest.raises(ConnectionClosed) as closed:
        await until(await asked("Hi [[cut=reset]]"), "response.done")
    assert closed.value.rcvd is None
    expired = await asked("Hi [[go_away_s=0]]")
    assert (await until(expired, "error"))[-1].error.code == "session_expired"
    with pytest.raises(ConnectionClosed) as closed:
        await expired.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    failed = await asked("Hi [[error_after=1]]")
    assert (await until(failed, "error"))[-1].error.type == "server_error"
    await failed.close()
    silent = await asked("Hi [[silent id=mute]]")
    await silent.conversation.item.retrieve(item_id="none")
    assert [event.type for event in await until(silent, "error")][-1] == "error"
    await silent.close()
    simulator.control("POST", "faults", json={"provider": "openai", "fault": "status=429"})
    with pytest.raises(InvalidStatus) as refused:
        await client.realtime.connect(model=MODEL).enter()
    assert refused.value.response.status_code == 429


@pytest.mark.parametrize(("key", "model", "status"), [("sim-invalid", MODEL, 401), (KEY, "does-not-exist", 404)])
async def test_a_handshake_is_refused(simulator: Simulator, key: str, model: str, status: int) -> None:
    url = f"{simulator.url.replace('http:', 'ws:')}/openai/v1/realtime?model={model}"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers={"authorization": f"Bearer {key}"}):
            pass
    assert refused.value.response.status_code == status


@pytest.fixture
def gemini(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> genai.Client:
    """The SDK insists on TLS, which the simulator does not speak."""

    def plain(uri: str, *, additional_headers: dict[str, str], ssl: Any) -> Any:
        return connect(uri.replace("wss:", "ws:"), additional_headers=additional_headers)

    monkeypatch.setattr("google.genai.live.ws_connect", plain)
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=f"{simulator.url}/google"))


async def answer(session: Any) -> list[types.LiveServerMessage]:
    async with asyncio.timeout(10):
        return [message async for message in session.receive()]


async def test_gemini_s_sdk_talks_and_goes_on_by_handle(gemini: genai.Client) -> None:
    """1000 ms of sound at 16 kHz are 25 tokens, and come back as 667 ms at 24 kHz: 17 tokens."""
    config: types.LiveConnectConfigDict = {
        "response_modalities": [types.Modality.AUDIO],
        "input_audio_transcription": {},
        "output_audio_transcription": {},
        "session_resumption": {},
    }
    async with gemini.aio.live.connect(model=GEMINI, config=config) as session:
        for frame in (loud("Good day", 16_000), bytes(16_000)):
            await session.send_realtime_input(audio=types.Blob(data=frame, mime_type="audio/pcm;rate=16000"))
        messages = await answer(session)
        content = [message.server_content for message in messages if message.server_content]
        heard = [said.input_transcription.text for said in content if said.input_transcription]
        assert heard == ["Good day"]
        assert b"".join(message.data or b"" for message in messages) == loud("Good day", 16_000) + bytes(16_000)
        usage = messages[-1].usage_metadata
        assert usage is not None
        assert (usage.prompt_token_count, usage.response_token_count) == (25, 17)
        async with asyncio.timeout(10):
            update = (await session._receive()).session_resumption_update
        assert update is not None
    config["session_resumption"] = {"handle": update.new_handle}
    async with gemini.aio.live.connect(model=GEMINI, config=config) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "And now?"}]})
        usage = (await answer(session))[-1].usage_metadata
        assert usage is not None
        assert usage.prompt_token_count == 25 + 17 + 3 + 2


async def test_gemini_calls_functions(gemini: genai.Client) -> None:
    declared = types.FunctionDeclaration(name="add", parameters_json_schema={"type": "object"})
    config = types.LiveConnectConfig(
        response_modalities=[types.Modality.AUDIO], tools=[types.Tool(function_declarations=[declared])]
    )
    async with gemini.aio.live.connect(model=GEMINI, config=config) as session:
        content = types.Content(role="user", parts=[types.Part(text='call add {"a": 1}')])
        await session.send_client_content(turns=content)
        async with asyncio.timeout(10):
            called = await session._receive()
        assert called.tool_call is not None
        assert called.tool_call.function_calls is not None
        [call] = called.tool_call.function_calls
        assert (call.name, call.args) == ("add", {"a": 1})
        response = types.FunctionResponse(id=call.id, name="add", response={"output": "2"})
        await session.send_tool_response(function_responses=[response])
        assert (await answer(session))[-1].server_content


async def raw(simulator: Simulator, setup: dict[str, Any]) -> Any:
    url = f"{simulator.url.replace('http:', 'ws:')}/google/{LIVE}"
    socket = await connect(url, additional_headers={"x-goog-api-key": KEY})
    await socket.send(json.dumps({"setup": {"model": f"models/{GEMINI}", **setup}}))
    return socket


async def said(socket: Any, member: str) -> Any:
    async with asyncio.timeout(10):
        while True:
            message = json.loads(await socket.recv())
            if found := message.get(member) or (message.get("serverContent") or {}).get(member):
                return found


async def close_code(socket: Any) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        await said(socket, "never")
    return closed.value.rcvd.code if closed.value.rcvd else None


async def test_faults_of_gemini(simulator: Simulator) -> None:
    socket = await raw(simulator, {})
    turn = {"role": "user", "parts": [{"text": "Hi [[go_away_s=9.5 hang_up=1011]]"}]}
    await socket.send(json.dumps({"client_content": {"turns": [turn], "turn_complete": True}}))
    assert await said(socket, "goAway") == {"timeLeft": "9.5s"}
    assert await close_code(socket) == 1011
    for wrong in ({"unheardOf": 1}, {"sessionResumption": {"handle": "gone"}}):
        socket = await raw(simulator, wrong)
        assert await close_code(socket) == 1007
    socket = await raw(simulator, {"model": "models/does-not-exist"})
    assert await close_code(socket) == 1008


async def test_gemini_is_interrupted(simulator: Simulator) -> None:
    socket = await raw(simulator, {"generationConfig": {"responseModalities": ["AUDIO"]}})
    turn = {"role": "user", "parts": [{"text": "Count [[gate=live-barge gate_at=2 id=live-barge]]"}]}
    await socket.send(json.dumps({"clientContent": {"turns": [turn], "turnComplete": True}}))
    await said(socket, "modelTurn")
    simulator.timeline("live-barge", wait="gate_wait")
    audio = {"mimeType": "audio/pcm;rate=24000", "data": b64encode(loud("Stop")).decode()}
    await socket.send(json.dumps({"realtimeInput": {"audio": audio}}))
    assert await said(socket, "interrupted") is True
    assert await said(socket, "turnComplete") is True
    await socket.close()
