"""What a provider reads with the owner's rights, it reads for tenants that are allowed it, and for no other."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.model.catalog import ModelFacts
from gateway.model.http import Credential
from gateway.model.secret import Secret
from tests.fakes import MemoryCredentials, principal
from tests.unit.conftest import TENANT, Gateway
from tests.unit.file_provider import GEMINI_REPLY

OWN = "gs://acme-media/"
FACTS = ModelFacts(
    id="gemini", name="", api="generate_content", source="x", input=("text", "image", "audio", "video", "document")
)


def allow(gateway: Gateway, *prefixes: str) -> None:
    gateway.answers(200, json.dumps(GEMINI_REPLY).encode())
    gateway.world.catalog.held["google"] = {"gemini": FACTS}  # type: ignore[attr-defined]
    assert isinstance(gateway.world.credentials, MemoryCredentials)
    gateway.world.credentials.held["google"] = Credential(Secret("provider-key"))
    gateway.hold(principal(msgspec.structs.replace(TENANT, approvals=("*",), provider_urls=prefixes)))


async def ask(gateway: Gateway, *parts: dict[str, Any], earlier: dict[str, Any] | None = None) -> Any:
    """The parts that Google gets, or the error."""
    said = [{"role": "assistant", "content": "", **earlier}] if earlier else []
    messages = [
        {"role": "user", "content": "Hi"},
        *said,
        {"role": "user", "content": [*parts, {"type": "text", "text": "?"}]},
    ]
    answer = await gateway.chat({"model": "google/gemini", "messages": messages})
    if answer.status != 200:
        assert gateway.outbound.sent == []
        return answer.json["error"]
    contents = json.loads(gateway.outbound.sent[-1].body)["contents"]
    return [part for content in contents for part in content["parts"] if "text" not in part]


def named(url: str) -> list[dict[str, Any]]:
    return [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image", "url": url},
        {"type": "audio", "url": url},
        {"type": "video", "url": url},
        {"type": "document", "url": url},
        {"type": "file", "file": {"file_id": url}},
    ]


@pytest.mark.parametrize("part", named(f"{OWN}a.png"), ids=lambda part: part["type"])
async def test_it_is_refused_by_default_and_handed_on_where_it_is_allowed(
    gateway: Gateway, part: dict[str, Any]
) -> None:
    allow(gateway)
    error = await ask(gateway, part)
    assert (error["code"], error["param"]) == ("validation_error", "messages[1].content[0]")
    allow(gateway, "gs://other/", OWN)
    assert [sent["fileData"]["fileUri"] for sent in await ask(gateway, part)] == [f"{OWN}a.png"]


@pytest.mark.parametrize(
    "url",
    [
        "gs://acme-media-too/a.mp3",
        "gs://acme-media",
        "gs://other/acme-media/a.mp3",
        "gs://acme-media/pub/../secret/a.mp3",
        "gs://acme-media/pub/%2e%2E/secret/a.mp3",
    ],
)
async def test_what_only_looks_allowed_is_not(gateway: Gateway, url: str) -> None:
    allow(gateway, "gs://acme-media/pub/")
    assert (await ask(gateway, {"type": "audio", "url": url}))["param"] == "messages[1].content[0]"


async def test_public_videos_are_for_everybody(gateway: Gateway) -> None:
    allow(gateway)
    (sent,) = await ask(gateway, {"type": "video", "url": "https://www.youtube.com/watch?v=abc"})
    assert sent["fileData"]["fileUri"] == "https://www.youtube.com/watch?v=abc"


async def test_nor_are_they_read_as_media_of_an_earlier_reply(gateway: Gateway) -> None:
    media = {"media": [{"type": "image", "content_type": "image/png", "url": f"{OWN}a.png"}]}
    allow(gateway)
    assert (await ask(gateway, earlier=media))["param"] == "messages[1].media[0].url"
