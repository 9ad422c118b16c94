"""/v1/videos in memory, with a provider that says what the test wants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from gateway.entry.videos import ROUTE, videos_app
from gateway.model.catalog import ModelFacts, UnitPrice, VideoFacts, VideoSize
from gateway.model.http import HttpRequest, HttpResponse, Sending
from gateway.model.provider_errors import ProviderError
from gateway.model.record import AuditEvent, UsageRecord
from gateway.ports import World
from tests.asgi import Answer, call
from tests.fakes import (
    FixedDownloads,
    ListEvents,
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    MemoryFiles,
    MemoryJobs,
    key_hash,
    note_sent,
    principal,
    world_of,
)
from tests.unit.conftest import KEY, TENANT
from tests.unit.facts.contract import component, problems

EVERY_S = 5.0
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + bytes(1000)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
URL = "https://vidgen.example/a.mp4"
SIZES = (
    VideoSize(size="1280x720", resolution="720p", aspect_ratio="16:9"),
    VideoSize(size="1920x1080", resolution="1080p", aspect_ratio="16:9", seconds=(8,)),
)
PRICES = (
    UnitPrice(unit="video_ms", pico_usd=70_000_000_000, per=1000, variant="720p"),
    UnitPrice(unit="video_ms", pico_usd=100_000_000_000, per=1000, variant="1080p"),
    UnitPrice(unit="images", pico_usd=2_000_000_000),
)


def facts(name: str, picture: Any = "optional", **members: Any) -> ModelFacts:
    made = VideoFacts(sizes=SIZES, seconds=(4, 8), default_seconds=4, picture=picture)
    return ModelFacts(id=name, name=name, api="videos", source="x", **{"unit_prices": PRICES, "video": made, **members})


MODELS = {
    "xai": {
        "film": facts("film"),
        "mute": facts("mute", "none"),
        "free": facts("free", unit_prices=()),
        "odd": facts("odd", video=None),
        "chat": ModelFacts(id="chat", name="chat", source="x"),
    },
    "runway": {"clip": facts("clip"), "needy": facts("needy", "required")},
    "google": {"veo": facts("veo")},
}


@dataclass
class Whole:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 300):
            yield self.body[start : start + 300]

    async def whole(self) -> HttpResponse:
        return HttpResponse(self.status, self.headers, self.body)


def said(http_status: int, /, **members: Any) -> Whole:
    return Whole(http_status, json.dumps(members).encode())


PENDING = said(202, status="pending", progress=40)
DONE = said(200, status="done", video={"url": URL, "duration": 4, "respect_moderation": True}, progress=100)
UNREACHED = ProviderError("The connection to the provider failed.")


@dataclass
class Provider:
    """`begins`, `looks`: what it says to a request for a video, and to each look at it, the last one for ever."""

    begins: Whole | Exception = field(default_factory=lambda: said(200, request_id="r-1"))
    looks: list[Whole | Exception] = field(default_factory=lambda: [PENDING, DONE])
    before: Callable[[HttpRequest], Any] | None = None
    sent: list[HttpRequest] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Whole]:
        self.sent.append(request)
        if self.begins is not UNREACHED:
            note_sent(sending)
        if self.before is not None:
            await self.before(request)
        if request.method == "POST":
            answer = self.begins
        else:
            answer = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(answer, Exception):
            raise answer
        yield answer

    @property
    def looked(self) -> int:
        return sum(request.method == "GET" for request in self.sent)


@dataclass
class Gateway:
    world: World
    provider: Provider
    access: MemoryAccess
    files: MemoryFiles
    jobs: MemoryJobs
    downloads: FixedDownloads
    clock: ManualClock

    async def create(self, headers: dict[str, str] | None = None, /, **body: Any) -> Answer:
        sent = json.dumps({"model": "xai/film", "prompt": "waves", **body}).encode()
        return await self.post(sent, "application/json", headers)

    async def post(self, body: bytes, content_type: str, more: dict[str, str] | None = None) -> Answer:
        headers = {"authorization": f"Bearer {KEY}", "content-type": content_type, **(more or {})}
        return await call(self.app, body, headers, path=ROUTE)

    async def begun(self, **body: Any) -> str:
        answer = await self.create(**body)
        assert answer.status == 200, answer.json
        video_id: str = answer.json["id"]
        return video_id

    async def get(self, path: str = "", *, later: bool = True, method: str = "GET") -> Answer:
        """After the time in which a look is good enough, unless it is not `later`."""
        if later:
            self.clock.unix_s += EVERY_S
        answer = await call(self.app, b"", {"authorization": f"Bearer {KEY}"}, method=method, path=f"{ROUTE}{path}")
        if answer.status not in (302,):
            schema = "ErrorEnvelope" if answer.status >= 400 else _schema(path, method)
            assert problems(component(schema), answer.json) == []
        return answer

    async def finished(self, video_id: str) -> Any:
        for _ in range(10):
            video = (await self.get(f"/{video_id}")).json
            if video["status"] in ("completed", "failed"):
                return video
        raise AssertionError(video)

    def allow(self, **tenant: Any) -> None:
        self.access.held[key_hash(KEY)] = principal(msgspec.structs.replace(TENANT, **{"approvals": ("*",), **tenant}))

    @property
    def told(self) -> list[Any]:
        assert isinstance(self.world.events, ListEvents)
        return self.world.events.told

    @property
    def usage(self) -> list[UsageRecord]:
        return [told for told in self.told if isinstance(told, UsageRecord)]

    @property
    def audit(self) -> list[str]:
        """Names of events of videos themselves, each told once."""
        events = [told for told in self.told if isinstance(told, AuditEvent) and told.of]
        return list({told.id: told.event for told in events if told.of and told.of.operation == "videos"}.values())

    async def held(self) -> tuple[int, int, int]:
        """Of the tenant: videos that are made, nano-USD that are committed this month, and those that are settled."""
        numbers = (await self.world.ledger.read("T#acme#0")).numbers
        found = {name[0]: value for name, value in numbers.items() if len(name) in (1, 8)}
        return found.get("j", 0), found.get("c", 0), found.get("s", 0)

    @property
    def app(self) -> Any:
        return videos_app(self.world, EVERY_S)


def _schema(path: str, method: str) -> str:
    if method == "DELETE":
        return "VideoDeleted"
    return "Video" if path.startswith("/") else "VideoList"


@pytest.fixture
def gateway() -> Gateway:
    return gateway_of_videos()


def gateway_of_videos() -> Gateway:
    access, provider = MemoryAccess(), Provider()
    world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers by what it is asked
    files, jobs, downloads, clock = world.files, world.jobs, world.downloads, world.clock
    assert isinstance(files, MemoryFiles)
    assert isinstance(jobs, MemoryJobs)
    assert isinstance(downloads, FixedDownloads)
    assert isinstance(clock, ManualClock)
    downloads.there[URL] = [MP4[:500], MP4[500:]]
    made = Gateway(world, provider, access, files, jobs, downloads, clock)
    made.allow()
    return made


def form(fields: dict[str, str], **files: bytes) -> bytes:
    parts = [f'--b\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()]
    parts += [
        f'--b\r\ncontent-disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in files.items()
    ]
    return b"".join(parts) + b"--b--\r\n"


KEY_REFUSED = said(400, code="invalid-argument", error="Incorrect API key provided: xa***. You can obtain one.")


class Dying(ListEvents):
    async def send(self, told: Any) -> None:
        raise RuntimeError("dies")
