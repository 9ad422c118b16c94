"""What the deploy step tells the front port, and asks of it.

GET  /_front/health    {"status": "ok", "aws_endpoint_url", "routes", "environments"}
POST /_front/routes    local/routes.py says the form; kept over restarts
POST /_front/save      write the emulator's state to disk now
All POSTs need `content-type: application/json`, which a web page cannot send here without being refused first.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from local import request_body
from local.execution.reply import InvocationFailed
from local.patches.functions import FunctionRunner
from local.routes import BadRoutes, Routes, RoutesFile

PREFIX = "/_front/"
_POSTS: frozenset[tuple[str, str]] = frozenset({("POST", "routes"), ("POST", "save")})

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, dict[str, Any]]


class FrontControl:
    """`save` writes the emulator's state; `runner` starts environments ahead of the first call."""

    def __init__(
        self, *, routes: RoutesFile, runner: FunctionRunner, save: Callable[[], None], aws_endpoint_url: str
    ) -> None:
        self._routes, self._runner, self._save = routes, runner, save
        self._aws_endpoint_url = aws_endpoint_url
        self._warming: set[asyncio.Task[None]] = set()

    async def handle(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        status, answer = await self._answer(scope, receive)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def warm_up(self) -> None:
        """Start one environment of each function that the routes name, in the background."""
        for reference in self._routes.current.warm:
            task = asyncio.get_running_loop().create_task(self._prestart(reference))
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> Answer:
        call: tuple[str, str] = (scope["method"], scope["path"].removeprefix(PREFIX))
        if call == ("GET", "health"):
            return 200, self._health()
        if call not in _POSTS:
            return 404, {"message": f"{scope['method']} {scope['path']} is not a call of the front port"}
        if request_body.header_map(scope["headers"]).get("content-type", "") != "application/json":
            return 415, {"message": "content-type: application/json is needed"}
        body = await request_body.read(receive)
        if call[1] == "routes":
            return self._set_routes(body)
        self._save()
        return 200, {"saved": True}

    def _health(self) -> dict[str, Any]:
        return {
            "status": "ok",
            "aws_endpoint_url": self._aws_endpoint_url,
            "routes": self._routes.current.as_json(),
            "environments": self._runner.pool.counts(),
        }

    def _set_routes(self, body: bytes) -> Answer:
        try:
            self._routes.store(Routes.parse(json.loads(body)))
        except BadRoutes as error:
            return 400, {"message": str(error)}
        except ValueError:
            return 400, {"message": "the body is not JSON"}
        self.warm_up()
        return 200, {"routes": self._routes.current.as_json()}

    async def _prestart(self, reference: str) -> None:
        record = self._runner.find(reference, None, None)
        if record is None or not self._runner.runs(record):
            return
        try:
            await self._runner.pool.prestart(self._runner.spec(record))
        except InvocationFailed:
            return  # the pool has logged why; whoever calls the function is told as well
