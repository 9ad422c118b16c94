"""ASGI lifespan: startup only. Lambda ends a process without asking, so there is no shutdown to announce.

Source: https://asgi.readthedocs.io/en/latest/specs/lifespan.html
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.entry.runtime.failure import describe, log
from gateway.entry.runtime.handler import AsgiApp, Message


class StartupFailed(Exception):
    """The app announced that it cannot start."""


class Lifespan:
    """Holds the app's lifespan call open for as long as the process lives."""

    def __init__(self, app: AsgiApp) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._announced = False
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._call: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Returns when the app is ready, or has shown that it does not take part. Raises StartupFailed."""
        self._call = asyncio.create_task(self._run())
        await self._started

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:  # the specification's way for an app to say that it has no lifespan
            log("INFO", "lifespan_ended", error=describe(error))
        finally:
            if not self._started.done():
                self._started.set_result(None)

    async def _receive(self) -> Message:
        if self._announced:
            await asyncio.get_running_loop().create_future()
        self._announced = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: Message) -> None:
        if self._started.done():
            return
        if message["type"] == "lifespan.startup.complete":
            self._started.set_result(None)
        elif message["type"] == "lifespan.startup.failed":
            self._started.set_exception(StartupFailed(message.get("message", "")))
