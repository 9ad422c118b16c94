"""Clients of a gateway that ask what `traffic.py` has, at a steady pace, and note how each request ended."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.batched import ENDED
from benchmarks.traffic import KINDS, WELL, Gathered, Kind, Ordered, Seen, deck

MAX_OPEN = 24
TIMEOUT_S = 120.0
LEAVES_AFTER_S = 0.4
LOOKS_EVERY_S = 1.0
ENDED_WITHIN_S = 600.0
BATCH_EVERY_S = 45.0
BATCH_MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "cohere/command-a-03-2025")
BATCH_LINES = 9
MOST_WORDS = 600
SEED = 10


@dataclass(slots=True)
class Customers:
    """`keys`: by tenant. `latest_s`: how late a request left at most, for so many were open."""

    http: httpx.AsyncClient
    keys: Mapping[str, str]
    gathered: Gathered = field(default_factory=Gathered)
    latest_s: float = 0.0
    _chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - nothing secret
    _words: dict[str | None, str] = field(default_factory=dict)
    """What was answered, by request id, as long as it is not known whether that is allowed."""

    async def run(self, seconds: float, rate_per_s: float) -> None:
        """Asks so often for so long, then waits until all that was asked and ordered has ended."""
        room, started_s, number = asyncio.Semaphore(MAX_OPEN), time.monotonic(), 0
        cards: list[Kind] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(self._order_batches(started_s + seconds))
            while time.monotonic() < started_s + seconds:
                due_s = started_s + number / rate_per_s
                number += 1
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await room.acquire()
                self.latest_s = max(self.latest_s, time.monotonic() - due_s)
                cards = cards or deck(self._chance)
                asking = group.create_task(self.ask(cards.pop()))
                asking.add_done_callback(lambda _: room.release())

    async def ask_each_once(self, at_once: int) -> None:
        """One request of every kind, and a batch: afterwards every function has been asked."""
        room = asyncio.Semaphore(at_once)

        async def ask(kind: Kind) -> None:
            async with room:
                await self.ask(kind)

        await asyncio.gather(*map(ask, KINDS))
        await self._order_batch()

    async def ask(self, kind: Kind) -> None:
        """One request, noted when it has ended."""
        try:
            seen = await self._asked(kind)
        except (httpx.HTTPError, ValueError, KeyError, TimeoutError) as error:
            seen = Seen.of(kind, type(error).__name__)
            self._unexpected(seen, _words_of(error))
        else:
            if seen.outcome not in kind.expected:
                self._unexpected(seen, self._words.pop(seen.request_id, ""))
        self.gathered.seen.append(seen)

    def _unexpected(self, seen: Seen, words: str) -> None:
        self.gathered.unexpected.append(f"{seen.kind}: {seen.outcome} ({seen.request_id}): {words[:MOST_WORDS]}")

    async def _asked(self, kind: Kind) -> Seen:
        body = kind.asked(self._chance)
        match kind.manner:
            case "job":
                return await self._job(kind, body)
            case "cancelled job":
                return await self._job(kind, body, cancels=True)
            case "leaves":
                return await self._left(kind, body)
        async with self._posted(kind, body) as answer:
            if answer.status_code == 200 and kind.manner in ("stream", "leaves a stream"):
                return await self._streamed(kind, answer)
            return self._whole(kind, answer, await answer.aread())

    def _posted(self, kind: Kind, body: dict[str, Any]) -> Any:
        return self.http.stream("POST", kind.path, headers=self._headers(kind.tenant), json=body)

    def _headers(self, tenant: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys[tenant]}"}

    async def _left(self, kind: Kind, body: dict[str, Any]) -> Seen:
        """Gone before anything was answered, or with an answer that came sooner."""
        try:
            async with asyncio.timeout(LEAVES_AFTER_S), self._posted(kind, body) as answer:
                return self._whole(kind, answer, await answer.aread())
        except TimeoutError:
            return Seen.of(kind, "left")

    async def _streamed(self, kind: Kind, answer: httpx.Response) -> Seen:
        seen = Seen.of(kind, "broken off", request_id_of(answer))
        async for event in _events(answer):
            if kind.manner == "leaves a stream":
                seen.outcome = "left"
                return seen
            if event == "[DONE]" and seen.outcome == "broken off":
                seen.outcome = "ok" if seen.cost_nano_usd is not None else "without a cost"
            elif event != "[DONE]":
                self._words[seen.request_id] = event
                note(seen, json.loads(event))
        self._forget(kind, seen)
        return seen

    def _whole(self, kind: Kind, answer: httpx.Response, raw: bytes) -> Seen:
        seen = Seen.of(kind, "ok", request_id_of(answer))
        note(seen, json.loads(raw))
        self._words[seen.request_id] = raw.decode(errors="replace")
        if seen.outcome == "ok" and (answer.status_code != 200 or seen.cost_nano_usd is None):
            seen.outcome = f"status {answer.status_code} without a cost"
        self._forget(kind, seen)
        return seen

    def _forget(self, kind: Kind, seen: Seen) -> None:
        if seen.outcome in kind.expected:
            self._words.pop(seen.request_id, None)

    async def _job(self, kind: Kind, body: dict[str, Any], *, cancels: bool = False) -> Seen:
        """One that was ordered, as it is once it has ended."""
        headers = self._headers(kind.tenant)
        answer = await self.http.post(kind.path, headers=headers, json=body)
        if answer.status_code != 202:
            return self._whole(kind, answer, answer.content)
        job, request_id = answer.json(), request_id_of(answer)
        if cancels:
            await self._cancelled(kind, job["id"])
        job = await self._ended(f"/jobs/{job['id']}", headers)
        self._words[request_id] = json.dumps(job)
        seen = Seen.of(kind, job["status"], request_id)
        seen.cost_nano_usd = nano_usd(job["cost_estimate"])
        if job["status"] == "completed":
            seen.outcome = "ok" if job["result"]["status_code"] == 200 and job["error"] is None else "no result"
        elif job["status"] == "failed":
            seen.outcome = job["error"]["code"] if job["result"] is None else "two results"
        self._forget(kind, seen)
        return seen

    async def _cancelled(self, kind: Kind, job_id: str) -> None:
        answer = await self.http.post(f"/jobs/{job_id}/cancel", headers=self._headers(kind.tenant))
        outcome = "ok" if answer.status_code == 200 else f"status {answer.status_code}"
        seen = Seen("cancels a job", kind.tenant, outcome, request_id_of(answer), 0, is_recorded=False)
        if outcome != "ok":
            self._unexpected(seen, answer.text)
        self.gathered.seen.append(seen)

    async def _ended(self, path: str, headers: dict[str, str]) -> Any:
        """A look that is refused is unexpected, and changes nothing: the next one comes."""
        async with asyncio.timeout(ENDED_WITHIN_S):
            while True:
                answer = await self.http.get(path, headers=headers)
                if answer.status_code != 200:
                    self.gathered.unexpected.append(f"looks at {path}: {answer.text[:MOST_WORDS]}")
                elif (found := answer.json())["status"] in ENDED:
                    return found
                await asyncio.sleep(LOOKS_EVERY_S)

    async def _order_batches(self, until_s: float) -> None:
        while time.monotonic() < until_s:
            await self._order_batch()
            await asyncio.sleep(BATCH_EVERY_S)

    async def _order_batch(self) -> None:
        try:
            await self._batch()
        except (httpx.HTTPError, TimeoutError, KeyError, ValueError) as error:
            self.gathered.unexpected.append(f"batch: {_words_of(error)}")

    async def _batch(self) -> None:
        """Ordered, waited for and read; some lines are asked at once, others in a batch of their provider's."""
        headers = self._headers(WELL)
        order = {"requests": [_line(number) for number in range(BATCH_LINES)]}
        answer = (await self.http.post("/batches", headers=headers, json=order)).raise_for_status()
        self.gathered.seen.append(Seen("orders a batch", WELL, "ok", request_id_of(answer), 0))
        batch = await self._ended(f"/batches/{answer.json()['id']}", headers)
        page = (await self.http.get(f"/batches/{batch['id']}/results", headers=headers)).raise_for_status()
        ids = sorted(json.loads(line)["custom_id"] for line in page.text.splitlines())
        if batch["status"] != "completed" or ids != sorted(f"line-{number}" for number in range(BATCH_LINES)):
            self.gathered.unexpected.append(f"batch: {batch['status']} with {ids}: {json.dumps(batch)[:MOST_WORDS]}")
        self.gathered.batches.append(Ordered(batch["id"], BATCH_LINES, nano_usd(batch["cost_estimate"]) or 0))


def _words_of(error: Exception) -> str:
    """And those of whoever answered with a status that is none of a look's."""
    return f"{error!r} {error.response.text}" if isinstance(error, httpx.HTTPStatusError) else repr(error)


def request_id_of(answer: httpx.Response) -> str | None:
    found: str | None = answer.headers.get("x-gateway-request-id")
    return found


def note(seen: Seen, document: dict[str, Any]) -> None:
    """Outcome, cost and attempts, as far as this document has them: a reply, one event of a stream, an error."""
    error = document.get("error")
    if error is not None:
        seen.outcome = error["code"]
    said = document if error is None else error
    usage = said.get("usage") or {}
    if "cost_estimate" in usage:
        seen.cost_nano_usd = nano_usd(usage["cost_estimate"])
    attempts = said.get("attempts") or (said.get("gateway") or {}).get("attempts")
    if attempts:
        seen.attempts = len(attempts)


def nano_usd(usd: float | None) -> int | None:
    return None if usd is None else round(usd * 10**9)


def _line(number: int) -> dict[str, Any]:
    said = [{"role": "user", "content": f"Line {number}."}]
    body = {"model": BATCH_MODELS[number % len(BATCH_MODELS)], "messages": said, "max_tokens": 20}
    return {"custom_id": f"line-{number}", "url": "/v1/chat/completions", "body": body}


async def _events(answer: httpx.Response) -> AsyncIterator[str]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield line.removeprefix("data: ")
