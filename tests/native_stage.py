"""Lines of batches that their provider's own batches are for: made ready, and given what its wire reads in results."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gateway.adapters.catalog import FileCatalog
from gateway.model.batch import BatchGroup, PartLine, batch_of, part_lines, part_name
from gateway.model.http import Credential
from gateway.model.record import AuditEvent, UsageRecord
from gateway.model.secret import Secret
from gateway.pipeline.batch_check import of_lines
from gateway.pipeline.batch_line import CarriedOut, Lines
from gateway.pipeline.batch_line_native import Native, Outcome, Ready, given_line, native_of, ready_line
from gateway.pipeline.job_end import principal_of
from gateway.providers.contract import BatchResult
from tests.batch_stage import Stage, chat
from tests.fakes import MemoryCredentials

CATALOG = Path(__file__).parents[1] / "shared" / "catalog"
PROVIDERS = ("openai", "anthropic", "google", "mistral", "groq")
HOUR_S = 3_600.0
COST = 100 * 75 + 20 * 300
"""Of `openai_result`, at the prices of a batch: $0.075 and $0.30 for a million tokens."""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def native_stage(**changes: Any) -> Stage:
    """With the catalog as it is."""
    stage = Stage.of(**changes)
    keys = {name: Credential(Secret("provider-key")) for name in (*PROVIDERS, *(f"{name}/acme" for name in PROVIDERS))}
    stage.world = replace(stage.world, catalog=FileCatalog(CATALOG), credentials=MemoryCredentials(keys))
    return stage


@dataclass
class NativeBatch:
    stage: Stage
    batch_id: str

    @classmethod
    async def of(cls, requests: list[Any], stage: Stage | None = None, **order: Any) -> NativeBatch:
        stage = stage or native_stage()
        batch_id = await stage.ordered(requests, **order)
        await stage.step(batch_id, "prepare")
        job = await stage.job(batch_id)
        assert job.status == "running", (job.error, await stage.shown(batch_id))
        return cls(stage, batch_id)

    @property
    async def groups(self) -> tuple[BatchGroup, ...]:
        return (await self.stage.batch(self.batch_id)).groups

    async def lines(self, group: int = 0) -> Lines:
        job = await self.stage.job(self.batch_id)
        principal = of_lines(await principal_of(job, self.stage.world))
        return Lines(job, batch_of(job).groups[group], principal)

    async def line(self, at: int = 0, group: int = 0) -> PartLine:
        stored = await self.stage.world.batch_store.lines("acme", self.batch_id, part_name(group, 0))
        return part_lines(stored)[at]

    async def native(self, group: int = 0) -> Native:
        return await native_of(await self.lines(group), self.stage.world)

    async def made_ready(self, at: int = 0, group: int = 0) -> Ready | CarriedOut:
        line, lines = await self.line(at, group), await self.lines(group)
        return await ready_line("item-1", at, line, lines, await self.native(group), self.stage.world)

    async def ready(self, at: int = 0, group: int = 0) -> Ready:
        made = await self.made_ready(at, group)
        assert isinstance(made, Ready), made
        return made

    async def read(self, *results: dict[str, Any], group: int = 0) -> list[BatchResult[Any]]:
        native = await self.native(group)
        parser = native.wire.parser(native.target)
        data = b"".join(json.dumps(result).encode() + b"\n" for result in results)
        return [*parser.feed(data), *parser.close()]

    async def given(self, ready: Ready, outcome: Outcome, at: int = 0, group: int = 0) -> CarriedOut:
        line, lines = await self.line(at, group), await self.lines(group)
        return await given_line(ready.kept, outcome, at, line, lines, self.stage.world)

    async def answered(self, ready: Ready, result: dict[str, Any], group: int = 0) -> CarriedOut:
        [found] = await self.read(result, group=group)
        return await self.given(ready, found, group=group)


def body_of(carried: CarriedOut) -> Any:
    return json.loads(bytes(carried.end.body))


def openai_result(content: str | None = "Hello.", item_id: str = "item-1", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    body = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": [choice]}
    response = {"status_code": 200, "request_id": "r-1", "body": {**body, "usage": usage}}
    return {"id": "b-1", "custom_id": item_id, "response": response, "error": None}


def mini(custom_id: str = "a", text: str = "Hi", **members: Any) -> dict[str, Any]:
    return chat(custom_id, "openai/gpt-4o-mini", text, **members)


def later(stage: Stage, seconds: float = HOUR_S) -> None:
    stage.clock.unix_s += seconds
    stage.clock.running_s += seconds


def usage_of(carried: CarriedOut) -> UsageRecord:
    [record] = carried.end.records
    return record


def event_of(carried: CarriedOut) -> AuditEvent:
    started, ended = carried.end.events
    assert started.event == "request.started"
    return ended


async def one(request: dict[str, Any], result: dict[str, Any], stage: Stage | None = None) -> CarriedOut:
    batch = await NativeBatch.of([request], stage)
    ready = await batch.ready()
    later(batch.stage)
    return await batch.answered(ready, result)


def content_of(carried: CarriedOut) -> Any:
    return body_of(carried)["choices"][0]["message"]["content"]


GEMINI = {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1_290, "totalTokenCount": 1_300}}


def picture() -> dict[str, Any]:
    inline = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}
    candidate = {"content": {"role": "model", "parts": [inline]}, "finishReason": "STOP", "index": 0}
    return {"key": "item-1", "response": {"candidates": [candidate], **GEMINI}}
