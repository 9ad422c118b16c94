"""A further OpenAI-compatible provider takes one file and one catalog row; nothing else is touched."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import gateway.providers
from gateway.adapters.catalog import FileCatalog
from gateway.model.chat import ChatCall
from gateway.model.http import Credential, HttpResponse
from gateway.model.secret import Secret
from gateway.model.tenant import Tenant
from gateway.pipeline.route import CHAT, resolve
from gateway.providers.contract import Target
from gateway.providers.lookup import has_provider, provider_named, provider_names
from tests.fakes import principal

FILE = '''
"""Dummy."""
from gateway.providers.contract import Provider
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks

PROVIDER = Provider(
    name="dummy",
    base_url="https://api.dummy.example/v1",
    wires={"chat_completions": OpenAiChat(Quirks(renames={"seed": "random_seed"}))},
)
'''
ROW = {"id": "dummy-1", "name": "Dummy 1", "source": "https://dummy.example/models", "as_of": "2026-11-01"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place where `gateway.providers` finds further files."""
    monkeypatch.setattr(gateway.providers, "__path__", [*gateway.providers.__path__, str(tmp_path)])
    provider_names.cache_clear()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("gateway.providers.dummy")]:
        del sys.modules[name]
        monkeypatch.delattr(gateway.providers, name.rpartition(".")[2])
    provider_names.cache_clear()
    provider_named.cache_clear()


def test_one_file_and_one_row(folder: Path) -> None:
    (folder / "dummy.py").write_text(FILE)
    (folder / "dummy.json").write_text(json.dumps({"provider": "dummy", "models": [ROW]}))
    tenant = Tenant(id="acme", approvals=("*",))

    route = resolve(CHAT, "dummy/dummy-1", principal(tenant), FileCatalog(folder), now_s=1_800_000_000)

    call = msgspec.convert({"model": "x", "messages": [{"role": "user", "content": "Hi"}], "seed": 1}, ChatCall)
    target = Target(route.provider.name, route.facts, route.provider.base_url or "")
    request = route.provider.authorize(route.wire.render(call, target), Credential(Secret("k")), 0.0)
    assert request.url == "https://api.dummy.example/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer k"
    body = {"model": "dummy-1", "messages": [{"role": "user", "content": "Hi"}], "random_seed": 1}
    assert json.loads(request.body) == body
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Ho"}, "finish_reason": "stop"}]}
    reply = route.wire.parse(HttpResponse(200, {}, json.dumps(answer).encode()), target)
    assert reply.choices[0].message.content == "Ho"


@pytest.mark.parametrize(
    "name",
    ["", "nobody", "contract", "lookup", "wire", "wire.sse", "..model.chat", "os", "Openai", "open-ai", "1ai", "a\n"],
)
def test_only_providers_are_found(name: str) -> None:
    before = set(sys.modules)
    assert not has_provider(name)
    with pytest.raises(LookupError):
        provider_named(name)
    assert set(sys.modules) == before


def test_a_file_without_a_provider_is_an_error(folder: Path) -> None:
    (folder / "dummy_empty.py").write_text("PROVIDER = 7\n")
    with pytest.raises(TypeError):
        provider_named("dummy_empty")
