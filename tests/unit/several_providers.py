"""A gateway in memory with models at three providers, each of which answers what the test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from gateway.entry.embeddings import ROUTE, embeddings_app
from gateway.model.catalog import EmbeddingFacts, ModelFacts, Prices
from gateway.model.http import HttpRequest, Sending
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.tenant import Tenant
from tests.asgi import call
from tests.fakes import (
    ListEvents,
    ListRecords,
    MemoryAccess,
    MemoryCatalog,
    ScriptedIncoming,
    note_sent,
    principal,
    world_of,
)
from tests.unit.conftest import KEY, Gateway

PROVIDERS = {
    "api.openai.com": "openai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.x.ai": "xai",
    "generativelanguage.googleapis.com": "google",
}
CAN = ("streaming", "tools")
TENANT = Tenant(id="acme", approvals=("openai/*", "groq/*", "mistral/*"), aliases={"spare": "groq/llama"})
FIGURES = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
Answer = ScriptedIncoming | Exception | Callable[[], Any]


def model(name: str, dollars: int = 1, **more: Any) -> ModelFacts:
    """At so many dollars for a million tokens of its prompt, and twice as many for those of its reply."""
    prices = Prices(input=dollars * 1_000_000, output=dollars * 2_000_000)
    more = {"capabilities": CAN, "context_tokens": 1_000, "max_output_tokens": 100, **more}
    return ModelFacts(id=name, name=name, prices=prices, source="https://example.com", **more)


@dataclass
class ProvidersOutbound:
    """Gives each provider's answers in turn, the last one again and again; a function is awaited for its answer."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: list[HttpRequest] = field(default_factory=list)
    still_open: int = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[ScriptedIncoming]:
        provider = PROVIDERS[urlsplit(request.url).hostname or ""]
        self.asked.append(provider)
        self.sent.append(request)
        answers = self.answers[provider]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        note_sent(sending)
        self.still_open += 1
        try:
            yield await answer() if callable(answer) else answer
        finally:
            self.still_open -= 1


@dataclass
class Several(Gateway):
    providers: ProvidersOutbound = field(default_factory=ProvidersOutbound)

    def provider(self, name: str, *answers: Answer) -> None:
        self.providers.answers[name] = [*answers]

    def tenant(self, **settings: Any) -> None:
        self.hold(principal(msgspec.structs.replace(TENANT, **settings)))

    async def embed(self, **more: Any) -> Any:
        body = json.dumps({"model": "openai/embed", "input": "Hi", **more}).encode()
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        return await call(embeddings_app(self.world), body, headers, path=ROUTE)

    @property
    def told(self) -> list[Any]:
        assert isinstance(self.world.events, ListEvents)
        return self.world.events.told

    @property
    def usage(self) -> list[UsageRecord]:
        return [one for one in self.told if isinstance(one, UsageRecord)]

    @property
    def switches(self) -> list[AuditEvent]:
        return [one for one in self.told if isinstance(one, AuditEvent) and one.event == "fallback.triggered"]

    async def spent(self, name: str) -> int:
        return (await self.world.ledger.read("T#acme#0")).numbers.get(name, 0)


def several() -> Several:
    access, outbound = MemoryAccess(), ProvidersOutbound()
    vectors: dict[str, Any] = {"api": "embeddings", "context_tokens": 100, "embedding": EmbeddingFacts(dimensions=2)}
    catalog = MemoryCatalog(
        {
            "openai": {"gpt": model("gpt"), "embed": model("embed", **vectors)},
            "groq": {
                "llama": model("llama", 3),
                "dumb": model("dumb", capabilities=("streaming",)),
                "small": model("small", context_tokens=5),
            },
            "mistral": {
                "large": model("large", 2),
                "embed": model("embed", 2, **vectors),
                "long": model("long", **{**vectors, "embedding": EmbeddingFacts(dimensions=3)}),
            },
        }
    )
    world = replace(world_of(outbound, access, catalog), outbound=outbound)  # type: ignore[arg-type]
    assert isinstance(world.records, ListRecords)
    made = Several(world, outbound, access, world.records, outbound)  # type: ignore[arg-type]
    made.tenant()
    return made


def answers(status: int, *parts: Any, content_type: str = "application/json") -> ScriptedIncoming:
    return ScriptedIncoming(status, {"content-type": content_type}, list(parts))


def says(text: str) -> ScriptedIncoming:
    choices = [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]
    said = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": FIGURES}
    return answers(200, json.dumps(said).encode())


def embeds() -> ScriptedIncoming:
    vectors = {"data": [{"index": 0, "embedding": [0.5, 0.5]}], "model": "m"}
    return answers(200, json.dumps({**vectors, "usage": {"prompt_tokens": 3, "total_tokens": 3}}).encode())


def fails(status: int, **error: Any) -> ScriptedIncoming:
    return answers(status, json.dumps({"error": {"message": "no", **error}}).encode())


def event(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
END = event({}, "stop", usage=FIGURES) + b"data: [DONE]\n\n"


def streams(*parts: Any) -> ScriptedIncoming:
    return answers(200, *parts, content_type="text/event-stream")


def streams_text(*texts: str) -> ScriptedIncoming:
    return streams(ROLE, *(event({"content": text}) for text in texts), END)


def stalls(began: asyncio.Event | None = None) -> Callable[[], Any]:
    """Never answers."""

    async def answer() -> Any:
        if began is not None:
            began.set()
        await asyncio.Event().wait()

    return answer


def texts(events: Sequence[Any]) -> str:
    """What a stream's events say together."""
    chunks = [one for one in events if isinstance(one, dict)]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))
