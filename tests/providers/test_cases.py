"""Hand-written exchanges, for every provider and without recordings: tests/providers/<provider>/<case>/.

call.json      the call, `model` as the provider names it: a chat; or
embeddings.json  one for embeddings (a further capability: one line in CALLS)
model.json     optional facts of the model that matter here
settings.json  what the owner stored with the key, where it matters: a base URL, a region, an API version
request.json   what goes out: {"url", "headers" (those worth checking), "body"}
response.json  the answer: {"status", "headers", "body"}, `body` a text where it is no JSON; or
response.sse   a streamed answer; response.eventstream.json (see `framing.stream_of`) in AWS's framing
reply.json     what the answer means; or chunks.json, the stream's pieces; or error.json (`kind`: the error's class)
source.md      where the shapes come from

A case without response only renders, and with error.json it is refused before anything is sent. A stream may bring
chunks and then an error. Members that are null or empty and counts of no tokens are left out of the expectations.
"""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import gateway.providers
from gateway.model.call import Call
from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.embeddings import EmbeddingsCall
from gateway.model.errors import CapabilityNotSupported, GatewayError
from gateway.model.http import Credential, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Chunk
from gateway.model.secret import Secret
from gateway.providers.contract import ChatWire, EmbeddingsWire, Provider, Target, base_url_of
from gateway.providers.lookup import has_provider, provider_named
from tests.providers.framing import EVENT_STREAM, SSE, stream_of

HERE = Path(__file__).parent
CALLS: dict[str, tuple[type[Call], str]] = {
    "call.json": (ChatCall, "wires"),
    "embeddings.json": (EmbeddingsCall, "embeddings"),
}
"""By capability: what is called, and the member of a provider that has the wires for it."""
CASES = sorted(path.parent for name in CALLS for path in HERE.glob(f"*/*/{name}"))
NAMES = sorted(name for _, name, _ in pkgutil.iter_modules(gateway.providers.__path__) if has_provider(name))
PROVIDERS = [provider_named(name) for name in NAMES]
CHAT_PROVIDERS = [provider.name for provider in PROVIDERS if provider.wires]
EMBEDDINGS_PROVIDERS = [provider.name for provider in PROVIDERS if provider.embeddings]
Wire = ChatWire | EmbeddingsWire

OWNERS_BASE_URL = "http://model.example/v1"
KNOWN = {*CALLS, "model.json", "settings.json", "request.json", "response.json", SSE, EVENT_STREAM} | {
    *("reply.json", "chunks.json", "error.json", "source.md")
}


def _read(case: Path, name: str) -> Any:
    path = case / name
    return json.loads(path.read_text()) if path.is_file() else None


def setting(case: Path) -> tuple[Any, Any, Target]:
    """A call, and the wire and the target that it is for."""
    name = next(name for name in CALLS if (case / name).is_file())
    kind, wires_of = CALLS[name]
    call = msgspec.convert(_read(case, name), kind)
    provider = provider_named(case.parent.name)
    wires = getattr(provider, wires_of)
    facts = {"id": call.model, "name": call.model, "api": next(iter(wires))}
    model = msgspec.convert(facts | (_read(case, "model.json") or {}), ModelFacts)
    return call, wires[model.api], Target(provider.name, model, *_place(case, provider))


def _place(case: Path, provider: Provider) -> tuple[str, dict[str, str]]:
    """Base URL and settings."""
    settings: dict[str, str] = _read(case, "settings.json") or {}
    base_url = settings.pop("base_url", None if provider.base_url else OWNERS_BASE_URL)
    return base_url_of(provider, Credential(Secret(""), base_url, settings=settings)), settings


def _set_members(value: Any) -> Any:
    """Plain data without members that say nothing."""
    if isinstance(value, dict):
        kept = {name: _set_members(member) for name, member in value.items()}
        return {name: member for name, member in kept.items() if not _says_nothing(name, member)}
    return [_set_members(item) for item in value] if isinstance(value, list) else value


def _says_nothing(name: str, member: Any) -> bool:
    return member is None or member == {} or (name.endswith("_tokens") and member == 0)


def _plain(value: Any) -> Any:
    """Of a reply, in JSON as a part of it may be."""
    return _set_members(msgspec.json.decode(msgspec.json.encode(value)))


def _check_error(case: Path, error: GatewayError) -> None:
    facts = {
        "kind": type(error).__name__,
        "status": error.status,
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "provider_code": error.provider_code,
        "retry_after_s": error.retry_after_s,
    }
    assert {name: value for name, value in facts.items() if value is not None} == _read(case, "error.json")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_case(case: Path) -> None:
    assert {path.name for path in case.iterdir()} <= KNOWN
    assert (case / "source.md").read_text().strip()
    call, wire, target = setting(case)
    if (case / "request.json").is_file():
        _check_request(_read(case, "request.json"), call, wire, target)
    elif not (case / "response.json").is_file() and stream_of(case) is None:
        with pytest.raises(CapabilityNotSupported) as refused:
            wire.render(call, target)
        _check_error(case, refused.value)
    if (case / "response.json").is_file():
        _check_answer(case, wire, target)
    if (data := stream_of(case)) is not None:
        _check_stream(data, case, wire, target)


def _check_request(wanted: dict[str, Any], call: Any, wire: Wire, target: Target) -> None:
    request = wire.render(call, target)
    assert msgspec.json.decode(request.body) == wanted["body"]
    assert request.url == wanted["url"]
    assert request.method == "POST"
    assert request.headers.items() >= wanted.get("headers", {}).items()


def _check_answer(case: Path, wire: Wire, target: Target) -> None:
    answer = _read(case, "response.json")
    raw = answer["body"] if isinstance(answer["body"], str) else json.dumps(answer["body"])
    response = HttpResponse(answer["status"], answer.get("headers", {}), raw.encode())
    if (case / "reply.json").is_file():
        assert _plain(wire.parse(response, target)) == _read(case, "reply.json")
    elif response.status >= 300:
        _check_error(case, wire.fail(response, target))
    else:
        with pytest.raises(ProviderFailure) as failed:
            wire.parse(response, target)
        _check_error(case, failed.value)


def _check_stream(data: bytes, case: Path, wire: ChatWire, target: Target) -> None:
    for piece_bytes in (len(data), 1):
        chunks: list[Chunk] = []
        error: ProviderFailure | None = None
        parser = wire.stream(target)
        try:
            for start in range(0, len(data), piece_bytes):
                chunks.extend(parser.feed(data[start : start + piece_bytes]))
            chunks.extend(parser.close())
        except ProviderFailure as failure:
            error = failure
        assert _plain(chunks) == (_read(case, "chunks.json") or [])
        assert (error is not None) is (case / "error.json").is_file()
        if error is not None:
            _check_error(case, error)


@pytest.mark.parametrize("provider", CHAT_PROVIDERS)
@pytest.mark.parametrize("answer", ["reply.json", "chunks.json", "error.json"])
def test_every_provider_has_a_case_of_each_kind(provider: str, answer: str) -> None:
    assert _has_case(provider, "call.json", answer)


@pytest.mark.parametrize("provider", EMBEDDINGS_PROVIDERS)
@pytest.mark.parametrize("answer", ["request.json", "reply.json", "error.json"])
def test_every_provider_of_embeddings_has_a_case_of_each_kind(provider: str, answer: str) -> None:
    assert _has_case(provider, "embeddings.json", answer)


def _has_case(provider: str, call: str, answer: str) -> bool:
    return any((path.parent / answer).is_file() for path in HERE.glob(f"{provider}/*/{call}"))
