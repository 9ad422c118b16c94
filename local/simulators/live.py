"""A realtime session: the provider's protocol is asked what to say, and it is said as the switches want it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from local.simulators.armed import Gates
from local.simulators.http1 import Connection
from local.simulators.journal import Entry
from local.simulators.switches import NONE, SwitchError, Switches
from local.simulators.websocket import Socket
from local.simulators.wire import Json, encode


class Spoken(NamedTuple):
    """One message of an answer; gates, delays and cuts count those with content."""

    message: Json
    content: bool = False


@dataclass(slots=True)
class Taken:
    """What follows from a message: at once, and then an answer. ``interrupts``: the answer before it stops."""

    messages: list[Json] = field(default_factory=list)
    answer: Iterator[Spoken] | None = None
    switches: Switches = NONE
    interrupts: bool = False


class Hangup(Exception):
    """The provider closes the connection."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Live(ABC):
    """One session. Both raise Hangup, and SwitchError for a directive that means nothing."""

    model: str

    def begin(self) -> Iterable[Json]:
        """What is said before the client says anything."""
        return ()

    @abstractmethod
    def take(self, message: Json) -> Taken:
        """A message of the client."""

    @abstractmethod
    def failure(self, status: int) -> Iterable[Json]:
        """The provider's own failure in the middle of an answer."""

    @abstractmethod
    def going_away(self, after_s: float, /) -> Iterable[Json]:
        """The warning that the connection will be closed."""


class Session:
    """Reads and speaks at the same time, so that it can be interrupted."""

    def __init__(self, live: Live, entry: Entry, out: Connection, socket: Socket, gates: Gates) -> None:
        self._live, self._entry, self._out, self._socket, self._gates = live, entry, out, socket, gates
        self._speaking: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until either side closes. Cancelled when the client goes away without a word."""
        try:
            await self._say(self._live.begin())
            while (message := await self._socket.receive()) is not None:
                await self._take(message)
        except Hangup as hangup:
            self._socket.close(hangup.code, str(hangup))
        except (SwitchError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            self._socket.close(1007, f"sim_error: {error}"[:120])
        finally:
            await self._stop()
        self._entry.mark("end")

    async def _take(self, message: str | bytes) -> None:
        read = msgspec.json.decode(message)
        self._entry.hear(read)
        taken = self._live.take(read)
        if taken.interrupts:
            await self._stop()
        await self._say(taken.messages)
        if taken.answer is not None and not taken.switches.silent:
            self._speaking = asyncio.create_task(self._speak(taken.answer, taken.switches, self._speaking))

    async def _say(self, messages: Iterable[Json]) -> None:
        for message in messages:
            await self._socket.send(encode(message).decode())
            self._entry.mark("event")

    async def _speak(self, answer: Iterator[Spoken], switches: Switches, before: asyncio.Task[None] | None) -> None:
        """One answer after the other."""
        if before is not None:
            await before
        try:
            await self._utter(answer, switches)
        except Hangup as hangup:
            self._socket.close(hangup.code, str(hangup))

    async def _utter(self, answer: Iterator[Spoken], switches: Switches) -> None:
        if switches.id:
            self._entry.id = switches.id
        if switches.go_away_s is not None:
            await self._say(self._live.going_away(switches.go_away_s))
        said = 0
        for spoken in answer:
            if spoken.content:
                await self._hold(switches, said)
            if switches.cut_at is not None and said >= switches.cut_at:
                self._entry.mark("cut")
                self._out.close(reset=switches.cut == "reset")
                return
            if switches.error_after is not None and said >= switches.error_after:
                await self._say(self._live.failure(switches.status or 500))
                return
            await self._say([spoken.message])
            said += spoken.content
        if switches.hang_up is not None:
            self._socket.close(switches.hang_up, "simulated")

    async def _hold(self, switches: Switches, said: int) -> None:
        if switches.gate and said == switches.gate_at:
            await self._pass_gate(switches.gate)
        if said and switches.chunk_delay_s:
            await asyncio.sleep(switches.chunk_delay_s)

    async def _pass_gate(self, name: str) -> None:
        self._entry.mark("gate_wait")
        opened = await self._gates.wait(name)
        self._entry.mark("gate_open" if opened else "gate_timeout")

    async def _stop(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)
            self._speaking = None
