"""What a minute of voice costs on AWS, counted and written into docs/realtime.md: `python -m scripts.realtime_costs`.

The functions hold a conversation with a simulated provider in a world in memory whose time jumps; every call that
leaves them is counted as the request that its adapter sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.adapters.aws.realtime_frames import AT_ONCE, DynamoFrames
from gateway.adapters.catalog import FileCatalog
from gateway.entry.realtime import RealtimeFunction
from gateway.entry.realtime_session import realtime_session_handler
from gateway.entry.runtime.client import Invocation
from gateway.model.http import HttpRequest
from gateway.model.realtime_call import Terms
from gateway.model.realtime_session import Admitted, Books, Frame, Lease, Link, Snapshot, Taken
from gateway.model.tenant import Tenant
from gateway.realtime_ports import Voice
from local.simulators.providers.openai_realtime import RealtimeSession
from tests.fakes import MemoryAccess, MemoryCatalog, ScriptedIncoming, ScriptedOutbound, key_hash, principal, world_of
from tests.realtime_fakes import MemoryClients, MemoryClientSecrets, MemoryFrames, MemoryHolders, MemorySessions
from tests.virtual_time import LoopClock, VirtualLoop

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "realtime.md"
_PLACE = re.compile(r"(?<=<!-- costs -->\n).*?(?=<!-- /costs -->)", re.DOTALL)
MICRO_USD = {"messages": 1.0, "calls": 0.2, "writes": 0.625, "reads": 0.125, "gb_s": 13.3334, "minutes": 0.25}
"""Each, us-east-1, 2026-11, on demand, without free tiers, arm64: https://aws.amazon.com/api-gateway/pricing/,
/lambda/pricing/, /dynamodb/pricing/on-demand/"""
MESSAGE_BYTES, WRITE_BYTES, READ_BYTES = 32 * 1024, 1_024, 4_096
ITEM_BYTES = 200
"""Of a record's item besides its document."""
MEMORY_GB, CALL_S = 0.5, 0.010
"""Of both functions; the time that one message of a client is taken to take its function."""
MINUTE_S, TURNS, PAUSE_S = 60, 4, 1.0
BYTES_PER_S = 48_000
MODEL, KEY, CONNECTION = "openai/gpt-realtime-2.1", "gwk_costs", "c0nn="


@dataclass
class Scales:
    """`numbers`: of requests, by the names in MICRO_USD. Also a DynamoDB that takes what is written, and weighs it."""

    numbers: Counter[str] = field(default_factory=Counter)
    last_bytes: int = 0

    async def call(self, _operation: str, request: dict[str, Any], _timeout_s: float) -> dict[str, Any]:
        values = ((name, *value.items()) for name, value in request["Item"].items())
        self.last_bytes = sum(
            len(name) + (len(b64decode(value)) if kind == "B" else len(str(value))) for name, (kind, value) in values
        )
        self.write(self.last_bytes)
        return {}

    def write(self, size_bytes: int) -> None:
        self.numbers["writes"] += ceil(size_bytes / WRITE_BYTES)

    def read(self, size_bytes: int) -> None:
        self.numbers["reads"] += max(1, ceil(size_bytes / READ_BYTES))

    def pass_message(self, size_bytes: int) -> None:
        self.numbers["messages"] += ceil(size_bytes / MESSAGE_BYTES)

    def hold(self, document: Admitted | Snapshot | Books) -> None:
        self.write(len(msgspec.json.encode(document)) + ITEM_BYTES)


@dataclass
class WeighedFrames(MemoryFrames):
    scales: Scales = field(default_factory=Scales)
    weights: dict[str, int] = field(default_factory=dict)

    async def append(self, connection_id: str, frame: Frame, now_s: float) -> None:
        await DynamoFrames(self.scales, "realtime").append(connection_id, frame, now_s)  # type: ignore[arg-type]
        self.weights[frame.name] = self.scales.last_bytes
        await super().append(connection_id, frame, now_s)

    async def between(self, connection_id: str, after: str, before: str) -> list[Frame]:
        found = (await super().between(connection_id, after, before))[:AT_ONCE]
        self.scales.read(sum(self.weights[frame.name] for frame in found))
        return found


@dataclass
class WeighedSessions(MemorySessions):
    scales: Scales = field(default_factory=Scales)

    async def create(self, admitted: Admitted, now_s: float) -> None:
        self.scales.hold(admitted)
        await super().create(admitted, now_s)

    async def lease(self, connection_id: str) -> Lease | None:
        self.scales.read(len(msgspec.json.encode(self.held[connection_id].admitted)) + ITEM_BYTES)
        return await super().lease(connection_id)

    async def take(self, connection_id: str, epoch: int, now_s: float) -> Taken | None:
        taken = await super().take(connection_id, epoch, now_s)
        if taken is not None:
            for document in (taken.admitted, taken.books, taken.snapshot or Snapshot()):
                self.scales.hold(document)
        return taken

    async def beat(self, connection_id: str, epoch: int, now_s: float) -> Lease:
        self.scales.hold(self.held[connection_id].admitted)
        return await super().beat(connection_id, epoch, now_s)

    async def keep(self, connection_id: str, epoch: int, snapshot: Snapshot) -> None:
        self.scales.hold(snapshot)
        await super().keep(connection_id, epoch, snapshot)

    async def book(self, connection_id: str, epoch: int, books: Books) -> None:
        self.scales.hold(books)
        await super().book(connection_id, epoch, books)


class Provider:
    """Both its own door and its connection."""

    def __init__(self) -> None:
        self._live, self._coming = RealtimeSession(MODEL, {}), asyncio.Queue[str]()
        self._say(self._live.begin())

    @asynccontextmanager
    async def open(self, _request: HttpRequest) -> AsyncIterator[Provider]:
        yield self

    async def send(self, message: str) -> None:
        taken = self._live.take(json.loads(message))
        self._say(taken.messages)
        self._say(spoken.message for spoken in taken.answer or ())

    async def receive(self) -> str:
        return await self._coming.get()

    def _say(self, messages: Any) -> None:
        for message in messages:
            self._coming.put_nowait(json.dumps(message))


@dataclass(frozen=True)
class Client:
    """`frame_ms`: of sound in one of its messages. `is_open`: whether its microphone is, while it does not speak."""

    frame_ms: int
    is_open: bool = True

    def minute(self) -> list[bytes | None]:
        """Its messages, each at its time: as many turns as answers of the same length find room beside. A voice, and
        the noise of a quiet room.
        """
        noise, size = Random(8), BYTES_PER_S * self.frame_ms // 1000  # noqa: S311 - the same each time
        turn = MINUTE_S * 1000 // TURNS // self.frame_ms
        speaking, pausing = int(turn * 0.45), int(PAUSE_S * 1000) // self.frame_ms
        frames: list[bytes | None] = []
        for place in range(turn * TURNS):
            at = place % turn
            loud = 8_000 if at < speaking else 40
            heard = at < speaking + pausing or self.is_open
            samples = (noise.randrange(-loud, loud).to_bytes(2, "little", signed=True) for _ in range(size // 2))
            frames.append(b"".join(samples) if heard else None)
        return frames


CLIENTS = {
    "a message for 100 ms, microphone open": Client(100),
    "a message for 20 ms, microphone open": Client(20),
    "a message for 100 ms, only while somebody speaks": Client(100, is_open=False),
}


async def counted(client: Client) -> Counter[str]:
    scales, clock = Scales(), LoopClock(asyncio.get_running_loop())
    tenant = Tenant(id="acme", approvals=("*",))
    access, outbound = MemoryAccess({key_hash(KEY): principal(tenant)}), ScriptedOutbound(ScriptedIncoming(200, {}, []))
    world = replace(
        world_of(outbound, access, MemoryCatalog({"openai": {}})),
        clock=clock,
        catalog=FileCatalog(ROOT / "shared" / "catalog"),
    )
    clients, holders = MemoryClients(), MemoryHolders()
    sessions, frames = WeighedSessions(scales=scales), WeighedFrames(scales=scales)
    voice, terms = Voice(sessions, frames, clients, holders, MemoryClientSecrets()), Terms()
    holder = realtime_session_handler(world, voice, Provider(), terms)
    function, held = RealtimeFunction(world, voice, terms), list[asyncio.Task[Any]]()

    def start(connection_id: str, epoch: int) -> None:
        order = {"connection_id": connection_id, "epoch": epoch}
        held.append(asyncio.ensure_future(holder.handle(order, Invocation("r", clock.now_s() + 900))))

    async def post(_link: Link, message: bytes) -> None:
        scales.pass_message(len(message))

    holders.on_start, clients.on_post = start, post
    await _call(function, clock, "CONNECT", headers={"Authorization": f"Bearer {KEY}"}, model=MODEL)
    scales.numbers.clear()  # a session begins and ends once, whatever its minutes are
    for frame in client.minute():
        if frame is not None:
            said = json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(frame).decode()})
            scales.pass_message(len(said))
            scales.numbers["calls"] += 1
            await _call(function, clock, "MESSAGE", body=said, message_id=str(scales.numbers["calls"]))
        await clock.sleep(client.frame_ms / 1000)
    numbers = Counter(scales.numbers)
    numbers["gb_s"] = round(MEMORY_GB * (MINUTE_S + CALL_S * numbers["calls"]))
    numbers["minutes"] = 1
    assert sum(b"response.done" in one for one in clients.posted[CONNECTION]) == TURNS  # noqa: S101
    clients.gone.add(CONNECTION)
    await _call(function, clock, "DISCONNECT")
    await asyncio.gather(*held)
    return numbers


async def _call(
    function: RealtimeFunction, clock: LoopClock, kind: str, model: str = "", message_id: str = "", **members: Any
) -> None:
    now_ms = int(clock.now_s() * 1000)
    context = {"eventType": kind, "connectionId": CONNECTION, "apiId": "a", "stage": "realtime", "requestId": "r"}
    event = {"requestContext": {**context, "requestTimeEpoch": now_ms, "messageId": message_id}, **members}
    event["queryStringParameters"] = {"model": model}
    answer = await function.handle(event, Invocation("r", clock.now_s() + 29))
    assert answer["statusCode"] == 200, answer  # noqa: S101


def table() -> str:
    heads = (
        "",
        "API Gateway messages",
        "Lambda calls",
        "GB-seconds",
        "DynamoDB write units",
        "read units",
        "USD a minute",
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name, client in CLIENTS.items():
        loop = VirtualLoop()
        with contextlib.redirect_stdout(io.StringIO()):  # of the functions' own logs
            numbers = loop.run_until_complete(counted(client))
        loop.close()
        usd = sum(MICRO_USD[of] * number for of, number in numbers.items()) / 1_000_000
        figures = (f"{numbers[of]:,}" for of in ("messages", "calls", "gb_s", "writes", "reads"))
        lines.append(f"| {' | '.join([name, *figures, f'{usd:.4f}'])} |")
    return "\n".join([*lines, ""])


def page(text: str) -> str:
    return _PLACE.sub(lambda _: table(), text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
