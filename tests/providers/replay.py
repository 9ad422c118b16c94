"""Recorded exchanges played through the wires: what is asked, what is understood, and which recordings take part."""

from __future__ import annotations

import base64
import csv
import importlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.fold import fold
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderFailure
from gateway.model.reply import Chunk, Reply
from gateway.providers.contract import ChatWire, Target
from gateway.providers.lookup import has_provider, provider_named
from gateway.providers.wire.openai_chat import OpenAiChat, Quirks
from tests.providers.framing import CONVERSE_EVENTS, aws_event
from tests.providers.inverse.expected import Expected, ExpectedCall, ExpectedChoice, ExpectedError, parsed
from tests.providers.places import PLACES

Recording = dict[str, Any]

ROOT = Path(os.environ.get("RECORDINGS_DIR") or Path(__file__).parents[3] / "shared" / "recordings")
APIS = ("chat_completions", "messages", "generate_content", "responses", "cohere_chat", "converse")
# Recordings' name of a provider: the gateway's.
OURS = {
    **{name: name for name in ("openai", "anthropic", "mistral", "groq", "deepseek", "xai", "together")},
    **{name: name for name in ("fireworks", "openrouter", "perplexity", "cerebras", "ollama", "vllm")},
    **{name: name for name in ("azure", "vertex", "cohere", "huggingface")},
    "gemini": "google",
    "bedrock": "bedrock",
}
# Bedrock's other endpoint speaks these, which the gateway does not use: another host's answers.
MANTLE_APIS = ("chat_completions", "responses")
# Whose wire reads the answers of hosts that are not among ours.
HOME = {"messages": "anthropic", "generate_content": "google", "responses": "openai"}
PIECE_BYTES = 7


@dataclass(frozen=True)
class Planned:
    """One recording. `skipped`: why it takes no part. `extra`: another host's answer, only read."""

    id: str
    path: Path
    provider: str
    api: str
    skipped: str | None = None
    extra: bool = False

    def load(self) -> Recording:
        recording: Recording = json.loads(self.path.read_text())
        return recording


def plan() -> list[Planned]:
    """Every recording of the chat APIs; empty without the folder."""
    index = ROOT / "INDEX.tsv"
    if not index.is_file():
        return []
    with index.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["api"] in APIS]
    return [_planned(row) for row in rows]


def _planned(row: dict[str, str]) -> Planned:
    path = ROOT / row["file"]
    provider, api = path.parts[-3], row["api"]
    return Planned(row["id"], path, provider, api, _why_not(row["id"], provider, api), ours(provider, api) is None)


def _why_not(recording_id: str, provider: str, api: str) -> str | None:
    if inverse(api) is None:
        return f"nothing in tests/providers/inverse reads {api} yet"
    if reason := getattr(inverse(api), "SKIPPED", {}).get(recording_id):
        return str(reason)
    if wire_for(provider, api) is None:
        return f"the gateway does not speak {api} with {provider} yet"
    return None


def ours(provider: str, api: str) -> str | None:
    return None if provider == "bedrock" and api in MANTLE_APIS else OURS.get(provider)


def inverse(api: str) -> ModuleType | None:
    name = f"tests.providers.inverse.{api}"
    return importlib.import_module(name) if find_spec(name) else None


def wire_for(provider: str, api: str) -> ChatWire | None:
    """The gateway's own wire; for hosts it has no provider for, that of the API's home."""
    if api == "chat_completions" and (ours(provider, api) is None or provider == "gemini"):
        return OpenAiChat(Quirks(extra_content=True))
    name = ours(provider, api) or HOME.get(api, "")
    return provider_named(name).wires.get(api) if has_provider(name) else None


def target_for(recording: Recording) -> Target:
    """The model as it was recorded; the provider's public base URL, or the recorded one for a server of one's own."""
    api, provider = str(recording["api"]), str(recording["provider"])
    module = inverse(api)
    if hasattr(module, "model_facts"):
        facts: ModelFacts = module.model_facts(recording)  # type: ignore[union-attr]  # hasattr says it is there
    else:
        facts = ModelFacts(id=recording["model"] or "unknown", name=recording["model"] or "unknown", api=api)
    name = OURS.get(provider, provider)
    if name in PLACES and recording["request"]:
        return Target(name, facts, *PLACES[name](recording["request"]["url"]))
    url = urlsplit((recording["request"] or {}).get("url", "http://unknown/v1"))
    recorded = f"{url.scheme}://{url.netloc}{url.path.removesuffix('/chat/completions')}"
    foreign = provider == "gemini" and api == "chat_completions"  # Google's imitation of OpenAI has its own base
    public = provider_named(name).base_url if has_provider(name) and not foreign else None
    return Target(name, facts, public or recorded)


def call_for(recording: Recording, target: Target) -> ChatCall:
    module = inverse(recording["api"])
    assert module is not None
    call: ChatCall = module.call_from(recording)
    options = list((call.provider_options or {}).values())
    return msgspec.structs.replace(call, provider_options={target.provider: options[0]} if options else {})


def differences(recorded: Any, rendered: Any, pointer: str = "") -> list[str]:
    """JSON pointers at which two documents differ; a member that only one of them has counts."""
    if isinstance(recorded, dict) and isinstance(rendered, dict):
        names = sorted(recorded.keys() | rendered.keys())
        pairs = [(recorded.get(name, KeyError), rendered.get(name, KeyError), name) for name in names]
    elif isinstance(recorded, list) and isinstance(rendered, list) and len(recorded) == len(rendered):
        pairs = [(one, other, str(place)) for place, (one, other) in enumerate(zip(recorded, rendered, strict=True))]
    else:
        return [] if recorded == rendered and isinstance(recorded, bool) is isinstance(rendered, bool) else [pointer]
    return [found for one, other, name in pairs for found in differences(one, other, f"{pointer}/{name}")]


def same_path(recorded_url: str, request: HttpRequest) -> bool:
    """The query chooses framing, keys and SDKs' marks, none of which a body shows. SDKs encode paths more or less."""
    return unquote(urlsplit(recorded_url).path) == unquote(urlsplit(request.url).path)


def raw_body(response: Recording) -> bytes:
    if "base64" in response:
        return base64.b64decode(response["base64"])
    if is_unframed(response):
        return b"".join(_event(chunk) for chunk in response.get("chunks") or response["body"])
    if "body" in response:
        return json.dumps(response["body"]).encode()
    return str(response.get("sse", response.get("text", ""))).encode()


def is_unframed(response: Recording) -> bool:
    """A stream whose framing the source dropped, or one in Google's other framing, a JSON list."""
    return "chunks" in response or (isinstance(response.get("body"), list) and response["status"] < 300)


def _event(chunk: Any) -> bytes:
    if isinstance(chunk, dict) and chunk.keys() <= CONVERSE_EVENTS:
        return b"".join(aws_event(name, payload) for name, payload in chunk.items())
    name = f"event: {chunk['type']}\n" if isinstance(chunk, dict) and "type" in chunk else ""
    return f"{name}data: {json.dumps(chunk)}\n\n".encode()


def understood(recording: Recording, wire: ChatWire, target: Target, piece_bytes: int) -> Reply | ProviderFailure:
    """What the wire makes of the recorded answer; a stream is fed in pieces of this size, 0: in one."""
    recorded = recording["response"]
    response = HttpResponse(recorded["status"], dict(recorded["headers"]), raw_body(recorded))
    if response.status >= 400:
        return wire.fail(response, target)
    try:
        if "sse" in recorded or "base64" in recorded or is_unframed(recorded):
            return fold(_chunks(response.body, wire, target, piece_bytes))
        return wire.parse(response, target)
    except ProviderFailure as failure:
        return failure


def _chunks(data: bytes, wire: ChatWire, target: Target, piece_bytes: int) -> Iterable[Chunk]:
    parser = wire.stream(target)
    size = piece_bytes or len(data) or 1
    for start in range(0, len(data), size):
        yield from parser.feed(data[start : start + size])
    yield from parser.close()


def as_expected(outcome: Reply | ProviderFailure, expected: Expected) -> Expected:
    """The outcome in the words of the expectation; a call id counts only where the provider gave one."""
    if isinstance(outcome, ProviderFailure):
        error = ExpectedError(type(outcome), outcome.status, outcome.provider_code, outcome.retry_after_s)
        return Expected(error=error)
    choices = tuple(
        ExpectedChoice(
            text=choice.message.content or "",
            reasoning=choice.message.reasoning_content or "",
            refusal=choice.message.refusal or "",
            tool_calls=tuple(
                ExpectedCall(call.id, call.function.name, parsed(call.function.arguments))
                for call in choice.message.tool_calls or ()
            ),
            finish_reason=choice.finish_reason,
        )
        for choice in outcome.choices
    )
    return Expected(choices=_without_free_ids(choices, expected.choices), usage=outcome.usage)


def _without_free_ids(
    found: tuple[ExpectedChoice, ...], expected: tuple[ExpectedChoice, ...]
) -> tuple[ExpectedChoice, ...]:
    free = {
        (place, number)
        for place, choice in enumerate(expected)
        for number, call in enumerate(choice.tool_calls)
        if call.id is None
    }
    return tuple(
        ExpectedChoice(
            choice.text,
            choice.reasoning,
            choice.refusal,
            tuple(
                ExpectedCall(None if (place, number) in free and call.id else call.id, call.name, call.arguments)
                for number, call in enumerate(choice.tool_calls)
            ),
            choice.finish_reason,
        )
        for place, choice in enumerate(found)
    )
