"""Sending one reply as the switches ask: late, slowly, sliced, held at a gate, cut, or never ending."""

import asyncio
import time

from local.simulators.armed import Gates
from local.simulators.http1 import Connection
from local.simulators.journal import Entry
from local.simulators.switches import Switches
from local.simulators.wire import Api, Asked, Event, Headers, Refused, Reply, Said

ENDLESS_S = 120.0
ENDLESS_DELAY_S = 0.01
PING_DELAY_S = 0.05
PING, BLANK = b": ping\n\n", b"\n"
YIELD_EVERY = 32
DEFAULT_STREAM_ERROR = 500
HTML_PAGE = b"<html><body><h1>Simulated page</h1></body></html>\n"
GARBAGE = b'{"id": "sim\xff\xfe'
FAULT_MESSAGES = {429: "Rate limit reached (simulated).", 529: "Overloaded (simulated)."}


def send_reply(reply: Reply, entry: Entry, out: Connection) -> None:
    """Send a ready reply in one write."""
    entry.status = reply.status
    entry.mark("head")
    out.reply(reply.status, [*reply.headers, ("x-sim-id", entry.id)], reply.body)
    entry.mark("end")


class Delivery:
    """One exchange, from the checked call to the last byte."""

    def __init__(self, api: Api, call: Asked, switches: Switches, entry: Entry, out: Connection, gates: Gates) -> None:
        self._api = api
        self._call = call
        self._switches = switches
        self._entry = entry
        self._out = out
        self._gates = gates
        self._sent = 0
        self._written = 0
        self._gate_passed = False

    async def run(self) -> None:
        """Send the reply. Cancelled when the client goes away."""
        switches = self._switches
        if switches.first_byte_s:
            await asyncio.sleep(switches.first_byte_s)
        if switches.cut == "before_headers":
            self._cut()
        elif switches.content_type:
            headers: Headers = [("content-type", switches.content_type)]
            send_reply(Reply(switches.status or 200, headers, HTML_PAGE), self._entry, self._out)
        elif switches.status and switches.error_after is None:
            await self._refuse(self._api.refuse(self._fault(switches.status)))
        elif self._call.stream:
            await self._stream(self._call.say(switches))
        else:
            await self._whole(self._call.say(switches))

    def _fault(self, status: int) -> Refused:
        message = FAULT_MESSAGES.get(status, f"Simulated failure with status {status}.")
        switches = self._switches
        return Refused("fault", message, status=status, code=switches.code, retry_after_s=switches.retry_after)

    async def _refuse(self, reply: Reply) -> None:
        if not self._switches.stall:
            send_reply(reply, self._entry, self._out)
            return
        self._entry.status = reply.status
        self._out.start(reply.status, reply.headers, len(reply.body))
        self._out.write(reply.body[: len(reply.body) // 2])
        self._entry.mark("head")
        await self._break_off()

    def _start(self, content_type: str, said: Said, length: int | None) -> None:
        headers = [("content-type", content_type), ("x-sim-id", self._entry.id), *said.headers]
        if self._api.id_header:
            headers.append((self._api.id_header, f"req_sim{said.number:020d}"))
        self._out.start(200, headers, length)
        self._entry.status = 200
        self._entry.mark("head")

    # -- whole replies ----------------------------------------------------------------------------------------------

    async def _whole(self, said: Said) -> None:
        switches = self._switches
        if switches.gate:
            await self._pass_gate(switches.gate)
        if switches.endless or switches.pings:
            self._start(self._call.body_type, said, 1_000_000)
            self._out.flush_head()
            await (self._ping(BLANK) if switches.pings else asyncio.sleep(ENDLESS_S))
            self._cut()
            return
        body = GARBAGE if switches.garbage else said.body()
        self._start(self._call.body_type, said, len(body))
        if switches.cut_at is not None:
            self._write(body[: len(body) // 2])
            await self._break_off()
            return
        self._write(body)
        self._entry.mark("end")

    # -- streams ----------------------------------------------------------------------------------------------------

    async def _stream(self, said: Said) -> None:
        switches = self._switches
        self._start(self._call.stream_type, said, None)
        if switches.first_event_s:
            self._out.flush_head()
            await asyncio.sleep(switches.first_event_s)
        if switches.pings:
            await self._ping(PING)
            self._cut()
            return
        deadline = time.monotonic() + ENDLESS_S
        for event in said.events():
            if event.content or self._sent:
                await self._hold(event)
                if await self._interrupted(event):
                    return
            await self._send(event)
            if event.content and switches.garbage and self._sent == 1:
                await self._send(Event(b"data: " + GARBAGE + b"\n\n"))
            if switches.endless and time.monotonic() > deadline:
                self._cut()
                return
        self._out.end()
        self._entry.mark("end")

    async def _hold(self, event: Event) -> None:
        """Hold the next event as long as a gate or a delay asks; only content events are delayed."""
        switches = self._switches
        if switches.gate and self._sent >= switches.gate_at and not self._gate_passed:
            await self._pass_gate(switches.gate)
        if event.content and self._sent and (switches.chunk_delay_s or switches.endless):
            await asyncio.sleep(switches.chunk_delay_s or ENDLESS_DELAY_S)

    async def _interrupted(self, event: Event) -> bool:
        """Whether the stream dies here: cut, stalled, or ended by the provider's own error event."""
        switches = self._switches
        if switches.cut_at is not None and self._sent >= switches.cut_at:
            if switches.cut == "mid_event":
                self._write(event.data[: len(event.data) // 2])
            await self._break_off()
            return True
        if switches.error_after is not None and self._sent >= switches.error_after:
            for failure in self._api.stream_error(switches.status or DEFAULT_STREAM_ERROR):
                self._write(failure.data)
            self._entry.mark("error")
            self._out.end()
            return True
        return False

    async def _send(self, event: Event) -> None:
        self._write(event.data)
        self._entry.mark("chunk" if event.content else "event")
        self._sent += event.content
        self._written += 1
        await self._out.drain()
        if self._written % YIELD_EVERY == 0:
            await asyncio.sleep(0)

    def _write(self, data: bytes) -> None:
        size = self._switches.split_bytes
        if not size:
            self._out.write(data)
            return
        for at in range(0, len(data), size):
            self._out.write(data[at : at + size])

    async def _pass_gate(self, name: str) -> None:
        self._gate_passed = True
        self._entry.mark("gate_wait")
        opened = await self._gates.wait(name)
        self._entry.mark("gate_open" if opened else "gate_timeout")

    async def _ping(self, sign_of_life: bytes) -> None:
        for _ in range(int(ENDLESS_S / PING_DELAY_S)):
            self._out.write(sign_of_life)
            await asyncio.sleep(PING_DELAY_S)

    async def _break_off(self) -> None:
        if self._switches.stall:
            await asyncio.sleep(ENDLESS_S)
        self._cut(reset=self._switches.cut == "reset")

    def _cut(self, *, reset: bool = False) -> None:
        self._entry.mark("cut")
        self._out.close(reset=reset)
