"""Videos that simulated providers make: unfinished for some looks, then there, or failed if the prompt says so."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from local.simulators import mp4
from local.simulators.http1 import Request
from local.simulators.switches import Switches
from local.simulators.wire import Headers, Json

MAX_VIDEOS = 200
PAGE = b"<html><body><h1>Simulated page</h1></body></html>\n"
State = Literal["waiting", "running", "done", "failed", "moderated"]


@dataclass(slots=True)
class MadeVideo:
    """`looks`: how many more find it unfinished. `ends`: what becomes of it, None for a video. `calls_s`: after so long
    it is finished, however often it is looked at, and its provider says so.
    """

    id: str
    width: int
    height: int
    seconds: int
    looks: int
    all_looks: int
    padding_bytes: int = 0
    ends: str | None = None
    cancelled: bool = False
    calls_s: float | None = None

    @property
    def percent(self) -> int:
        return 100 * (self.all_looks - self.looks) // (self.all_looks + 1)

    def looked_at(self) -> State:
        """A look may find that it is finished."""
        if self.calls_s is not None:
            return "running"
        if self.looks > 0 or self.ends == "stuck":
            self.looks -= self.ends != "stuck"
            return "waiting" if self.looks + 1 == self.all_looks and self.all_looks > 1 else "running"
        return "failed" if self.ends == "failed" else "moderated" if self.ends == "moderated" else "done"

    async def finished(self) -> None:
        """When it is time to say so."""
        await asyncio.sleep(self.calls_s or 0)
        self.calls_s, self.looks = None, 0

    def content(self) -> tuple[int, Headers, bytes]:
        if self.ends == "gone":
            return 404, [("content-type", "text/plain")], b"nothing here"
        if self.ends == "page":
            return 200, [("content-type", "text/html")], PAGE
        data = mp4.video(self.width, self.height, self.seconds, padding_bytes=self.padding_bytes)
        return 200, [("content-type", "video/mp4")], data


@dataclass(slots=True)
class VideoStore:
    """Videos of all providers, by id."""

    videos: OrderedDict[str, MadeVideo] = field(default_factory=OrderedDict)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, width: int, height: int, seconds: int, switches: Switches) -> MadeVideo:
        name, padding = f"simvideo{next(self.numbers):08d}", switches.video_kb * 1024
        made = MadeVideo(name, width, height, seconds, switches.looks, switches.looks, padding, switches.video)
        made.calls_s = switches.calls_s
        self.videos[name] = made
        while len(self.videos) > MAX_VIDEOS:
            self.videos.popitem(last=False)
        return made

    def find(self, name: str) -> MadeVideo | None:
        """None when it was never there, was cancelled, or is no longer."""
        found = self.videos.get(name)
        return None if found is None or found.cancelled else found


VIDEOS = VideoStore()


def answer(path: str) -> tuple[int, Headers, bytes]:
    """What stands at `/_media/videos/<id>.mp4`, for everybody."""
    found = VIDEOS.find(path.removesuffix(".mp4"))
    return (404, [("content-type", "text/plain")], b"nothing here") if found is None else found.content()


def public_url(made: MadeVideo, request: Request) -> str:
    return f"http://{request.headers.get('host', '')}/_media/videos/{made.id}.mp4"


def noted(made: MadeVideo, state: str) -> Json:
    """For the request log."""
    return {"id": made.id, "state": state}
