"""Large media of a model that failed before another one went on as a job: its provider loses them all the same."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.model.http import Credential
from gateway.model.secret import Secret
from gateway.pipeline import route
from gateway.pipeline.job_work import ask as worked
from gateway.providers.contract import InlineLimits, for_every_model
from gateway.providers.lookup import provider_named
from tests.fakes import ListRecords, MemoryCatalog, MemoryCredentials, MemoryJobs
from tests.unit.conftest import Gateway
from tests.unit.file_provider import FakeProvider, whole
from tests.unit.test_background import FACTS, WORKING, response
from tests.unit.test_uploads import ALL, PNG, ask, image, provider, store

__all__ = ["provider"]

DELETED = ["DELETE v1beta/files/f1"]


@pytest.fixture(autouse=True)
def fails(gateway: Gateway, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """At Google, which alone takes large pictures by upload; OpenAI works in the background."""
    catalog, credentials = gateway.world.catalog, gateway.world.credentials
    assert isinstance(catalog, MemoryCatalog)
    assert isinstance(credentials, MemoryCredentials)
    catalog.held["openai"] = {"deep": replace(FACTS, input=ALL)}
    credentials.held["openai"] = Credential(Secret("k"))
    limited = for_every_model(InlineLimits(6000, {"image": 2000}))

    def named(name: str) -> Any:
        found = provider_named(name)
        return replace(found, inline=limited) if name == "google" else found

    monkeypatch.setattr(route, "provider_named", named)
    provider.overrides["POST v1beta/models/m:generateContent"] = whole(500, {"error": {"message": "no"}})
    provider.overrides["POST v1/responses"] = whole(200, response("queued"))
    provider.overrides["GET v1/responses"] = whole(200, WORKING)


async def asked(gateway: Gateway, **members: Any) -> Any:
    picture = image(store(gateway, PNG, "image/png"))
    return await ask(gateway, "google", picture, fallbacks=["openai/deep"], **members)


def deleted(provider: FakeProvider) -> list[str]:
    return [what for what in provider.asked if what.startswith("DELETE")]


async def test_when_the_request_is_answered_with_its_job(gateway: Gateway, provider: FakeProvider) -> None:
    answer = await asked(gateway, timeouts={"total_ms": 6_000})
    assert (answer.status, deleted(provider)) == (202, DELETED)


async def test_when_the_worker_of_a_job_has_begun_it(gateway: Gateway, provider: FakeProvider) -> None:
    job_id = (await asked(gateway, **{"async": True})).json["id"]
    assert isinstance(gateway.world.jobs, MemoryJobs)
    job = await worked(await gateway.world.jobs.get("acme", job_id), gateway.world)
    assert (job.is_begun, deleted(provider)) == (True, DELETED)


async def test_what_stays_behind_is_recorded(gateway: Gateway, provider: FakeProvider) -> None:
    provider.overrides["DELETE v1beta/files"] = whole(500, {})
    await asked(gateway, timeouts={"total_ms": 6_000})
    assert isinstance(gateway.world.records, ListRecords)
    assert {"event": "upload.left_behind", "files": 1}.items() <= gateway.world.records.troubles[-1].items()
