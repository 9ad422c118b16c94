"""/v1/videos in memory: begun, looked at, stored, paid and told once; refused, failed, deleted, left alone."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.entry.videos import ROUTE, videos_app
from gateway.model.catalog import ModelFacts, UnitPrice, VideoFacts, VideoSize
from gateway.model.errors import StorageUnavailable
from gateway.model.file import GENERATED_KEPT_S, File
from gateway.model.hook import Hook
from gateway.model.http import HttpRequest, HttpResponse, Sending
from gateway.model.job import LONGEST_S, TOMBSTONE_S
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.provider_errors import ProviderError
from gateway.model.record import AuditEvent, BudgetAlert, UsageRecord
from gateway.model.tenant import Tenant, User
from gateway.model.webhook import Webhook
from gateway.ports import World
from tests.asgi import Answer, call
from tests.fakes import (
    FixedDownloads,
    ListEvents,
    ListRecords,
    ManualClock,
    MemoryAccess,
    MemoryCatalog,
    MemoryFiles,
    MemoryJobs,
    ScriptedHooks,
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


async def test_a_video_is_begun_looked_at_stored_and_downloaded(gateway: Gateway) -> None:
    begun = await gateway.create(seconds="4", size="1280x720", metadata={"conversation_id": "c-1"})
    video = begun.json
    assert problems(component("Video"), video) == []
    assert (begun.status, video["object"], video["status"], video["model"]) == (200, "video", "queued", "xai/film")
    assert (video["seconds"], video["size"], video["progress"], video["usage"]) == ("4", "1280x720", 0, None)
    assert begun.headers["openai-poll-after-ms"] == "5000"

    running = await gateway.get(f"/{video['id']}")
    assert (running.json["status"], running.json["progress"]) == ("in_progress", 40)
    assert running.headers["openai-poll-after-ms"] == "5000"

    done = await gateway.get(f"/{video['id']}")
    assert "openai-poll-after-ms" not in done.headers
    assert (done.json["status"], done.json["progress"], done.json["error"]) == ("completed", 100, None)
    assert done.json["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": 0.28}
    told = done.json["gateway"]
    assert (told["content_type"], told["size_bytes"], told["provider"]) == ("video/mp4", len(MP4), "xai")
    assert done.json["expires_at"] == done.json["completed_at"] + GENERATED_KEPT_S

    stored = await gateway.files.get("acme", told["file_id"], 10_000)
    assert stored.data == MP4
    file = await gateway.files.head("acme", told["file_id"])
    assert file.origin is not None
    assert (file.origin.model, file.origin.request_id) == ("xai/film", begun.headers["x-gateway-request-id"])
    content = await gateway.get(f"/{video['id']}/content")
    assert (content.status, content.headers["location"], content.body) == (302, told["url"], b"")
    assert (gateway.provider.looked, gateway.downloads.opened) == (2, [URL])


async def test_it_is_told_and_paid_once_at_its_end(gateway: Gateway) -> None:
    budget = Budget(models="*", window="month", usd=Decimal(1))
    gateway.allow(allowance=Allowance(budgets=(budget,), alerts=(20,)))
    video_id = await gateway.begun(metadata={"conversation_id": "c-1"})
    assert (gateway.usage, gateway.audit) == ([], ["request.started"])
    assert await gateway.held() == (1, 280_000_000, 0)

    await gateway.finished(video_id)
    for _ in range(3):
        await gateway.get(f"/{video_id}")
    (record,) = gateway.usage
    assert (record.outcome, record.attempt, record.model, record.model_requested) == ("ok", 1, "xai/film", "xai/film")
    assert (record.units, record.cost_nano_usd) == ({"video_ms:720p": 4000}, 280_000_000)
    assert (record.of.operation, record.of.job_id, record.of.conversation_id) == ("videos", video_id, "c-1")
    assert (record.of.user_id, record.of.key_id) == ("alice", "key_1")
    assert gateway.audit == ["request.started", "request.completed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
    (alert,) = [told for told in gateway.told if isinstance(told, BudgetAlert)]
    assert (alert.level, alert.percent, alert.spent_nano_usd) == ("tenant", 20, 280_000_000)


async def test_the_user_it_was_made_for_is_paid_for_by_whoever_asks(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    own = Allowance(budgets=(Budget(models="*", window="month", usd=Decimal(1)),), alerts=(10,))
    gateway.access.users["acme", "alice"] = User(id="alice", allowance=own)
    bob = principal(msgspec.structs.replace(TENANT, approvals=("*",)), "bob", scopes=("*", "assert_user"))
    gateway.access.held[key_hash(KEY)] = bob
    await gateway.finished(video_id)
    assert [record.of.user_id for record in gateway.usage] == ["alice"]
    assert [(told.level, told.user_id) for told in gateway.told if isinstance(told, BudgetAlert)] == [("user", "alice")]


async def test_a_look_is_good_for_a_while(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    for _ in range(3):
        await gateway.get(f"/{video_id}", later=False)
    assert gateway.provider.looked == 0
    await gateway.get(f"/{video_id}")
    await gateway.get(f"/{video_id}", later=False)
    assert gateway.provider.looked == 1


async def test_of_many_who_ask_at_once_one_looks_and_stores(gateway: Gateway) -> None:
    video_id, entered, go_on = await gateway.begun(), asyncio.Event(), asyncio.Event()
    gateway.provider.looks = [DONE]

    async def wait(_: HttpRequest) -> None:
        entered.set()
        await go_on.wait()

    gateway.provider.before = wait
    first = asyncio.create_task(gateway.get(f"/{video_id}"))
    async with asyncio.timeout(5):
        await entered.wait()
        others = [(await gateway.get(f"/{video_id}")).json["status"] for _ in range(3)]
        go_on.set()
        assert (await first).json["status"] == "completed"
    assert others == ["queued"] * 3
    assert (gateway.provider.looked, len(gateway.files.whole), len(gateway.usage)) == (1, 1, 1)


async def test_a_look_that_died_is_followed_by_another(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    gateway.provider.looks = [RuntimeError("dies"), DONE]
    assert (await gateway.get(f"/{video_id}")).status == 500
    assert (await gateway.get(f"/{video_id}")).json["status"] == "queued"
    gateway.clock.unix_s += 400
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"


async def test_it_can_be_waited_for(gateway: Gateway) -> None:
    gateway.provider.looks = [PENDING, PENDING, PENDING, DONE]
    answer = await gateway.create(**{"async": False})
    assert (answer.json["status"], answer.json["gateway"]["size_bytes"]) == ("completed", len(MP4))
    assert gateway.clock.slept == [5.0, 7.5, 11.25, 16.875]
    assert [record.outcome for record in gateway.usage] == ["ok"]
    assert gateway.audit == ["request.started", "request.completed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_who_waits_too_long_is_told_how_far_it_is(gateway: Gateway) -> None:
    gateway.provider.looks = [PENDING]
    answer = await gateway.create(**{"async": False})
    assert (answer.status, answer.json["object"], answer.json["status"]) == (202, "video", "in_progress")
    assert answer.headers["location"] == f"jobs/{answer.json['id']}"
    assert {"retry-after", "openai-poll-after-ms"} <= answer.headers.keys()
    assert "preference-applied" not in answer.headers
    assert sum(gateway.clock.slept) <= 210
    short = await gateway.create(**{"async": False, "timeouts": {"total_ms": 6000}})
    assert (short.status, short.json["status"]) == (202, "in_progress")
    slept_s = sum(gateway.clock.slept)
    preferring = await gateway.create({"prefer": "wait=20"}, **{"async": False})
    assert preferring.status == 202
    assert sum(gateway.clock.slept) - slept_s <= 20


class Endless(FixedDownloads):
    async def _pieces(self, pieces: list[bytes | Exception]) -> AsyncIterator[bytes]:
        yield MP4
        await asyncio.Event().wait()


async def test_a_video_that_cannot_be_stored_by_the_deadline_of_the_answer_is_stored_later(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.pipeline.tenant_videos.ANSWER_S", 0.05)
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]
    there, gateway.world = gateway.downloads, replace(gateway.world, downloads=Endless(gateway.downloads.there))
    async with asyncio.timeout(5):
        answer = await gateway.get(f"/{video_id}")
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    gateway.world = replace(gateway.world, downloads=there)
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"


async def test_who_waits_for_a_video_that_cannot_be_stored_in_time_is_told_which_it_is(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error would have the client begin another one."""
    monkeypatch.setattr("gateway.pipeline.exchange.ANSWER_S", EVERY_S + 0.05)
    gateway.provider.looks = [DONE]
    there, gateway.world = gateway.downloads, replace(gateway.world, downloads=Endless(gateway.downloads.there))
    async with asyncio.timeout(5):
        answer = await gateway.create(**{"async": False})
    assert (answer.status, answer.json["status"]) == (202, "queued")
    gateway.world = replace(gateway.world, downloads=there)
    assert (await gateway.finished(answer.json["id"]))["status"] == "completed"


async def test_storage_that_comes_back_is_waited_for(gateway: Gateway) -> None:
    files = FullStorage(gateway.clock)
    gateway.world, gateway.files = replace(gateway.world, files=files), files
    gateway.provider.looks = [DONE]

    async def restore(request: HttpRequest) -> None:
        files.is_full = gateway.provider.looked < 2

    gateway.provider.before = restore
    answer = await gateway.create(**{"async": False})
    assert (answer.status, answer.json["status"]) == (200, "completed")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"prompt": ""}, 400, "validation_error", "prompt"),
        ({"prompt": None}, 400, "validation_error", "prompt"),
        ({"model": 1}, 400, "validation_error", "model"),
        ({"model": "xai/none"}, 404, "model_not_found", "model"),
        ({"model": "xai/chat"}, 400, "capability_not_supported", "model"),
        ({"model": "xai/odd"}, 400, "capability_not_supported", "model"),
        ({"seconds": "0"}, 400, "validation_error", "seconds"),
        ({"seconds": "4.5"}, 400, "validation_error", "seconds"),
        ({"seconds": 5}, 400, "validation_error", "seconds"),
        ({"seconds": "4", "size": "1920x1080"}, 400, "validation_error", "seconds"),
        ({"size": "1792x1024"}, 400, "validation_error", "size"),
        ({"size": "big"}, 400, "validation_error", "size"),
        ({"style": "anime"}, 400, "validation_error", "style"),
        ({"metadata": {"conversation_id": "ä"}}, 400, "validation_error", "metadata.conversation_id"),
        ({"fallback": {"models": ["a"]}}, 404, "model_not_found", "fallback.models[0]"),
        ({"input_reference": {}}, 400, "validation_error", "input_reference"),
        ({"input_reference": {"file_id": "a", "image_url": "b"}}, 400, "validation_error", "input_reference"),
        ({"input_reference": {"file_id": "file_1"}}, 422, "media_not_found", "input_reference"),
        ({"input_reference": {"image_url": "https://gone.example"}}, 422, "media_not_found", "input_reference"),
        ({"input_reference": {"image_url": "data:image/png,x"}}, 400, "validation_error", "input_reference"),
        ({"input_reference": {"image_url": "data:image/png;base64,%%"}}, 400, "validation_error", "input_reference"),
        (
            {"input_reference": {"image_url": "data:image/png;base64,aGVsbG8="}},
            400,
            "validation_error",
            "input_reference",
        ),
        (
            {"model": "xai/mute", "input_reference": {"file_id": "x"}},
            400,
            "capability_not_supported",
            "input_reference",
        ),
        ({"model": "runway/needy"}, 400, "validation_error", "input_reference"),
        (
            {"provider_options": {"xai": {"duration": 15}}},
            400,
            "capability_not_supported",
            "provider_options.xai.duration",
        ),
        (
            {"provider_options": {"xai": {"reference_images": [{"url": "https://a.example/1.png"}]}}},
            400,
            "capability_not_supported",
            "provider_options.xai.reference_images",
        ),
    ],
)
async def test_bad_input_is_named_and_costs_nothing(
    gateway: Gateway, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    answer = await gateway.create(**body)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (status, code, param), error
    assert gateway.provider.sent == []
    assert sum(record.cost_nano_usd or 0 for record in gateway.usage) == 0
    assert await gateway.held() == (0, 0, 0)


async def test_bodies_that_are_none(gateway: Gateway) -> None:
    refused = [
        (b"{", "application/json", 400),
        (b"x", "text/plain", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=b", 400),
        (form({"prompt": "a"}, other=PNG), "multipart/form-data; boundary=b", 400),
        (form({"prompt": "a", "prompt[x]": "b"}), "multipart/form-data; boundary=b", 400),
        (form({f"f{number}": "a" for number in range(70)}), "multipart/form-data; boundary=b", 400),
        (form({"prompt": "a"}), "multipart/form-data; boundary=b", 400),
    ]
    for body, content_type, status in refused:
        answer = await gateway.post(body, content_type)
        assert (answer.status, "error" in answer.json) == (status, True), answer.json
    assert gateway.jobs.held == {}


def form(fields: dict[str, str], **files: bytes) -> bytes:
    parts = [f'--b\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()]
    parts += [
        f'--b\r\ncontent-disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in files.items()
    ]
    return b"".join(parts) + b"--b--\r\n"


async def test_a_form_says_the_same_as_json(gateway: Gateway) -> None:
    fields = {"model": "xai/film", "prompt": "wäves", "seconds": "8", "size": "1920x1080"}
    fields |= {"metadata[conversation_id]": "c-1"}
    answer = await gateway.post(form(fields, input_reference=PNG), "multipart/form-data; boundary=b")
    assert answer.status == 200, answer.json
    assert (answer.json["seconds"], answer.json["size"]) == ("8", "1920x1080")
    body = json.loads(gateway.provider.sent[0].body)
    assert (body["prompt"], body["duration"], body["resolution"]) == ("wäves", 8, "1080p")
    assert body["image"]["url"].startswith("data:image/png;base64,iVBOR")


async def test_a_picture_may_be_a_file_of_the_tenant_and_is_paid_for(gateway: Gateway) -> None:
    file = File("file_" + "0" * 9 + "v" + "0" * 16, "a.png", "image/png", len(PNG))
    await gateway.files.put("acme", file, PNG)
    gateway.clock.unix_s = 0.0  # files of that id are old
    answer = await gateway.create(input_reference={"file_id": file.id})
    assert answer.status == 200, answer.json
    assert await gateway.held() == (1, 282_000_000, 0)


async def test_a_model_that_has_no_length_of_its_own_for_a_size_takes_the_sizes(gateway: Gateway) -> None:
    assert (await gateway.create(size="1920x1080")).json["seconds"] == "8"


async def test_a_budget_that_does_not_cover_it_refuses_it(gateway: Gateway) -> None:
    gateway.allow(allowance=Allowance(budgets=(Budget(models="*", window="month", usd=Decimal("0.279999999")),)))
    answer = await gateway.create()
    assert (answer.status, answer.json["error"]["code"]) == (402, "budget_exceeded")
    assert gateway.provider.sent == []
    unpriced = await gateway.create(model="xai/free")
    assert (unpriced.status, unpriced.json["error"]["code"]) == (400, "price_unknown")


async def test_videos_that_are_made_count_as_jobs(gateway: Gateway) -> None:
    gateway.allow(allowance=Allowance(limits=(Limits(models="*", concurrent_jobs=1),)))
    video_id = await gateway.begun()
    assert (await gateway.create()).status == 429
    await gateway.finished(video_id)
    gateway.provider.looks = [DONE]
    assert (await gateway.create()).status == 200


@pytest.mark.parametrize(
    ("answer", "status", "code", "cost"),
    [
        (said(400, code="invalid-argument", error="no such pose"), 400, "validation_error", 0),
        (said(404), 404, "model_not_found", 0),
        (said(429), 429, "rate_limited", 0),
        (said(503), 502, "provider_error", 0),
        (Whole(200, b"<html>"), 502, "provider_error", 280_000_000),
        (UNREACHED, 502, "provider_error", 0),
        (ProviderError("The connection to the provider failed."), 502, "provider_error", 280_000_000),
        (TimeoutError(), 504, "provider_timeout", 280_000_000),
    ],
)
async def test_a_provider_that_does_not_begin(
    gateway: Gateway, answer: Whole | Exception, status: int, code: str, cost: int
) -> None:
    gateway.provider.begins = answer
    refused = await gateway.create()
    assert (refused.status, refused.json["error"]["code"]) == (status, code)
    assert await gateway.held() == (0, cost, cost)
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("error", cost)]
    assert gateway.audit[0] == "request.started"
    assert len(gateway.audit) == 2
    (listed,) = (await gateway.get("")).json["data"]
    assert (listed["status"], listed["error"]["code"]) == ("failed", code)


@pytest.mark.parametrize(
    ("answer", "code", "part"),
    [
        (said(200, status="failed", error={"code": "internal", "message": "out of luck"}), "provider_error", "luck"),
        (said(200, status="failed", error="sorry", usage={"cost_in_usd_ticks": 0}), "provider_error", "sorry"),
    ],
)
async def test_a_video_that_fails_costs_nothing_and_says_why(
    gateway: Gateway, answer: Whole, code: str, part: str
) -> None:
    gateway.provider.looks = [answer]
    video_id = await gateway.begun()
    video = await gateway.finished(video_id)
    assert (video["status"], video["error"]["code"], part in video["error"]["message"]) == ("failed", code, True)
    assert video["usage"] == {"units": {}, "cost_estimate": 0.0}
    assert await gateway.held() == (0, 0, 0)
    assert gateway.audit == ["request.started", "request.failed"]
    content = await gateway.get(f"/{video_id}/content")
    assert (content.status, content.json["error"]["param"]) == (400, "video_id")


@pytest.mark.parametrize(
    ("model", "answer", "code", "part", "cost"),
    [
        ("xai/film", said(200, status="expired"), "provider_error", "no video", 280_000_000),
        ("xai/film", said(200, status="done"), "provider_error", "without", 280_000_000),
        (
            "xai/film",
            said(200, status="done", video={"url": None, "respect_moderation": False}),
            "validation_error",
            "moderation",
            280_000_000,
        ),
        (
            "xai/film",
            said(
                200,
                status="done",
                video={"url": "", "respect_moderation": False},
                usage={"cost_in_usd_ticks": 500_000_001},
            ),
            "validation_error",
            "moderation",
            50_000_001,
        ),
        (
            "runway/clip",
            said(200, status="FAILED", failure="no", failureCode="SAFETY.OUTPUT.VIDEO"),
            "validation_error",
            "no",
            280_000_000,
        ),
    ],
)
async def test_a_video_that_fails_and_is_charged_is_paid(
    gateway: Gateway, model: str, answer: Whole, code: str, part: str, cost: int
) -> None:
    gateway.provider.begins = said(200, request_id="r-1", id="r-1")
    gateway.provider.looks = [answer]
    video = await gateway.finished(await gateway.begun(model=model))
    assert (video["status"], video["error"]["code"], part in video["error"]["message"]) == ("failed", code, True)
    assert video["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": cost / 10**9}
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("error", cost)]
    assert await gateway.held() == (0, cost, cost)


async def test_what_the_provider_says_that_it_charges_is_paid_whoever_tells_it(gateway: Gateway) -> None:
    done = {"status": "done", "video": {"url": URL, "duration": 4}, "usage": {"cost_in_usd_ticks": 9_000_000_000}}
    gateway.provider.looks = [said(200, **done)]
    video_id = await gateway.begun()
    events, gateway.world = gateway.world.events, replace(gateway.world, events=Dying())
    assert (await gateway.get(f"/{video_id}")).status == 500
    gateway.world = replace(gateway.world, events=events)
    gateway.clock.unix_s += 60
    video = (await gateway.get(f"/{video_id}")).json
    assert video["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": 0.9}
    assert [record.cost_nano_usd for record in gateway.usage] == [900_000_000]
    assert await gateway.held() == (0, 900_000_000, 900_000_000)


KEY_REFUSED = said(400, code="invalid-argument", error="Incorrect API key provided: xa***. You can obtain one.")


@pytest.mark.parametrize(
    "answer",
    [
        said(500),
        said(429),
        said(401),
        said(400, error="odd"),
        said(422),
        KEY_REFUSED,
        Whole(200, b"<"),
        ProviderError("gone"),
    ],
)
async def test_a_look_that_finds_nothing_out_is_repeated(gateway: Gateway, answer: Whole | Exception) -> None:
    gateway.provider.looks = [answer, DONE]
    video_id = await gateway.begun()
    assert (await gateway.get(f"/{video_id}")).json["status"] == "queued"
    assert isinstance(gateway.world.records, ListRecords)
    assert [trouble["event"] for trouble in gateway.world.records.troubles] == ["job.not_looked_at"]
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"


@pytest.mark.parametrize("status", [404, 410])
async def test_a_provider_that_forgot_the_video_is_paid_all_the_same(gateway: Gateway, status: int) -> None:
    gateway.provider.looks = [said(status, code="not-found", error="unknown")]
    video = await gateway.finished(await gateway.begun())
    assert (video["status"], video["error"]["code"]) == ("failed", "provider_error")
    assert video["usage"]["cost_estimate"] == 0.28


class FullStorage(MemoryFiles):
    is_full = True

    async def put_stream(self, tenant_id: str, file: File, chunks: AsyncIterator[bytes]) -> int:
        if self.is_full:
            raise StorageUnavailable("full")
        return await super().put_stream(tenant_id, file, chunks)


async def test_storage_that_fails_is_told_and_tried_again(gateway: Gateway) -> None:
    files = FullStorage(gateway.clock)
    gateway.world, gateway.files = replace(gateway.world, files=files), files
    gateway.provider.looks = [DONE]
    video_id = await gateway.begun()
    full = await gateway.get(f"/{video_id}")
    assert (full.status, full.json["error"]["code"]) == (503, "storage_unavailable")
    assert (await gateway.get(f"/{video_id}", later=False)).json["status"] == "queued"
    assert gateway.usage == []
    files.is_full = False
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert [record.cost_nano_usd for record in gateway.usage] == [280_000_000]


async def test_storage_that_never_comes_back_does_not_make_it_free(gateway: Gateway) -> None:
    files = FullStorage(gateway.clock)
    gateway.world, gateway.files = replace(gateway.world, files=files), files
    gateway.provider.looks = [DONE]
    video_id = await gateway.begun()
    await gateway.get(f"/{video_id}")
    gateway.clock.unix_s += LONGEST_S
    video = (await gateway.get(f"/{video_id}")).json
    assert (video["status"], video["error"]["code"]) == ("failed", "provider_timeout")
    assert [record.cost_nano_usd for record in gateway.usage] == [280_000_000]


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([MP4[:500], ProviderError("broken off")], "queued"),
        ([ProviderError("The site answered with status 503.", provider_code="upstream_status")], "queued"),
        ([b"<html><body>not found</body></html>"], "failed"),
        ([], "failed"),
        (None, "failed"),
    ],
)
async def test_a_finished_video_that_cannot_be_read(gateway: Gateway, pieces: Any, status: str) -> None:
    """What broke off is read again, what is gone or no video ends it; the provider is paid."""
    gateway.provider.looks = [DONE]
    gateway.downloads.there = {} if pieces is None else {URL: pieces}
    video = (await gateway.get(f"/{await gateway.begun()}")).json
    assert video["status"] == status
    assert gateway.files.whole == {}
    if status == "failed":
        assert [record.cost_nano_usd for record in gateway.usage] == [280_000_000]
        assert video["usage"]["cost_estimate"] == 0.28


async def test_the_length_that_was_made_is_paid(gateway: Gateway) -> None:
    gateway.provider.looks = [said(200, status="done", video={"url": URL, "duration": 3.2})]
    video = await gateway.finished(await gateway.begun(seconds=8))
    assert video["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": 0.28}


async def test_a_key_goes_to_the_providers_own_address_only(gateway: Gateway) -> None:
    """Google's finished videos are read with the key, and where it redirects to without."""
    gateway.provider.begins = said(200, name="models/veo/operations/o1")
    sample = {"video": {"uri": "https://generativelanguage.googleapis.com/v1beta/files/f:download?alt=media"}}
    done = said(200, name="o", done=True, response={"generateVideoResponse": {"generatedSamples": [sample]}})
    gateway.provider.looks = [done, Whole(302, b"", {"location": URL})]
    video = await gateway.finished(await gateway.begun(model="google/veo"))
    assert (video["status"], gateway.downloads.opened) == ("completed", [URL])
    assert [request.url.rpartition("/")[2] for request in gateway.provider.sent] == [
        "veo:predictLongRunning",
        "o1",
        "f:download?alt=media",
    ]
    assert all(request.headers["x-goog-api-key"] == "provider-key" for request in gateway.provider.sent)


async def test_a_video_read_with_the_key_may_come_at_once(gateway: Gateway) -> None:
    gateway.provider.begins = said(200, name="models/veo/operations/o1")
    sample = {"video": {"uri": "https://generativelanguage.googleapis.com/v1beta/files/f:download?alt=media"}}
    done = said(200, name="o", done=True, response={"generateVideoResponse": {"generatedSamples": [sample]}})
    gateway.provider.looks = [done, Whole(200, MP4)]
    video = await gateway.finished(await gateway.begun(model="google/veo"))
    assert (video["gateway"]["size_bytes"], gateway.downloads.opened) == (len(MP4), [])


@pytest.mark.parametrize(
    ("status", "ends"),
    [(404, "failed"), (410, "failed"), (401, "queued"), (403, "queued"), (500, "queued"), (429, "queued")],
)
async def test_a_video_that_the_key_does_not_open(gateway: Gateway, status: int, ends: str) -> None:
    gateway.provider.begins = said(200, name="models/veo/operations/o1")
    sample = {"video": {"uri": "https://generativelanguage.googleapis.com/v1beta/files/f"}}
    done = said(200, name="o", done=True, response={"generateVideoResponse": {"generatedSamples": [sample]}})
    gateway.provider.looks = [done, said(status)]
    assert (await gateway.get(f"/{await gateway.begun(model='google/veo')}")).json["status"] == ends


async def test_a_list_is_newest_first_in_pages(gateway: Gateway) -> None:
    ids = []
    for _ in range(5):
        gateway.clock.unix_s += 1
        ids.append(await gateway.begun())
    first = (await gateway.get("?limit=2")).json
    assert ([video["id"] for video in first["data"]], first["has_more"]) == (ids[:2:-1], True)
    assert (first["first_id"], first["last_id"]) == (ids[4], ids[3])
    rest = (await gateway.get(f"?after={first['last_id']}")).json
    assert ([video["id"] for video in rest["data"]], rest["has_more"]) == (ids[2::-1], False)
    await gateway.get(f"/{ids[1]}", method="DELETE")
    left = (await gateway.get("?limit=3")).json
    assert [video["id"] for video in left["data"]] == [ids[4], ids[3], ids[2]]
    after = (await gateway.get(f"?limit=3&after={ids[2]}")).json
    assert ([video["id"] for video in after["data"]], after["has_more"]) == ([ids[0]], False)


@pytest.mark.parametrize(
    ("path", "status", "param"),
    [
        ("?limit=0", 400, "limit"),
        ("?limit=101", 400, "limit"),
        ("?limit=x", 400, "limit"),
        ("?after=x", 400, "after"),
        ("?order=asc", 400, "order"),
        ("?color=red", 400, "color"),
        ("/video_1", 404, "video_id"),
        ("/job_" + "0" * 25, 404, "video_id"),
        ("/video_" + "0" * 25, 404, "video_id"),
        ("/video_" + "0" * 25 + "/content", 404, "video_id"),
        ("/video_" + "0" * 25 + "/remix", 404, None),
        ("/a/b/c", 404, None),
        ("/", 404, None),
    ],
)
async def test_questions_that_are_none(gateway: Gateway, path: str, status: int, param: str | None) -> None:
    answer = await gateway.get(path)
    assert (answer.status, answer.json["error"]["param"]) == (status, param)


async def test_methods_that_are_none(gateway: Gateway) -> None:
    for path, method in (("", "PUT"), ("/video_1", "POST"), ("/video_1/content", "DELETE")):
        assert (await gateway.get(path, method=method)).status == 405


async def test_unfinished_videos_have_no_content_and_none_a_thumbnail(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    unfinished = await gateway.get(f"/{video_id}/content", later=False)
    assert (unfinished.status, unfinished.json["error"]["param"]) == (400, "video_id")
    thumbnail = await gateway.get(f"/{video_id}/content?variant=thumbnail")
    assert (thumbnail.status, thumbnail.json["error"]["param"]) == (400, "variant")


async def test_another_tenants_video_is_not_found(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    gateway.access.held[key_hash(KEY)] = principal(Tenant(id="other", approvals=("*",)))
    for path, method in ((f"/{video_id}", "GET"), (f"/{video_id}/content", "GET"), (f"/{video_id}", "DELETE")):
        answer = await gateway.get(path, method=method)
        assert (answer.status, answer.json["error"]["code"]) == (404, "job_not_found")
    assert (await gateway.get("")).json["data"] == []


async def test_a_key_has_to_be_for_videos(gateway: Gateway) -> None:
    gateway.access.held[key_hash(KEY)] = principal(TENANT, scopes=("chat",))
    assert (await gateway.create()).status == 403
    assert (await gateway.get("")).status == 403
    gateway.access.held.clear()
    assert (await gateway.get("")).status == 401


async def test_a_finished_video_is_deleted_with_its_file(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    await gateway.finished(video_id)
    deleted = await gateway.get(f"/{video_id}", method="DELETE")
    assert deleted.json == {"id": video_id, "object": "video.deleted", "deleted": True}
    assert gateway.files.whole == {}
    for method in ("GET", "DELETE"):
        assert (await gateway.get(f"/{video_id}", method=method)).status == 404
    assert len(gateway.usage) == 1


async def test_a_running_video_that_is_deleted_is_stopped_and_paid(gateway: Gateway) -> None:
    gateway.provider.begins = said(200, id="t-1")
    gateway.provider.looks = [said(200, id="t-1", status="RUNNING", progress=0.5)]
    video_id = await gateway.begun(model="runway/clip")
    assert (await gateway.get(f"/{video_id}")).json["progress"] == 50
    assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
    assert (gateway.provider.sent[-1].method, gateway.provider.sent[-1].url[-9:]) == ("DELETE", "tasks/t-1")
    assert (await gateway.get(f"/{video_id}")).status == 404
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("job_cancelled", 280_000_000)]
    assert gateway.audit == ["request.started", "request.failed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_what_is_deleted_while_it_is_stored_stays_deleted(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]

    class Slow(FixedDownloads):
        async def _pieces(self, pieces: list[bytes | Exception]) -> AsyncIterator[bytes]:
            await gateway.get(f"/{video_id}", method="DELETE")
            async for piece in super()._pieces(pieces):
                yield piece

    gateway.world = replace(gateway.world, downloads=Slow(gateway.downloads.there))
    assert (await gateway.get(f"/{video_id}")).status == 404
    assert gateway.files.whole == {}
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("job_cancelled", 280_000_000)]


async def test_who_asks_while_it_is_begun_takes_nothing_from_who_begins_it(gateway: Gateway) -> None:
    async def look(request: HttpRequest) -> None:
        if request.method == "POST":
            (listed,) = (await gateway.get("")).json["data"]
            assert (await gateway.get(f"/{listed['id']}")).json["status"] == "queued"

    gateway.provider.before = look
    video_id = await gateway.begun()
    assert gateway.provider.looked == 0
    assert (await gateway.finished(video_id))["status"] == "completed"
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("ok", 280_000_000)]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_what_somebody_else_wrote_while_it_was_begun_stays(gateway: Gateway) -> None:
    async def write(request: HttpRequest) -> None:
        if request.method == "POST":
            ((job, _),) = gateway.jobs.held.values()
            await gateway.jobs.change(job.changed(webhook=Webhook(url="https://a.example")))

    gateway.provider.before = write
    video_id = await gateway.begun()
    job = await gateway.jobs.get("acme", video_id)
    assert job.remote is not None
    assert (job.webhook, job.remote.id, job.held is None) == (Webhook(url="https://a.example"), "r-1", False)


async def test_a_video_that_is_deleted_while_it_is_begun_is_stopped_and_paid_once(gateway: Gateway) -> None:
    gateway.provider.begins = said(200, id="t-1")

    async def delete(request: HttpRequest) -> None:
        if request.method == "POST":
            (listed,) = (await gateway.get("")).json["data"]
            assert (await gateway.get(f"/{listed['id']}", method="DELETE")).status == 200
            assert gateway.usage == []

    gateway.provider.before = delete
    answer = await gateway.create(model="runway/clip")
    assert (answer.status, answer.json["error"]["code"]) == (409, "job_cancelled")
    assert (gateway.provider.sent[-1].method, gateway.provider.sent[-1].url[-9:]) == ("DELETE", "tasks/t-1")
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("job_cancelled", 280_000_000)]
    assert gateway.audit == ["request.started", "request.failed"]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
    assert (await gateway.get("")).json["data"] == []


async def test_what_is_deleted_while_it_is_begun_and_refused_costs_nothing(gateway: Gateway) -> None:
    gateway.provider.begins = said(400, code="invalid-argument", error="no such pose")

    async def delete(_: HttpRequest) -> None:
        (listed,) = (await gateway.get("")).json["data"]
        await gateway.get(f"/{listed['id']}", method="DELETE")

    gateway.provider.before = delete
    assert (await gateway.create()).status == 400
    assert [(record.code, record.cost_nano_usd) for record in gateway.usage] == [("validation_error", 0)]
    assert await gateway.held() == (0, 0, 0)
    assert (await gateway.get("")).json["data"] == []


async def test_a_record_that_never_holds_still_is_no_video(gateway: Gateway) -> None:
    class Restless(MemoryJobs):
        async def change(self, job: Any, due_at_s: int | None = None) -> bool:
            return False

    gateway.world = replace(gateway.world, jobs=Restless())
    answer = await gateway.create()
    assert (answer.status, answer.json["error"]["code"]) == (503, "storage_unavailable")
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_who_waits_for_a_video_that_is_deleted_is_told(gateway: Gateway) -> None:
    async def delete(request: HttpRequest) -> None:
        if request.method == "GET":
            (listed,) = (await gateway.get("")).json["data"]
            await gateway.get(f"/{listed['id']}", method="DELETE")

    gateway.provider.before = delete
    answer = await gateway.create(**{"async": False})
    assert (answer.status, answer.json["error"]["code"]) == (409, "job_cancelled")


async def test_an_end_that_was_not_told_is_finished_later(gateway: Gateway) -> None:
    """The function died after it had recorded the end."""
    video_id = await gateway.begun()
    gateway.provider.looks = [DONE]
    events, gateway.world = gateway.world.events, replace(gateway.world, events=Dying())
    assert (await gateway.get(f"/{video_id}")).status == 500
    gateway.world = replace(gateway.world, events=events)
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert gateway.usage == []
    gateway.clock.unix_s += 60
    assert (await gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("ok", 280_000_000)]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


async def test_an_end_that_was_not_told_is_told_before_it_is_deleted(gateway: Gateway) -> None:
    """The function died after it had recorded the end, and the client deletes the video at once."""
    video_id = await gateway.begun()
    gateway.provider.looks = [said(200, status="failed", error={"code": "x", "message": "no"})]
    events, gateway.world = gateway.world.events, replace(gateway.world, events=Dying())
    assert (await gateway.get(f"/{video_id}")).status == 500
    gateway.world = replace(gateway.world, events=events)
    assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
    assert [(record.outcome, record.cost_nano_usd) for record in gateway.usage] == [("error", 0)]
    assert await gateway.held() == (0, 0, 0)
    assert (await gateway.get(f"/{video_id}")).status == 404


class Dying(ListEvents):
    async def send(self, told: Any) -> None:
        raise RuntimeError("dies")


async def test_a_video_whose_request_nobody_saw_arrive_ends_after_a_while(gateway: Gateway) -> None:
    """The function died while it asked for it."""
    gateway.provider.begins = RuntimeError("dies")
    await gateway.create()
    ((key, (job, due)),) = gateway.jobs.held.items()
    assert job.remote is not None
    gateway.jobs.held[key] = (msgspec.structs.replace(job, error=None), due)
    assert (await gateway.get(f"/{job.id}")).json["status"] == "queued"
    gateway.clock.unix_s += 900
    assert (await gateway.get(f"/{job.id}")).json["error"]["code"] == "provider_timeout"


async def test_a_result_is_gone_after_its_time(gateway: Gateway) -> None:
    video_id = await gateway.begun()
    await gateway.finished(video_id)
    gateway.clock.unix_s += GENERATED_KEPT_S
    answer = await gateway.get(f"/{video_id}")
    assert (answer.status, answer.json["error"]["code"]) == (410, "job_expired")
    assert (await gateway.get("")).json["data"] == []
    gateway.clock.unix_s += TOMBSTONE_S
    assert (await gateway.get(f"/{video_id}")).status == 404


async def test_a_record_that_cannot_be_written_begins_nothing(gateway: Gateway) -> None:
    class NoJobs(MemoryJobs):
        async def create(self, job: Any, due_at_s: int) -> None:
            raise StorageUnavailable("Jobs cannot be stored.")

    gateway.world = replace(gateway.world, jobs=NoJobs())
    assert (await gateway.create()).status == 503
    assert (gateway.provider.sent, await gateway.held()) == ([], (0, 0, 0))


async def test_a_video_that_is_begun_and_cannot_be_recorded_is_paid(gateway: Gateway) -> None:
    class HalfJobs(MemoryJobs):
        async def change(self, job: Any, due_at_s: int | None = None) -> bool:
            raise StorageUnavailable("Jobs cannot be stored.")

    gateway.world = replace(gateway.world, jobs=HalfJobs())
    answer = await gateway.create()
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (503, "storage_unavailable")
    assert (answer.headers["x-should-retry"], error["usage"]["cost_estimate"]) == ("false", 0.28)
    assert [record.cost_nano_usd for record in gateway.usage] == [280_000_000]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)


def hook(**settings: Any) -> Hook:
    made: Hook = msgspec.convert({"kind": "lambda", "id": "lambda", "function": "gateway-hook-x", **settings}, Hook)
    return made


async def test_hooks_are_asked_about_the_prompt_and_may_change_or_block_it(gateway: Gateway) -> None:
    gateway.allow(hooks=(hook(),))
    assert isinstance(gateway.world.hooks, ScriptedHooks)
    gateway.world.hooks.answers["lambda"] = {"action": "modify", "patch": {"prompt": "calm waves", "seconds": 8}}
    picture = {"image_url": "data:image/png;base64," + base64.b64encode(PNG).decode()}
    changed = await gateway.create(input_reference=picture)
    assert (changed.status, changed.json["seconds"]) == (200, "8"), changed.json
    body = json.loads(gateway.provider.sent[0].body)
    assert (body["prompt"], body["duration"], body["image"]["url"]) == ("calm waves", 8, picture["image_url"])
    assert await gateway.held() == (1, 562_000_000, 0)
    asked = gateway.world.hooks.asked[0]
    assert b"iVBOR" not in msgspec.json.encode(asked)

    gateway.world.hooks.answers["lambda"] = {"action": "block", "reason": "no waves"}
    blocked = await gateway.create()
    assert (blocked.status, blocked.json["error"]["code"]) == (403, "request_blocked")
    assert len(gateway.provider.sent) == 1
    assert await gateway.held() == (1, 562_000_000, 0)


@pytest.mark.parametrize("patch", [{"model": "xai/mute"}, {"size": "1x1"}, {"prompt": ""}, {"input_reference": None}])
async def test_what_a_hook_may_not_change(gateway: Gateway, patch: dict[str, Any]) -> None:
    gateway.allow(hooks=(hook(),))
    assert isinstance(gateway.world.hooks, ScriptedHooks)
    gateway.world.hooks.answers["lambda"] = {"action": "modify", "patch": patch}
    assert (await gateway.create()).status in (400, 503)
    assert (gateway.provider.sent, await gateway.held()) == ([], (0, 0, 0))
