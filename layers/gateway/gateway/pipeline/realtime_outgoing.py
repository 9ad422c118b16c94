"""What the client of a session hears: one message after the other, so that they come in their order.

Sound is made faster than it is played. While the client takes one message, what follows is gathered: sound of the same
part in one message, so that a client that is slow for a moment catches up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import PayloadTooLarge
from gateway.model.realtime import MAX_MESSAGE_BYTES
from gateway.model.realtime_events import ServerEvent, error_event
from gateway.model.realtime_session import Link
from gateway.ports import Clock
from gateway.realtime_ports import ClientGone, Clients, ClientUnreachable

SOUND = "response.output_audio.delta"
MAX_SOUND_CHARACTERS = 24 * 1024
"""Of base64 in one message that was gathered, or cut: a multiple of four."""
MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Three minutes of sound at 24 kHz in base64: who is further behind will not hear it in time."""
PATIENCE_S = 20.0
"""For a client that takes nothing."""
OPENING_S = 10.0
"""A connection exists only once its handshake is over, which began before the session."""
PAUSE_S = 0.05
_SAME_PART = ("response_id", "item_id", "output_index", "content_index")


class SlowClient(Exception):
    """It takes less than it is told."""


class Outgoing:
    """`may_speak`: whether nobody else can be speaking to the client. `opened_s`: by the monotonic clock, since when
    the connection may exist.
    """

    def __init__(
        self, link: Link, clients: Clients, clock: Clock, may_speak: Callable[[], bool], opened_s: float
    ) -> None:
        self._link, self._clients, self._clock, self._may_speak = link, clients, clock, may_speak
        self._opened_s = opened_s
        self._waiting: deque[ServerEvent] = deque()
        self._waiting_bytes = 0
        self._news, self._drained = asyncio.Event(), asyncio.Event()
        self._drained.set()

    def put(self, event: ServerEvent) -> None:
        """Raises SlowClient."""
        self._waiting_bytes += _size(event)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            raise SlowClient
        self._waiting.append(event)
        self._drained.clear()
        self._news.set()

    def drop(self) -> None:
        """What waits is not told any more, so that what is to be told at the end is heard."""
        self._waiting.clear()
        self._waiting_bytes = 0

    @property
    def is_drained(self) -> bool:
        return self._drained.is_set()

    async def drained(self) -> None:
        await self._drained.wait()

    async def run(self) -> None:
        """For ever. Raises ClientGone, SlowClient."""
        while True:
            await self._news.wait()
            while self._waiting:
                for message in _messages(self._next()):
                    await self._post(message)
            self._news.clear()
            self._drained.set()

    def _next(self) -> ServerEvent:
        event = self._waiting.popleft()
        self._waiting_bytes -= _size(event)
        if event["type"] != SOUND:
            return event
        pieces = [event["delta"]]
        characters = len(pieces[0])
        while self._waiting and not pieces[-1].endswith("=") and _continues(self._waiting[0], event):
            characters += len(self._waiting[0]["delta"])
            if characters > MAX_SOUND_CHARACTERS:
                break
            following = self._waiting.popleft()
            self._waiting_bytes -= _size(following)
            pieces.append(following["delta"])
        return event if len(pieces) == 1 else {**event, "delta": "".join(pieces)}

    async def _post(self, message: bytes) -> None:
        gives_up_s = self._clock.monotonic_s() + PATIENCE_S
        while True:
            while not self._may_speak():
                await self._clock.sleep(PAUSE_S)
            try:
                return await self._clients.post(self._link, message)
            except ClientGone:
                if self._clock.monotonic_s() > self._opened_s + OPENING_S:
                    raise
            except ClientUnreachable:
                if self._clock.monotonic_s() > gives_up_s:
                    raise SlowClient from None
            await self._clock.sleep(PAUSE_S)


def _continues(event: ServerEvent, before: ServerEvent) -> bool:
    return event["type"] == SOUND and all(event.get(name) == before.get(name) for name in _SAME_PART)


def _messages(event: ServerEvent) -> list[bytes]:
    """As many as it takes: API Gateway carries no larger one. What cannot be cut is told to be missing."""
    whole = msgspec.json.encode(event)
    if len(whole) <= MAX_MESSAGE_BYTES:
        return [whole]
    if event["type"] != SOUND:
        lost = PayloadTooLarge(f"An event of type {event['type']} is larger than a message may be, and was left out.")
        return [msgspec.json.encode(error_event(lost, str(event.get("event_id"))))]
    delta = event["delta"]
    starts = range(0, len(delta), MAX_SOUND_CHARACTERS)
    return [msgspec.json.encode({**event, "delta": delta[at : at + MAX_SOUND_CHARACTERS]}) for at in starts]


def _size(event: Json) -> int:
    """About."""
    delta = event.get("delta")
    return 256 + (len(delta) if isinstance(delta, str) else 512)
