"""POST /v1/videos with an Idempotency-Key: the video that the first one made, as it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.model.claim import Claim
from gateway.model.errors import StorageUnavailable
from gateway.model.http import HttpRequest
from tests.asgi import Answer
from tests.fakes import MemoryClaims
from tests.unit.videos_gateway import UNREACHED, Gateway, gateway_of_videos, said

KEYED = {"idempotency-key": "k-1"}


@pytest.fixture
def gateway() -> Gateway:
    return gateway_of_videos()


@pytest.fixture
def claims(gateway: Gateway) -> MemoryClaims:
    assert isinstance(gateway.world.claims, MemoryClaims)
    return gateway.world.claims


async def asked(gateway: Gateway, **body: Any) -> Answer:
    sent = json.dumps({"model": "xai/film", "prompt": "waves", **body}).encode()
    return await gateway.post(sent, "application/json", KEYED)


async def test_a_video_that_is_asked_for_again_is_the_first_as_it_stands(gateway: Gateway) -> None:
    first, again = await asked(gateway), await asked(gateway)
    assert (again.status, again.json) == (200, first.json)
    await gateway.finished(first.json["id"])
    done = (await asked(gateway)).json
    assert (done["id"], done["status"]) == (first.json["id"], "completed")
    assert [request.method for request in gateway.provider.sent].count("POST") == 1
    assert [record.attempt for record in gateway.usage] == [1]
    assert await gateway.held() == (0, 280_000_000, 280_000_000)
    assert (await asked(gateway, seconds="8")).status == 409


async def test_one_that_is_waited_for_is_shown_to_whoever_comes_meanwhile(
    gateway: Gateway,
    claims: MemoryClaims,
) -> None:
    answers: list[Answer] = []

    async def meanwhile(request: HttpRequest) -> None:
        gateway.provider.before = None
        answers.append(await asked(gateway, **{"async": False}))

    gateway.provider.before = meanwhile
    first = await asked(gateway, **{"async": False})
    assert (first.json["status"], answers[0].json["status"]) == ("completed", "queued")
    assert first.json["id"] == answers[0].json["id"]


@pytest.mark.parametrize("begins", [UNREACHED, said(429, error="slow down"), said(400, error="no")])
async def test_one_that_was_not_begun_and_cost_nothing_frees_the_key(gateway: Gateway, begins: Any) -> None:
    good, gateway.provider.begins = gateway.provider.begins, begins
    assert (await asked(gateway)).status >= 400
    gateway.provider.begins = good
    assert (await asked(gateway)).json["status"] == "queued"


async def test_one_whose_claim_cannot_be_written_is_not_begun(
    gateway: Gateway,
    claims: MemoryClaims,
) -> None:
    change = claims.change

    async def failing(tenant_id: str, key_hash: str, claim: Claim, changed: Claim) -> bool:
        claims.change = change  # type: ignore[method-assign]
        raise StorageUnavailable("Not now.")

    claims.change = failing  # type: ignore[method-assign]
    assert (await asked(gateway)).status == 503
    assert [request.method for request in gateway.provider.sent] == []
    assert (await asked(gateway)).json["status"] == "queued"
