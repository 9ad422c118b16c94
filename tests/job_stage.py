"""Jobs of a gateway in memory, carried on by their own state machine, whose workers may die anywhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.entry.chat import chat_app
from gateway.entry.job_task import JobTask
from gateway.entry.jobs import jobs_app
from gateway.entry.runtime.client import Invocation
from gateway.entry.videos import videos_app
from gateway.model.callback import RemoteName
from gateway.model.catalog import ModelFacts, Prices
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest, Sending
from gateway.model.job import Job
from gateway.model.limits import Allowance, Budget, Limits
from gateway.model.record import TERMINAL, AuditEvent, UsageRecord
from gateway.model.webhook import WebhookMessage
from gateway.pipeline.job_sweep import SweptJobs, sweep_jobs
from gateway.ports import World
from tests.asgi import Answer, call
from tests.dying import PORTS, Fate, Killed, mortal
from tests.fakes import (
    FixedDownloads,
    ListExecutions,
    ListWebhookSender,
    ManualClock,
    MemoryAccess,
    MemoryCallbacks,
    MemoryCatalog,
    MemoryFiles,
    key_hash,
    note_sent,
    principal,
    world_of,
)
from tests.machine import DIED, TaskFailed, Walk
from tests.unit.conftest import KEY, TENANT
from tests.unit.test_background import FACTS as DEEP
from tests.unit.test_background import USAGE, response
from tests.unit.videos_gateway import MP4, URL, Whole, facts, said

EVERY_S = 5.0
ACCOUNTS = ("T#acme#0", "U#acme#0#alice")
CHAT = {"model": "openai/gpt", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
BACKGROUND = {**CHAT, "model": "openai/deep"}
PASSED_ON, TAKEN_OVER = {**BACKGROUND, "fallbacks": ["openai/gpt"]}, {**CHAT, "fallbacks": ["openai/deep"]}
CALLED = {"model": "google/veo", "prompt": "waves", "seconds": "4", "size": "1280x720"}
WORK = RemoteName("google", "op1")
OPERATION = "models/veo/operations/op1"
VIDEO = {"model": "runway/clip", "prompt": "waves", "seconds": "4", "size": "1280x720"}
FALLING = {**VIDEO, "model": "xai/film", "fallbacks": ["runway/clip"]}
ORDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "large": ("/v1/chat/completions", CHAT),
    "refused": ("/v1/chat/completions", CHAT),
    "told": ("/v1/chat/completions", {**CHAT, "webhook_url": "https://hooks.example.com/jobs"}),
    "background": ("/v1/chat/completions", BACKGROUND),
    "passed on": ("/v1/chat/completions", PASSED_ON),
    "taken over": ("/v1/chat/completions", TAKEN_OVER),
    "video": ("/v1/videos", VIDEO),
    "called": ("/v1/videos", CALLED),
    "falling": ("/v1/videos", FALLING),
}
"""What is ordered: a reply that is small, one that is a file, one that the provider refuses, one whose end is told to a
webhook, one that its provider makes in the background, a video, one whose provider calls back, and those whose
provider does not answer, so that another is asked: instead of one that works in the background, by such a one, and for
a video.
"""
COSTS = {
    "chat": 20_000,
    "large": 20_000,
    "refused": 0,
    "told": 20_000,
    "background": 20_000,
    "video": 280_000_000,
    "called": 280_000_000,
    "falling": 560_000_000,
}
MODELS = {
    "openai": {
        "gpt": ModelFacts(id="gpt", name="gpt", prices=Prices(input=1_000_000, output=2_000_000), context_tokens=1_000),
        "deep": DEEP,
    },
    "runway": {"clip": facts("clip")},
    "xai": {"film": facts("film")},
    "google": {"veo": facts("veo")},
}


@dataclass
class Provider:
    """`kind`: what it is asked for. `unfinished`: how many looks find a video unfinished. `asked`: how often anybody
    was asked to make it, `silent`: or the one who never answers.
    """

    kind: str
    unfinished: int = 1
    asked: int = 0
    silent: int = 0
    stopped: int = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Whole]:
        note_sent(sending)
        if self._is_silent(request):
            self.silent += 1
            raise TimeoutError
        yield said(400 if self.kind == "refused" else 200, **self._said(request))

    def _is_silent(self, request: HttpRequest) -> bool:
        silent = {"falling": "api.x.ai/", "passed on": "/responses", "taken over": "/chat/completions"}
        return request.method == "POST" and silent.get(self.kind, "nobody") in request.url

    @property
    def _is_at_work(self) -> bool:
        return self.kind in ("background", "taken over")

    def _said(self, request: HttpRequest) -> Any:
        if request.method == "DELETE" or request.url.endswith("/cancel"):
            self.stopped += 1
            return response("cancelled", usage=USAGE) if self._is_at_work else {}
        if request.method == "GET":
            self.unfinished -= 1
            if self._is_at_work:
                return response("in_progress" if self.unfinished >= 0 else "completed")
            if self.kind == "called":
                return _operation(is_done=self.unfinished < 0)
            return {"status": "RUNNING"} if self.unfinished >= 0 else {"status": "SUCCEEDED", "output": [URL]}
        self.asked += 1
        return self._asked()

    def _asked(self) -> Any:
        if self.kind in ("video", "falling"):
            return {"id": "t-1"}
        if self.kind == "called":
            return _operation(is_done=False)
        if self._is_at_work:
            return response("queued")
        if self.kind == "refused":
            return {"error": {"message": "no", "code": "bad"}}
        content = "x" * 70_000 if self.kind == "large" else "Hello."
        message = {"role": "assistant", "content": content}
        return {
            "id": "c-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }


def _operation(*, is_done: bool) -> dict[str, Any]:
    samples = {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": URL}}]}}
    return {"name": OPERATION, "done": True, "response": samples} if is_done else {"name": OPERATION}


def _app(path: str, world: World) -> Any:
    return videos_app(world, EVERY_S) if path == "/v1/videos" else chat_app(world)


class ExecutionStopped(Exception):
    """By force, or because it came to its end in a state that nothing catches."""


@dataclass
class Stage:
    """`kind`: as in ORDERS. `world`: whose ports may be real ones. `fates`: what meets the workers of a state until one
    dies, at which `ports`. `dies_whole`: whether the execution ends with a worker that is killed. `is_silent`: whether
    a provider does not call back that should.
    """

    kind: str
    world: World
    provider: Provider
    access: MemoryAccess
    fates: dict[str, Fate] = field(default_factory=dict)
    impatient: frozenset[str] = frozenset()
    dies_whole: bool = False
    is_silent: bool = False
    ports: tuple[str, ...] = PORTS
    follower: Fate | None = None
    jitter: float = 1.0
    walk: Walk | None = None
    entered: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, kind: str, **ports: Any) -> Stage:
        budget = Budget(window="month", usd=Decimal(100))
        allowance = Allowance(limits=(Limits(concurrent_requests=9),), budgets=(budget,), alerts=(1,))
        tenant = msgspec.structs.replace(TENANT, approvals=("*",), allowance=allowance)
        access, provider = MemoryAccess({key_hash(KEY): principal(tenant)}), Provider(kind)
        world = world_of(provider, access, MemoryCatalog(MODELS))  # type: ignore[arg-type]  # it answers what it is asked
        assert isinstance(world.callbacks, MemoryCallbacks)
        world.callbacks.providers.add("google")
        assert isinstance(world.downloads, FixedDownloads)
        world.downloads.there[URL] = [MP4[:500], MP4[500:]]
        return cls(kind, replace(world, **ports), provider, access)

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.world.clock, ManualClock)
        return self.world.clock

    @property
    def executions(self) -> ListExecutions:
        assert isinstance(self.world.executions, ListExecutions)
        return self.world.executions

    # -- What happens ------------------------------------------------------------------------------------------------

    async def order(self, fate: Fate | None = None, **headers: str) -> Answer:
        path, body = ORDERS[self.kind]
        app = _app(path, mortal(self.world, fate, self.ports) if fate else self.world)
        sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
        return await call(app, json.dumps({**body, "async": True}).encode(), sent, path=path)

    async def asked(self, fate: Fate) -> Answer:
        """By one who waits for the answer."""
        path, body = ORDERS[self.kind]
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        app = _app(path, mortal(self.world, fate, self.ports))
        return await call(app, json.dumps(body).encode(), headers, path=path)

    async def ordered(self) -> str:
        answer = await self.order()
        assert answer.status == 202, answer.body
        found: str = answer.json["id"]
        return found

    async def carried_on(self, job_id: str) -> str | None:
        """By the job's execution, to the state it ends in; None when that dies."""
        self.walk = walk = Walk(
            self.clock, self._invoke, self.impatient, self._called, self.entered, jitter=self.jitter
        )
        try:
            return await walk.run({"tenant_id": "acme", "job_id": job_id})
        except (TaskFailed, ExecutionStopped):
            return None
        finally:
            self.executions.started[job_id] = False

    async def _called(self, token: str) -> bool:
        """By the provider, which is done by then, unless it `is_silent`."""
        callbacks = self.world.callbacks
        assert isinstance(callbacks, MemoryCallbacks)
        if not self.is_silent:
            self.provider.unfinished = 0
            await callbacks.tell(WORK)
        return token in callbacks.woken

    async def _invoke(self, state: str, event: dict[str, Any]) -> dict[str, Any]:
        fate = self.fates.get(state)
        if fate is not None and fate.is_dead:
            fate = self.follower  # of the worker that died
        try:
            return await self.worked(event, fate)
        except TaskFailed:
            if fate is not None and fate.is_dead and self.dies_whole:
                raise ExecutionStopped from None
            raise

    async def worked(self, event: dict[str, Any], fate: Fate | None = None) -> dict[str, Any]:
        """One invocation of the worker. Raises TaskFailed."""
        world = mortal(self.world, fate, self.ports) if fate else self.world
        invocation = Invocation("r-1", deadline_s=self.clock.now_s() + 900)
        try:
            return await JobTask(world, EVERY_S).handle(event, invocation)
        except Killed:
            raise TaskFailed(DIED) from None
        except Exception as error:
            raise TaskFailed(type(error).__name__) from error

    async def swept(self, fate: Fate | None = None, later_s: float = 60) -> SweptJobs:
        self.clock.unix_s += later_s
        world = mortal(self.world, fate, self.ports) if fate else self.world
        return await sweep_jobs(world, at_most=10, until_s=self.clock.now_s() + 60)

    async def swept_to_the_end(self, sweeps: int = 60) -> None:
        """For an hour, with the executions that the sweeps start."""
        for _ in range(sweeps):
            await self.swept(later_s=3_600 / sweeps)
            for job_id, is_running in list(self.executions.started.items()):
                if is_running:
                    await self.carried_on(job_id)

    async def send(self, method: str, path: str) -> Answer:
        headers = {"authorization": f"Bearer {KEY}"}
        return await call(jobs_app(self.world), b"", headers, method=method, path=path)

    # -- What became of it -------------------------------------------------------------------------------------------

    async def job(self, job_id: str) -> Job:
        return await self.world.jobs.get("acme", job_id)

    @property
    def told(self) -> list[Any]:
        told: list[Any] = self.world.events.told  # type: ignore[attr-defined]  # of what keeps it
        return told

    @property
    def costs(self) -> dict[str, int]:
        """By the id of the usage record. What is told twice says the same."""
        costs: dict[str, int] = {}
        for record in (told for told in self.told if isinstance(told, UsageRecord)):
            assert costs.setdefault(record.id, record.cost_nano_usd or 0) == (record.cost_nano_usd or 0)
        return costs

    @property
    def ends(self) -> dict[str, str]:
        """Of what was ordered, by the event's id."""
        events = [told for told in self.told if isinstance(told, AuditEvent) and told.of is not None]
        asked = [told for told in events if told.of is not None and not told.of.operation.startswith("jobs.")]
        return {told.id: told.event for told in asked if told.event in TERMINAL}

    @property
    def messages(self) -> list[WebhookMessage]:
        assert isinstance(self.world.webhook_sender, ListWebhookSender)
        return self.world.webhook_sender.sent

    async def is_kept(self, job: Job) -> bool:
        """Whether its request still is."""
        try:
            await self.world.payloads.get(job)
        except (KeyError, StorageUnavailable):
            return False
        return True

    def kept_files(self) -> list[str]:
        assert isinstance(self.world.files, MemoryFiles)
        return [file_id for _, file_id in self.world.files.whole]

    async def leases_s(self) -> list[float]:
        """For how long what is held still is."""
        readings = [await self.world.ledger.read(account_id) for account_id in ACCOUNTS]
        return [hold.until_s - self.clock.now_s() for reading in readings for hold in reading.holds.values()]

    async def check_books(self, before: int = 0) -> int:
        """Nothing is held, nothing runs, and both accounts have settled what the usage records say: that. `before`:
        what they had settled when this began.
        """
        cost = sum(self.costs.values())
        total = before + cost
        for account_id in ACCOUNTS:
            reading = await self.world.ledger.read(account_id)
            days = {name[0]: value for name, value in reading.numbers.items() if name[0] in "cs" and len(name) == 11}
            assert reading.holds == {}, account_id
            assert reading.numbers.get("n", 0) == 0, account_id
            assert (days.get("c", 0), days.get("s", 0)) == (total, total), (account_id, days, self.costs)
        return cost

    async def check_ended(self, job_id: str, *statuses: str, before: int = 0) -> Job:
        """It ended, once, was told and settled once, and nobody need see to it any more."""
        job = await self.job(job_id)
        assert job.status in statuses, job
        assert (job.owed, job.held) == (None, None), job
        assert not await self.is_kept(job)
        cost = await self.check_books(before)
        assert (job.cost_nano_usd or 0) == cost, (job.cost_nano_usd, self.costs)
        assert len(self.ends) == 1, self.ends
        assert max(self.provider.asked, self.provider.silent) <= 1
        if self.kind == "told":
            assert job.webhook is not None and job.webhook.url is None, job.webhook
            assert {message.id for message in self.messages} <= {f"{job.id}.{job.status}"}
        return job
