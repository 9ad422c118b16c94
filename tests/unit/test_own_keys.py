"""A tenant's own key at a provider: used where its settings say so, for all that is asked, and never the owner's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.model.circuit import Rules
from gateway.model.http import Credential
from gateway.model.secret import Secret
from gateway.model.tenant import Tenant
from gateway.pipeline.callbacks import callback_s
from gateway.pipeline.shared_health import SharedHealth
from tests.fakes import MemoryCredentials
from tests.health_store import MemoryHealth
from tests.unit.several_providers import Several, fails, says, several, streams_text
from tests.unit.test_background import DONE, gateway_of_background
from tests.unit.videos_gateway import gateway_of_videos

OWNERS, OWN = "owners-key", "own-key"
HELLO: dict[str, Any] = {"model": "openai/gpt", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}


def keys_of(gateway: Any) -> MemoryCredentials:
    keys = gateway.world.credentials
    assert isinstance(keys, MemoryCredentials)
    return keys


def give(gateway: Any, provider: str, tenant: str = "acme") -> None:
    """Both the owner and the tenant have a key there."""
    keys_of(gateway).held[provider] = Credential(Secret(OWNERS))
    keys_of(gateway).held[f"{provider}/{tenant}"] = Credential(Secret(OWN))


def keys_sent(sent: list[Any]) -> set[str]:
    return {request.headers["authorization"].removeprefix("Bearer ") for request in sent}


@pytest.fixture
def gateway() -> Several:
    made = several()
    made.provider("openai", says("Hello."))
    made.provider("groq", says("groq"))
    give(made, "openai")
    return made


@pytest.mark.parametrize(("own_keys", "key"), [((), OWNERS), (("openai",), OWN), (("groq",), OWNERS)])
async def test_whose_key_is_used(gateway: Several, own_keys: tuple[str, ...], key: str) -> None:
    gateway.tenant(own_keys=own_keys)
    assert (await gateway.chat(HELLO)).status == 200
    assert keys_sent(gateway.providers.sent) == {key}
    gateway.provider("openai", streams_text("Hello."))
    await gateway.chat({**HELLO, "stream": True})
    assert keys_sent(gateway.providers.sent) == {key}
    assert [record.cost_nano_usd for record in gateway.usage] == [20_000] * 2


async def test_the_owners_is_never_used_in_its_place(gateway: Several) -> None:
    gateway.tenant(own_keys=("openai",))
    del keys_of(gateway).held["openai/acme"]
    answer = await gateway.chat(HELLO)
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")
    assert "openai/acme" in answer.json["error"]["message"]
    assert gateway.providers.sent == []


async def test_another_model_is_asked_with_the_key_that_is_right_for_it(gateway: Several) -> None:
    gateway.tenant(own_keys=("openai",))
    keys_of(gateway).held["groq"] = Credential(Secret(OWNERS))
    gateway.provider("openai", fails(500))
    assert (await gateway.chat({**HELLO, "fallback": {"models": ["groq/llama"]}})).json["model"] == "groq/llama"
    assert [keys_sent([request]) for request in gateway.providers.sent] == [{OWN}, {OWNERS}]


@pytest.mark.parametrize(("own_keys", "health"), [(("openai",), "healthy"), ((), "unhealthy")])
async def test_that_it_is_refused_says_nothing_of_the_model(
    gateway: Several, own_keys: tuple[str, ...], health: str
) -> None:
    gateway.tenant(own_keys=own_keys)
    shared = SharedHealth(Rules(("*",)), 60_000, MemoryHealth(), gateway.world.clock, gateway.records)
    gateway.world = replace(gateway.world, health=shared)
    gateway.provider("openai", fails(401))
    for _ in range(20):
        await gateway.chat(HELLO)
    assert shared.of("openai", "gpt") == health


async def test_it_is_read_anew_when_it_is_refused(gateway: Several) -> None:
    gateway.tenant(own_keys=("openai",))
    keys_of(gateway).rotated["openai/acme"] = Credential(Secret("new-key"))
    gateway.provider("openai", fails(401), says("Hello."))
    assert (await gateway.chat(HELLO)).status == 200
    assert keys_sent(gateway.providers.sent) == {OWN, "new-key"}
    assert keys_of(gateway).held["openai"] == Credential(Secret(OWNERS))


@pytest.mark.parametrize("changes_its_mind", [False, True])
async def test_what_works_in_the_background_keeps_its_key(changes_its_mind: bool) -> None:
    gateway = gateway_of_background()
    give(gateway, "openai")
    gateway.allow(own_keys=("openai",))
    job_id = await gateway.handed_over()
    if changes_its_mind:
        gateway.allow(own_keys=())
    gateway.remote.looks = [DONE]
    assert (await gateway.finished(job_id))["status"] == "completed"
    assert len(gateway.remote.sent) >= 3
    assert keys_sent(gateway.remote.sent) == {OWN}


async def test_a_video_keeps_its_key() -> None:
    gateway = gateway_of_videos()
    give(gateway, "xai")
    gateway.allow(own_keys=("xai",))
    video_id = await gateway.begun()
    gateway.allow(own_keys=())
    assert (await gateway.finished(video_id))["status"] == "completed"
    assert len(gateway.provider.sent) >= 2
    assert keys_sent(gateway.provider.sent) == {OWN}


async def test_nobody_calls_back_for_it() -> None:
    for own_keys, is_called in (((), True), (("openai",), False)):
        gateway = gateway_of_background()
        give(gateway, "openai")
        gateway.allow(own_keys=own_keys)
        gateway.world.callbacks.providers = {"openai"}  # type: ignore[attr-defined]
        job = await gateway.job(await gateway.handed_over())
        assert bool(await callback_s(job, gateway.world, 600)) is is_called


@pytest.mark.parametrize("name", ["openai/acme", "OpenAI", "", "../openai"])
def test_names_that_are_no_providers(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "acme", "own_keys": [name]}, Tenant)
