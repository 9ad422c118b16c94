"""A gateway in memory with models for videos at three providers, each of which begins what the test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from gateway.model.catalog import ModelFacts, UnitPrice
from gateway.model.http import HttpRequest, Sending
from gateway.model.record import AuditEvent, UsageRecord
from tests.fakes import MemoryCatalog, note_sent
from tests.unit.videos_gateway import URL, Gateway, Provider, Whole, facts, gateway_of_videos, said

PROVIDERS = {"api.x.ai": "xai", "api.dev.runwayml.com": "runway", "generativelanguage.googleapis.com": "google"}
BEGUN = {"xai": said(200, request_id="r-1"), "runway": said(200, id="t-1"), "google": said(200, name="operations/o-1")}
COST = {"xai/film": 280_000_000, "runway/clip": 560_000_000, "google/veo": 120_000_000}
"""Of four seconds, in nano-USD."""
BOTH: dict[str, Any] = {"fallbacks": ["runway/clip"]}
DOWN = said(500, error="down")
SILENT = TimeoutError()


def priced(name: str, cents: int, **more: Any) -> ModelFacts:
    """At so many cents for a second."""
    price = UnitPrice(unit="video_ms", pico_usd=cents * 10_000_000_000, per=1000, variant="720p")
    return facts(name, unit_prices=(price,), **more)


@dataclass
class Providers(Provider):
    """`by`: what each says to a request for a video, as an answer, an error or what is awaited for one."""

    by: dict[str, Any] = field(default_factory=lambda: dict(BEGUN))
    asked: list[str] = field(default_factory=list)
    paths: list[tuple[str, str]] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, request: HttpRequest, sending: Sending | None = None) -> AsyncIterator[Whole]:
        name = PROVIDERS[urlsplit(request.url).hostname or ""]
        self.sent.append(request)
        self.paths.append((name, request.method))
        if request.method == "POST":
            self.asked.append(name)
            answer = self.by[name]
            answer = await answer() if callable(answer) else answer
        elif request.method == "DELETE":
            answer = said(204)
        else:
            answer = said(200, status="SUCCEEDED", output=[URL]) if name == "runway" else self.looks[-1]
        if isinstance(answer, Exception):
            if answer is SILENT:
                note_sent(sending)
            raise answer
        note_sent(sending)
        yield answer


@dataclass
class Several(Gateway):
    @property
    def providers(self) -> Providers:
        assert isinstance(self.provider, Providers)
        return self.provider

    def begins(self, **answers: Any) -> None:
        self.providers.by.update(answers)

    @property
    def costs(self) -> list[tuple[str | None, str | None, int | None]]:
        """Of each attempt that was told: model, code, nano-USD."""
        found = {one.id: one for one in self.told if isinstance(one, UsageRecord)}
        return [(one.model, one.code, one.cost_nano_usd) for one in found.values()]

    @property
    def switches(self) -> list[Any]:
        found = {one.id: one for one in self.told if isinstance(one, AuditEvent) and one.event == "fallback.triggered"}
        return [one.facts for one in found.values()]

    async def number(self, name: str) -> int:
        return (await self.world.ledger.read("T#acme#0")).numbers.get(name, 0)


def several() -> Several:
    made, providers = gateway_of_videos(), Providers()
    models = {
        "xai": {"film": priced("film", 7), "mute": priced("mute", 7, picture="none")},
        "runway": {"clip": priced("clip", 14), "needy": priced("needy", 14, picture="required")},
        "google": {"veo": priced("veo", 3)},
    }
    world = replace(made.world, outbound=providers, catalog=MemoryCatalog(models))
    return Several(world, providers, made.access, made.files, made.jobs, made.downloads, made.clock)
