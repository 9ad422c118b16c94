"""Jobs whose providers call back: who waits for what, what wakes him, and what a message can do at most."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from gateway.entry import provider_webhooks
from gateway.entry.job_task import JobTask
from gateway.entry.provider_webhooks import MAX_BODY_BYTES, provider_webhooks_app
from gateway.entry.runtime.client import Invocation
from gateway.hooks.signature import signed_headers
from gateway.model.callback import RemoteName
from gateway.model.errors import StorageUnavailable
from gateway.model.secret import Secret
from gateway.model.telemetry import CallbackLine
from gateway.pipeline.callbacks import CallbackWorld
from gateway.pipeline.job_work import JobPending
from tests.fakes import MemoryCallbacks
from tests.unit.videos_gateway import EVERY_S, URL, Gateway, gateway, said

__all__ = ["gateway"]

KEY = Secret(f"whsec_{base64.b64encode(b'k' * 24).decode()}")
TASK = "task-1"
OPERATION = "models/veo/operations/op1"
WORK = RemoteName("google", "op1")
RUNNING = said(200, name=OPERATION)
SAMPLES = {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": URL}}]}}
FINISHED = said(200, name=OPERATION, done=True, response=SAMPLES)
GENERATED = {"type": "video.generated", "version": "v1", "data": {"id": "op1"}}


@dataclass
class Secrets:
    held: dict[str, list[Secret]] = field(default_factory=lambda: {"google": [KEY]})
    is_broken: bool = False

    async def find(self, provider: str) -> list[Secret]:
        if self.is_broken:
            raise StorageUnavailable("What the message is signed with cannot be read at the moment.")
        return self.held.get(provider, [])


@dataclass
class Stack:
    """The gateway, its job task and the receiver of providers' messages."""

    gateway: Gateway
    secrets: Secrets
    client: httpx.AsyncClient
    longest_s: int = 3_600

    @property
    def callbacks(self) -> MemoryCallbacks:
        assert isinstance(self.gateway.world.callbacks, MemoryCallbacks)
        return self.gateway.world.callbacks

    async def begun(self) -> str:
        self.gateway.provider.begins = said(200, name=OPERATION)
        self.gateway.provider.looks = [RUNNING]
        return await self.gateway.begun(model="google/veo", size="1280x720")

    async def step(self, name: str, video_id: str, **members: Any) -> Any:
        event = {"step": name, "tenant_id": "acme", "job_id": video_id, **members}
        invocation = Invocation("r-1", deadline_s=self.gateway.clock.now_s() + 900)
        return await JobTask(self.gateway.world, EVERY_S, self.longest_s).handle(event, invocation)

    async def waits(self, video_id: str) -> Any:
        return await self.step("wait", video_id, task_token=TASK)

    async def call(self, event: Any = GENERATED, provider: str = "google", **headers: str) -> httpx.Response:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        signed = signed_headers("msg_1", int(self.gateway.clock.now_s()), body, [KEY])
        return await self.client.post(f"/webhooks/{provider}", content=body, headers={**signed, **headers})


@pytest.fixture
async def stack(gateway: Gateway) -> AsyncIterator[Stack]:
    gateway.allow()
    secrets, callbacks = Secrets(), gateway.world.callbacks
    assert isinstance(callbacks, MemoryCallbacks)
    callbacks.providers = {"google"}
    app = provider_webhooks_app(CallbackWorld(secrets, callbacks, gateway.clock))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield Stack(gateway, secrets, client)


async def test_a_video_whose_provider_calls_back_is_looked_at_once(stack: Stack) -> None:
    video_id = await stack.begun()
    asked = await stack.step("ask", video_id)
    assert asked == {"status": "pending", "waiting": True, "to_do": "nothing", "wait_s": 0, "callback_s": 360}
    assert (await stack.waits(video_id))["waiting"]
    assert stack.callbacks.woken == []
    answer = await stack.call()
    assert (answer.status_code, answer.json(), stack.callbacks.woken) == (200, {"received": True}, [TASK])
    stack.gateway.provider.looks = [FINISHED]
    stack.gateway.clock.unix_s += EVERY_S
    assert await stack.step("look", video_id) == {
        "status": "completed",
        "waiting": False,
        "to_do": "nothing",
        "wait_s": 0,
    }
    assert stack.gateway.provider.looked == 1
    assert (stack.callbacks.tokens, stack.callbacks.told) == ({}, set())


async def test_news_that_comes_before_anybody_waits_is_kept_for_him(stack: Stack) -> None:
    video_id = await stack.begun()
    assert (await stack.call()).status_code == 200
    assert stack.callbacks.woken == []
    await stack.waits(video_id)
    assert stack.callbacks.woken == [TASK]


async def test_news_that_comes_twice_and_of_what_nobody_knows_is_harmless(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[CallbackLine] = []
    monkeypatch.setattr(provider_webhooks, "report", lines.append)
    await stack.waits(await stack.begun())
    unknown = {**GENERATED, "data": {"id": "another"}}
    assert [(await stack.call(event)).status_code for event in (unknown, GENERATED, GENERATED)] == [200] * 3
    assert [(line.provider, line.kind, line.was_awaited) for line in lines] == [
        ("gcp.gemini", "completed", False),
        ("gcp.gemini", "completed", True),
        ("gcp.gemini", "completed", True),
    ]


async def test_whatever_a_message_says_the_provider_is_asked(stack: Stack) -> None:
    """So one that is false, or was recorded, costs a look."""
    video_id = await stack.begun()
    await stack.waits(video_id)
    assert (await stack.call()).status_code == 200
    stack.gateway.clock.unix_s += EVERY_S
    with pytest.raises(JobPending):
        await stack.step("look", video_id)
    assert (await stack.gateway.get(f"/{video_id}")).json["status"] == "in_progress"
    assert stack.gateway.usage == []


@pytest.mark.parametrize("providers", [set(), {"xai"}])
async def test_where_no_webhook_is_set_up_nobody_waits_for_one(stack: Stack, providers: set[str]) -> None:
    stack.callbacks.providers = providers
    assert (await stack.step("ask", await stack.begun()))["callback_s"] == 0


async def test_of_what_a_provider_does_not_tell_and_what_has_ended_nobody_waits(stack: Stack) -> None:
    stack.callbacks.providers = {"google", "xai"}
    of_another = await stack.gateway.begun()
    assert (await stack.step("ask", of_another))["callback_s"] == 0
    with pytest.raises(ValueError, match="nobody calls back"):
        await stack.waits(of_another)
    video_id = await stack.begun()
    await stack.gateway.get(f"/{video_id}", method="DELETE")
    assert (await stack.step("ask", video_id))["callback_s"] == 0


async def test_the_owner_bounds_the_wait(stack: Stack) -> None:
    stack.longest_s = 6
    assert (await stack.step("ask", await stack.begun()))["callback_s"] == 6


async def test_a_video_that_is_cancelled_while_its_execution_waits_lets_it_go_on(stack: Stack) -> None:
    video_id = await stack.begun()
    await stack.waits(video_id)
    assert (await stack.gateway.get(f"/{video_id}", method="DELETE")).status == 200
    assert stack.callbacks.woken == [TASK]
    ended = {"status": "cancelled", "waiting": False, "to_do": "nothing", "wait_s": 0}
    assert await stack.step("look", video_id) == ended
    assert (stack.gateway.provider.looked, stack.callbacks.tokens) == (0, {})


@pytest.mark.parametrize("is_broken", [False, True])
async def test_a_video_that_somebody_finds_finished_lets_its_execution_go_on(stack: Stack, is_broken: bool) -> None:
    """Which tells whoever has a webhook."""
    video_id = await stack.begun()
    await stack.waits(video_id)
    stack.gateway.clock.unix_s += EVERY_S
    assert (await stack.gateway.get(f"/{video_id}")).json["status"] == "in_progress"
    assert stack.callbacks.woken == []
    stack.gateway.provider.looks = [FINISHED]
    stack.gateway.clock.unix_s += EVERY_S
    stack.callbacks.is_broken = is_broken
    for _ in range(2):
        assert (await stack.gateway.get(f"/{video_id}")).json["status"] == "completed"
    assert stack.callbacks.woken == ([] if is_broken else [TASK])


async def test_a_video_that_is_waited_for_lets_its_execution_go_on(stack: Stack) -> None:
    stack.callbacks.tokens[WORK] = TASK
    stack.gateway.provider.begins, stack.gateway.provider.looks = said(200, name=OPERATION), [RUNNING, FINISHED]
    answer = await stack.gateway.create(model="google/veo", size="1280x720", **{"async": False})
    assert (answer.json["status"], stack.callbacks.woken) == ("completed", [TASK])


async def test_a_video_that_was_cancelled_just_before_its_execution_waits(stack: Stack) -> None:
    """Whoever cancelled it found no token to wake."""
    video_id = await stack.begun()
    await stack.gateway.get(f"/{video_id}", method="DELETE")
    assert stack.callbacks.woken == []
    assert not (await stack.waits(video_id))["waiting"]
    assert stack.callbacks.woken == [TASK]


async def test_what_cannot_be_kept_stops_no_video(stack: Stack) -> None:
    video_id = await stack.begun()
    stack.callbacks.is_broken = True
    with pytest.raises(StorageUnavailable):  # which the machine tries again, and then it asks
        await stack.waits(video_id)
    assert (await stack.call()).status_code == 503  # the provider sends it again
    stack.gateway.provider.looks = [FINISHED]
    stack.gateway.clock.unix_s += EVERY_S
    assert (await stack.step("look", video_id))["status"] == "completed"
    another = await stack.begun()
    assert (await stack.gateway.get(f"/{another}", method="DELETE")).status == 200


@pytest.mark.parametrize(
    ("changed", "status"),
    [({}, 200), ({"webhook-signature": "v1,AAAA"}, 401), ({"webhook-timestamp": "1614265330"}, 401)],
)
async def test_who_does_not_sign_is_told_nothing(stack: Stack, changed: dict[str, str], status: int) -> None:
    answer = await stack.call(**changed)
    assert answer.status_code == status
    if status == 401:
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == (
            "invalid_signature",
            "The message is not signed by the provider, or not now.",
        )
        assert stack.callbacks.told == set()


async def test_what_was_recorded_is_not_heard_again_later(stack: Stack) -> None:
    body = json.dumps(GENERATED).encode()
    signed = signed_headers("msg_1", int(stack.gateway.clock.now_s()), body, [KEY])
    stack.gateway.clock.unix_s += 301
    assert (await stack.client.post("/webhooks/google", content=body, headers=signed)).status_code == 401
    assert stack.callbacks.told == set()


@pytest.mark.parametrize(
    ("provider", "event", "status", "code"),
    [
        ("openai", GENERATED, 401, "invalid_signature"),  # nothing is set up there
        ("xai", GENERATED, 404, "not_found"),
        ("../chat", GENERATED, 404, "not_found"),
        ("google", b"{", 400, "validation_error"),
        ("google", b" " * (MAX_BODY_BYTES + 1), 413, "payload_too_large"),
    ],
)
async def test_what_is_no_news(stack: Stack, provider: str, event: Any, status: int, code: str) -> None:
    answer = await stack.call(event, provider)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_what_tells_of_no_end_is_taken_and_left(stack: Stack) -> None:
    assert (await stack.call({"type": "batch.succeeded", "data": {"id": "b"}})).status_code == 200
    assert stack.callbacks.told == set()


async def test_while_nobody_can_tell_who_signs_the_provider_sends_it_again(stack: Stack) -> None:
    stack.secrets.is_broken = True
    assert (await stack.call()).status_code == 503
