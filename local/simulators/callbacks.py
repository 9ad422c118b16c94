"""Webhooks that simulated providers send: signed as Standard Webhooks says, to where `/_sim/callbacks/NAME` leads.

Only what a request asks for by `[[calls_s=N]]` is told, so that all others have to be asked for, as if a message of
each were lost.
"""

import asyncio
import contextlib
import time
import urllib.request
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass, field

import msgspec

from local.simulators.webhooks import signature_of
from local.simulators.wire import Json, encode

TRIES, PAUSE_S, TIMEOUT_S = 3, 0.5, 10.0


class Destination(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /_sim/callbacks/NAME."""

    url: str
    secret: str


@dataclass(slots=True)
class Callbacks:
    """Where each provider's messages go; nowhere, of those that nobody set up."""

    _destinations: dict[str, Destination] = field(default_factory=dict)
    _sending: set[asyncio.Task[None]] = field(default_factory=set)

    def set_up(self, provider: str, destination: Destination) -> None:
        self._destinations[provider] = destination

    def when(self, provider: str, happened: Awaitable[None], event: Json) -> None:
        """Tells of it when it has happened."""
        task = asyncio.ensure_future(self._tell(provider, happened, event))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _tell(self, provider: str, happened: Awaitable[None], event: Json) -> None:
        await happened
        if (destination := self._destinations.get(provider)) is not None:
            await _send(destination, encode(event))


async def _send(destination: Destination, body: bytes) -> None:
    """A few times until it is taken."""
    message_id = f"msg_{uuid.uuid4().hex}"
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            return await asyncio.to_thread(_post, destination, message_id, body)
        await asyncio.sleep(PAUSE_S)


def _post(destination: Destination, message_id: str, body: bytes) -> None:
    """Raises OSError, also for an answer that is not 2xx."""
    sent_s = str(int(time.time()))
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": sent_s,
        "webhook-signature": signature_of(destination.secret, message_id, sent_s, body),
    }
    request = urllib.request.Request(destination.url, body, headers)  # noqa: S310 - a test's own address
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310 - as above
        pass


CALLBACKS = Callbacks()
