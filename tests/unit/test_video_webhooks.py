"""The end of a video is told as that of every job, and it is one without `async: true`."""

from __future__ import annotations

import json

import pytest

from gateway.model.webhook import WebhookMessage
from gateway.pipeline.job_tell import tell
from tests.fakes import ListWebhookSender
from tests.unit.test_video_ends import executed
from tests.unit.videos_gateway import DONE, EVERY_S, KEY_REFUSED, Gateway, gateway

__all__ = ["gateway"]

URL = "https://hooks.example.com/videos"


def sent(gateway: Gateway) -> list[WebhookMessage]:
    assert isinstance(gateway.world.webhook_sender, ListWebhookSender)
    return gateway.world.webhook_sender.sent


async def test_a_video_is_told_of_when_it_has_ended(gateway: Gateway) -> None:
    video_id = await gateway.begun(webhook_url=URL)
    assert (await tell(await gateway.jobs.get("acme", video_id), gateway.world)).is_to_be_told
    gateway.provider.looks = [DONE]
    gateway.clock.unix_s += EVERY_S
    await executed(gateway, video_id)
    assert not (await tell(await gateway.jobs.get("acme", video_id), gateway.world)).is_to_be_told
    [message] = sent(gateway)
    assert (message.id, message.url) == (f"{video_id}.completed", URL)
    assert json.loads(message.body)["data"]["id"] == video_id


@pytest.mark.parametrize("wanted", [{}, {"async": True}, {"async": False}])
async def test_a_url_that_nobody_can_be_told_at_begins_no_video(gateway: Gateway, wanted: dict[str, bool]) -> None:
    answer = await gateway.create(webhook_url="https://10.0.0.7/", **wanted)
    assert (answer.status, answer.json["error"]["param"]) == (400, "webhook_url")
    assert (gateway.jobs.held, await gateway.held()) == ({}, (0, 0, 0))


async def test_who_was_refused_a_video_is_not_told_that_it_failed(gateway: Gateway) -> None:
    """The error was the answer."""
    gateway.provider.begins = KEY_REFUSED
    assert (await gateway.create(webhook_url=URL)).status >= 400
    [(job, _)] = gateway.jobs.held.values()
    assert (job.status, job.webhook) == ("failed", None)
    await tell(job, gateway.world)
    assert sent(gateway) == []
