"""What the client of a session says: each message one write, and nothing that waits for a read.

API Gateway delivers messages of one connection to functions at the same time. They are put in order by the time at
which it took them, and whoever reads them waits for those that are late (`Terms.window_ms`). A write that takes longer
could end up behind the reader's back; so it counts only when it was answered before that, and is done again under the
present time otherwise. Whoever reads knows a message by its id.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.errors import GatewayError, StorageUnavailable
from gateway.model.realtime_session import BEAT_S, Frame, Lease
from gateway.ports import World
from gateway.realtime_ports import Voice

CLOCKS_MS = 15
"""By which clocks may differ, so much earlier a write has to be there."""
PATIENT_MS = 1_000
"""What the last try is given, by writing it under a time that has yet to come."""
TRIES = 4
LOOK_EVERY_S = 2 * BEAT_S
REMEMBERED = 10_000


async def log_frame(connection_id: str, frame: Frame, window_ms: int, world: World, voice: Voice) -> None:
    """Raises StorageUnavailable (503), also where nobody can tell whether the reader will see it."""
    for tries_left in reversed(range(TRIES)):
        now_s = world.clock.now_s()
        if now_s * 1000 - frame.at_ms > window_ms - CLOCKS_MS:
            frame = replace(frame, at_ms=int(now_s * 1000) + (0 if tries_left else PATIENT_MS))
        await voice.frames.append(connection_id, frame, now_s)
        if world.clock.now_s() * 1000 - frame.at_ms <= window_ms - CLOCKS_MS:
            return
    raise StorageUnavailable("What is said takes too long to be stored at the moment.")


class Lookout:
    """Of one environment: whether the sessions whose clients speak here are held by somebody."""

    def __init__(self, world: World, voice: Voice) -> None:
        self._world, self._voice = world, voice
        self._looked_s: dict[str, float] = {}

    async def look(self, connection_id: str) -> None:
        """Now and then. Never raises: the client's next message looks again."""
        now_s = self._world.clock.monotonic_s()
        if now_s - self._looked_s.get(connection_id, -LOOK_EVERY_S) < LOOK_EVERY_S:
            return
        if len(self._looked_s) >= REMEMBERED:
            self._looked_s.clear()
        self._looked_s[connection_id] = now_s
        try:
            lease = await self._voice.sessions.lease(connection_id)
            if lease is not None:
                await follow(connection_id, lease, self._world, self._voice)
        except GatewayError as error:
            self._world.records.trouble("realtime.not_looked_at", reason=error.message)


async def follow(connection_id: str, lease: Lease, world: World, voice: Voice) -> bool:
    """Asks for the next holder where there is none. Raises StorageUnavailable (503)."""
    if not lease.lacks_holder(world.clock.now_s()):
        return False
    await voice.holders.start(connection_id, lease.epoch + 1)
    return True


async def client_left(connection_id: str, world: World, voice: Voice, patience_s: float) -> None:
    """The holder ends the session; where none does, the next one is asked to. Raises StorageUnavailable (503)."""
    lease = await voice.sessions.leave(connection_id)
    gives_up_s = world.clock.monotonic_s() + patience_s
    while lease is not None and not lease.is_ended and world.clock.monotonic_s() < gives_up_s:
        await follow(connection_id, lease, world, voice)
        await world.clock.sleep(BEAT_S)
        lease = await voice.sessions.lease(connection_id)
