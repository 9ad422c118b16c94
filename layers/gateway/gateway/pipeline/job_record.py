"""A job's record in the hands of the worker that carries it out, while others may change it too."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from gateway.job_ports import Jobs
from gateway.model.errors import GatewayError, JobCancelled, StorageUnavailable
from gateway.model.job import Job
from gateway.pipeline.meanwhile import meanwhile
from gateway.ports import Clock

TRIES = 5
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 0.0)
"""After each write that is not answered."""
BEAT_S, BELIEVED_S = 15.0, 45.0
"""How often a worker says that it is at it, and how long it is believed."""
WORK_S = 1_000
"""After which nobody can be at it any more: longer than a function of Lambda may run."""
BUSY = "The job changes all the time. Try again."


class Overtaken(Exception):
    """Another worker has the job."""


class JobBusy(Exception):
    """A worker is at it, or was until a moment ago: the state machine tries again. Its name is in `job.asl.json`."""


async def until_written(is_written: Callable[[], Awaitable[bool]], clock: Clock) -> None:
    """Raises StorageUnavailable (503) after the last try, and what else it does at once."""
    unanswered = StorageUnavailable(BUSY)
    for pause_s in PAUSES_S:
        try:
            if await is_written():
                return
        except StorageUnavailable as error:
            unanswered = error
            await clock.sleep(pause_s)
    raise unanswered


class JobRecord:
    """`now`: as it was last read or written here. `due_s`: after which somebody should see to a worker that is gone."""

    def __init__(self, job: Job, jobs: Jobs, clock: Clock, due_s: float = WORK_S) -> None:
        self.now, self._jobs, self._clock, self._due_s = job, jobs, clock, due_s
        self._worker = secrets.token_hex(8)
        self._lock = asyncio.Lock()

    async def change(self, **changes: Any) -> None:
        """What was not answered is written again, on top of itself if it came through.

        Raises JobCancelled (409) when it has ended meanwhile, Overtaken, StorageUnavailable (503).
        """

        async def is_written() -> bool:
            self._refuse_ended()
            return await self._is_written(changes)

        async with self._lock:
            await until_written(is_written, self._clock)

    async def _is_written(self, changes: dict[str, Any]) -> bool:
        """If not, it is known by now what somebody else has written."""
        now_s = self._clock.now_s()
        said = {"alive_until_s": now_s + BELIEVED_S, "worker": self._worker}
        changed = self.now.changed(**{**said, **changes})
        if await self._jobs.change(changed, int(now_s + self._due_s)):
            self.now = changed
            return True
        self._take(await self._jobs.get(self.now.tenant_id, self.now.id))
        return False

    async def check(self) -> None:
        """Before each further request of a job, for which it may be too late. What cannot be read is as it was.

        Raises JobCancelled (409), Overtaken.
        """
        async with self._lock:
            if not self.now.has_ended:
                with suppress(StorageUnavailable):
                    self._take(await self._jobs.get(self.now.tenant_id, self.now.id))
            self._refuse_ended()

    def _refuse_ended(self) -> None:
        if self.now.has_ended:
            raise JobCancelled("The job was cancelled before it had a result.")

    def follow(self, written: Job) -> None:
        """What was written here by another way; a beat may have come after it."""
        if written.revision > self.now.revision:
            self.now = written

    def _take(self, found: Job) -> None:
        """Another has it when it is in the name of neither this worker nor the one before it, as that was left."""
        known = (self.now.worker, self.now.alive_until_s)
        is_anothers = found.worker not in (None, self._worker) and (found.worker, found.alive_until_s) != known
        if is_anothers and not found.has_ended:
            raise Overtaken
        self.now = found

    def beating(self) -> AbstractAsyncContextManager[None]:
        """While it is worked on the record says so again and again."""
        return meanwhile(self._beat())

    async def _beat(self) -> None:
        """Whoever finds that it is too late for a beat finds it at his next change as well."""
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                if not await self._is_said():
                    return
            except Overtaken:
                return
            except GatewayError:
                continue

    async def _is_said(self) -> bool:
        """Also of one that was cancelled, as long as it has to be told what that has cost."""
        async with self._lock:
            for _ in range(TRIES):
                if self.now.has_ended and not self.now.is_watched:
                    return False
                if await self._is_written({}):
                    break
        return True
