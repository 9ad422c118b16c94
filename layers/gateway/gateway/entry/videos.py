"""The videos function: /v1/videos."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import parse_qsl

from gateway.entry.door import Operation, attend, begun, with_orders
from gateway.entry.http import App, Arrival, Receive, Responder, Scope, Send
from gateway.entry.job_answer import answer_job
from gateway.entry.limit_headers import limit_headers
from gateway.model.errors import InvalidRequest, MethodNotAllowed, RouteNotFound
from gateway.model.job import Job, is_job_id
from gateway.model.video import VideoDeleted
from gateway.pipeline import videos
from gateway.pipeline.authenticate import attributed, caller_of, usable
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.form_as_job import form_as_job
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.job_respond import place_headers
from gateway.pipeline.tenant_videos import TenantVideos
from gateway.pipeline.video_respond import video, video_list
from gateway.pipeline.videos import EVERY_S
from gateway.ports import World

ROUTE = "/v1/videos"
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
Handling: TypeAlias = Callable[["_Asked"], Awaitable[None]]


def every_s() -> float:
    """How long it takes until a provider is asked for the same video again, by the function's environment."""
    return float(os.environ.get("GATEWAY_VIDEO_LOOK_SECONDS", EVERY_S))


def videos_app(world: World, every_s: float = EVERY_S) -> App:
    async def answer(inbound: Inbound, exchange: Exchange, responder: Responder) -> None:
        job = await videos.run(inbound, exchange, world, every_s)
        if exchange.is_async:
            return await answer_job(job, exchange, responder)
        status, place = 200, {}
        if exchange.is_out_of_time:
            status, place = 202, place_headers(job, ROUTE, is_preferred=False)
        headers = {**limit_headers(exchange.ticket), **_poll_after(job, every_s), **place}
        await responder.json(status, await video(job, world.files), headers)

    async def known(scope: Scope, _receive: Receive, send: Send) -> None:
        arrival = Arrival.of(scope)
        # It counts in no limit: a video that runs takes a place itself, and looking at it must not need another.
        exchange = begun("videos", arrival, world.clock, asks_model=False)

        async def handle(responder: Responder) -> None:
            await _handled(scope, arrival, exchange, responder, world, every_s)

        await attend(exchange, arrival, send, handle, world)

    return with_orders(Operation("videos", ROUTE, answer, as_job=form_as_job), known, world)


async def _handled(
    scope: Scope, arrival: Arrival, exchange: Exchange, responder: Responder, world: World, every_s: float
) -> None:
    handle, video_id = _route(scope["path"], scope["method"])
    exchange.operation, exchange.is_quiet = f"videos.{handle.__name__}", handle in _ONLY_LOOKING
    if is_job_id(video_id):
        exchange.about["video_id"] = video_id
    caller = await caller_of(arrival.headers.get("authorization"), world)
    known = await world.access.read(caller)
    exchange.principal = attributed(known, caller)
    principal = usable(known, caller, "videos", world.clock.now_s())
    found = TenantVideos(principal.tenant.id, world, every_s)
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    await handle(_Asked(found, video_id, query, responder, world, every_s))


class _Asked:
    """One request about videos that were begun before."""

    def __init__(
        self,
        found: TenantVideos,
        video_id: str,
        query: dict[str, str],
        responder: Responder,
        world: World,
        every_s: float,
    ) -> None:
        self._found, self._id, self._query = found, video_id, query
        self._responder, self._world, self._every_s = responder, world, every_s

    async def retrieve(self) -> None:
        self._know()
        job = await self._found.find(self._id)
        await self._responder.json(200, await video(job, self._world.files), _poll_after(job, self._every_s))

    async def list(self) -> None:
        self._know("limit", "after", "order")
        if self._query.get("order", "desc") != "desc":
            raise InvalidRequest("Videos are listed newest first: order is desc.", param="order")
        after = self._query.get("after")
        if after is not None and not is_job_id(after):
            raise InvalidRequest("after is not the id of a video.", param="after")
        await self._responder.json(200, video_list(await self._found.page(self._limit(), after)))

    async def content(self) -> None:
        self._know("variant")
        link = await self._found.content(self._id, self._query.get("variant", "video"))
        await self._responder.start(302, {"location": link.url, "cache-control": "no-store", "content-length": "0"})
        await self._responder.write(b"", last=True)

    async def delete(self) -> None:
        self._know()
        await self._found.delete(self._id)
        await self._responder.json(200, VideoDeleted(id=self._id))

    def _know(self, *names: str) -> None:
        for name in self._query:
            if name not in names:
                raise InvalidRequest(f"Unknown parameter '{name}'.", param=name)

    def _limit(self) -> int:
        text = self._query.get("limit", str(DEFAULT_LIMIT))
        if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
            raise InvalidRequest(f"limit is a number from 1 to {MAX_LIMIT}.", param="limit")
        return int(text)


_HANDLERS: dict[tuple[str, str], Handling] = {
    ("", "GET"): _Asked.list,
    ("one", "GET"): _Asked.retrieve,
    ("one", "DELETE"): _Asked.delete,
    ("content", "GET"): _Asked.content,
}
_ONLY_LOOKING = (_Asked.list, _Asked.retrieve)
"""Clients do it every few seconds, so nothing is told of it."""


def _route(path: str, method: str) -> tuple[Handling, str]:
    """Raises RouteNotFound (404), MethodNotAllowed (405)."""
    kind, video_id = _place(path)
    known = {method for name, method in _HANDLERS if name == kind}
    if not known:
        raise RouteNotFound(f"No such route: {path}.")
    if method not in known:
        raise MethodNotAllowed(f"{path} takes {' and '.join(sorted(known | ({'POST'} if not kind else set())))}.")
    return _HANDLERS[kind, method], video_id


def _place(path: str) -> tuple[str, str]:
    """Which of the kinds of routes above, "?" for none of them, and the id in it."""
    if path == ROUTE:
        return "", ""
    video_id, slash, last = path.removeprefix(f"{ROUTE}/").partition("/")
    if not path.startswith(f"{ROUTE}/") or not video_id:
        return "?", ""
    return (last or "?") if slash else "one", video_id


def _poll_after(job: Job, every_s: float) -> dict[str, str]:
    """What the SDK's `poll` obeys."""
    return {} if job.has_ended else {"openai-poll-after-ms": str(int(every_s * 1000))}
