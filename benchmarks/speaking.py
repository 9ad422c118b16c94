"""Part V: sessions of voice through the whole local stack, and the provider's echo, piece by piece."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from benchmarks import aims
from benchmarks.figures import Row, Table, quantile
from benchmarks.report import Report
from benchmarks.through_stack import stack
from local.console import Progress
from local.endpoints import Endpoints

MODEL = "gpt-realtime-2.1"
LOADS = ((1, 0.02), (3, 0.02), (10, 0.1))
"""Sessions at once, and seconds of sound in a piece."""
SECONDS = 60.0
BYTES_PER_S = 48_000
"""24 kHz, 16 bits."""
SPOKEN_S, SILENT_S = 1.5, 0.5
"""Of a turn: the provider answers after half a second of silence, with the very sound that it heard."""
PROBE_EVERY_S = 1.0
"""Between two texts that the provider confirms, by which the way there and back is timed."""
ANSWERED_S = 30.0


@dataclass(slots=True)
class Heard:
    """`lost`, `reordered`: pieces of sound. `ways_ms`: of a text to the provider and its confirmation back."""

    turns: int = 0
    said: int = 0
    lost: int = 0
    reordered: int = 0
    errors: set[str] = field(default_factory=set)
    ways_ms: list[float] = field(default_factory=list)

    def compare(self, said: list[bytes], heard: bytes) -> None:
        size = len(said[0])
        found = [heard[at : at + size] for at in range(0, len(heard), size)]
        place = {piece: number for number, piece in enumerate(found)}
        places = [place[piece] for piece in said if piece in place]
        self.turns, self.said = self.turns + 1, self.said + len(said)
        self.lost += len(said) - len(places)
        self.reordered += sum(later < earlier for earlier, later in pairwise(places))


class Speaker:
    """One session. `headers`: its credential. `piece_s`: of sound in one message."""

    def __init__(self, url: str, headers: dict[str, str], heard: Heard, number: int, piece_s: float) -> None:
        self._url, self._headers, self._heard, self._number = url, headers, heard, number
        self._piece_s, self._piece_bytes = piece_s, round(piece_s * BYTES_PER_S)
        self._sound = bytearray()
        self._probes: dict[str, float] = {}
        self._done = asyncio.Event()
        self._turn = self._sent = 0

    async def speak(self, seconds: float) -> None:
        async with connect(self._url, additional_headers=self._headers, open_timeout=30, max_size=None) as socket:
            listening = asyncio.create_task(self._listen(socket))
            ends_s = time.perf_counter() + seconds
            while time.perf_counter() < ends_s:
                await self._one_turn(socket)
            listening.cancel()

    async def _one_turn(self, socket: ClientConnection) -> None:
        self._turn += 1
        self._sound.clear()
        self._done.clear()
        said = [*self._pieces()]
        began_s = time.perf_counter()
        for number, piece in enumerate(
            [*said, *(bytes(self._piece_bytes) for _ in range(round(SILENT_S / self._piece_s)))]
        ):
            await asyncio.sleep(max(0.0, began_s + number * self._piece_s - time.perf_counter()))
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(piece).decode()}))
            self._sent += 1
            if self._sent % round(PROBE_EVERY_S / self._piece_s) == 1:
                await self._probe(socket)
        try:
            async with asyncio.timeout(ANSWERED_S):
                await self._done.wait()
        except TimeoutError:
            self._heard.errors.add("a turn was not answered")
        self._heard.compare(said, bytes(self._sound))

    def _pieces(self) -> Iterator[bytes]:
        """Each unlike any other, and loud enough to be speech."""
        for number in range(round(SPOKEN_S / self._piece_s)):
            mark = b"".join(value.to_bytes(2, "little") for value in (self._number, self._turn, number))
            yield mark + b"\x10\x20" * ((self._piece_bytes - len(mark)) // 2)

    async def _probe(self, socket: ClientConnection) -> None:
        item_id = f"probe_{self._sent}"
        content = [{"type": "input_text", "text": "x"}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        self._probes[item_id] = time.perf_counter()
        await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))

    async def _listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            event: dict[str, Any] = json.loads(message)
            match event["type"]:
                case "response.output_audio.delta":
                    self._sound += b64decode(event["delta"])
                case "response.done":
                    self._done.set()
                case "conversation.item.added" if event["item"]["id"] in self._probes:
                    began_s = self._probes.pop(event["item"]["id"])
                    self._heard.ways_ms.append((time.perf_counter() - began_s) * 1000)
                case "error":
                    self._heard.errors.add(event["error"]["message"])


def measure(share: float, progress: Progress) -> Report:
    """Raises Problem."""
    with stack(progress) as endpoints:
        return asyncio.run(_measure(endpoints, SECONDS * share, progress))


async def _measure(endpoints: Endpoints, seconds: float, progress: Progress) -> Report:
    direct = (f"{endpoints.simulators}/openai/v1/realtime?model={MODEL}", "sim-openai")
    gateway = (f"{endpoints.http}/realtime?model=openai/{MODEL}", endpoints.api_key)
    rows = [_way("to the simulator itself", await _together(*direct, 1, 0.02, min(seconds, 10.0)), 50)]
    verdicts = []
    for sessions, piece_s in LOADS:
        of = f"{sessions} at once, {1 / piece_s:.0f} pieces/s"
        with progress.step(f"{of}, {seconds:.0f} s"):
            heard = await _together(*gateway, sessions, piece_s, seconds)
        if heard.errors:
            progress.say(f"told: {'; '.join(sorted(heard.errors))}")
        counts = {"turns": heard.turns, "pieces said": heard.said, "lost": heard.lost, "reordered": heard.reordered}
        rows += [Row.single(f"{of}, {name}", "", [float(value)]) for name, value in counts.items()]
        rows += [_way(of, heard, percent) for percent in (50, 95)]
        verdicts += [aims.LOST_SOUND.judged(float(heard.lost)), aims.REORDERED_SOUND.judged(float(heard.reordered))]
    note = "There and back: from a text of the client to the provider's confirmation at the client, while it speaks."
    return Report([Table("Sessions of voice through the whole local stack", note, rows)], verdicts)


async def _together(url: str, key: str, sessions: int, piece_s: float, seconds: float) -> Heard:
    heard = Heard()
    headers = {"Authorization": f"Bearer {key}"}
    url = url.replace("http", "ws", 1)
    speakers = [Speaker(url, headers, heard, number, piece_s) for number in range(sessions)]
    await asyncio.gather(*(speaker.speak(seconds) for speaker in speakers))
    return heard


def _way(of: str, heard: Heard, percent: int) -> Row:
    return Row.single(f"{of}, there and back p{percent}", "ms", [quantile(heard.ways_ms, percent)])
