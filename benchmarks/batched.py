"""Part G: a batch of ten thousand lines by fan-out, through the whole local stack; then results and books are read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks import aims
from benchmarks.figures import Row, Table
from benchmarks.governed import Books, made, months_of
from benchmarks.machine import memory_mb
from benchmarks.plateau import processes
from benchmarks.report import Report
from benchmarks.through_stack import stack
from local.console import Problem, Progress
from local.endpoints import Endpoints

LINES = 10_000
MODELS = ("openai/gpt-4o-mini", "groq/llama-3.1-8b-instant")
FUNCTIONS = ("batches", "batch-task", "batch-work")
OTHERS = 3
"""Requests beside the lines: the file, the order, and the results that were read."""
ENDED = ("completed", "failed", "expired", "cancelled")
WITHIN_S = 1_800.0
EVERY_S = 2.0


@dataclass(slots=True)
class Reader:
    """One who reads results while they come. `first_s`: until the first of them."""

    http: httpx.Client
    batch_id: str
    started_s: float
    first_s: float | None = None
    after: str = ""
    seen: list[str] = field(default_factory=list)

    def read(self) -> None:
        has_more = True
        while has_more:
            asked = {"after": self.after, "limit": "1000"}
            page = self.http.get(f"/batches/{self.batch_id}/results", params=asked).raise_for_status()
            self.seen += [json.loads(line)["custom_id"] for line in page.text.splitlines()]
            self.after, has_more = page.headers["x-next-after"], page.headers["x-has-more"] == "true"
            if self.seen and self.first_s is None:
                self.first_s = time.monotonic() - self.started_s


def measure(share: float, progress: Progress) -> Report:
    """Raises Problem."""
    with stack(progress) as endpoints:
        headers = {"authorization": f"Bearer {endpoints.admin_key}"}
        with httpx.Client(base_url=f"{endpoints.origin}/admin", headers=headers, timeout=60) as admin:
            return _measure(endpoints, admin, int(LINES * share), progress)


def _measure(endpoints: Endpoints, admin: httpx.Client, lines: int, progress: Progress) -> Report:
    tenant_id = f"batch-{int(time.time())}"
    key = made(admin, tenant_id, {})
    with httpx.Client(base_url=endpoints.http, headers={"authorization": f"Bearer {key}"}, timeout=60) as http:
        with progress.step(f"{lines} lines in one batch"):
            reader, batch = _carried_out(http, lines)
        peaks = {name: max(_peaks_mb(endpoints, name), default=0.0) for name in FUNCTIONS}
        merged = _lines_of(http, batch["output_file_id"])
    books = Books(endpoints, admin)
    with progress.step("books and usage records are read"):
        accounts, usage = books.settled(tenant_id), books.recorded(tenant_id, lines + OTHERS)
    said = round(batch["cost_estimate"] * 10**9)
    settled = [months_of(accounts, kind, level) for kind in "sc" for level in "TU"]
    verdicts = [
        aims.BATCH_PEAK.judged(max(peaks.values())),
        aims.BOOKS_DIFFER.judged(float(sum(abs(one - usage["cost_nano_usd"]) for one in (*settled, said)))),
        aims.LINES_NOT_ONCE.judged(float(_not_once(reader.seen, lines) + _not_once(merged, lines))),
        aims.UNRECORDED.judged(float(abs(lines + OTHERS - usage["requests"]))),
    ]
    took_s = batch["completed_at"] - batch["created_at"]
    figures = {
        ("lines", ""): float(lines),
        ("from the order to the first result", "s"): reader.first_s or 0.0,
        ("from the order to the end", "s"): float(took_s),
        ("lines a second", ""): lines / max(1, took_s),
        **{(f"peak memory of {name}", "MB"): peak for name, peak in peaks.items()},
    }
    rows = [Row.single(name, unit, [value]) for (name, unit), value in figures.items()]
    note = (
        f"{len(MODELS)} models in turn, twenty parts of each at once, eight lines in each part. One reader looks every "
        f"{EVERY_S:g} s."
    )
    return Report([Table("G: a batch by fan-out, through the whole local stack", note, rows)], verdicts)


def _carried_out(http: httpx.Client, lines: int) -> tuple[Reader, dict[str, Any]]:
    """Raises Problem."""
    form = {"purpose": "batch"}
    file = http.post("/files", data=form, files={"file": ("batch.jsonl", b"".join(_input(lines)))}).raise_for_status()
    order = {
        "input_file_id": file.json()["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "processing": "direct",
    }
    started_s = time.monotonic()
    made_batch = http.post("/batches", json=order).raise_for_status().json()
    reader = Reader(http, made_batch["id"], started_s)
    while time.monotonic() < started_s + WITHIN_S:
        batch: dict[str, Any] = http.get(f"/batches/{reader.batch_id}").raise_for_status().json()
        reader.read()
        if batch["status"] in ENDED:
            if batch["status"] != "completed":
                raise Problem(f"The batch has not completed: {batch['status']}, {batch['errors']}")
            return reader, batch
        time.sleep(EVERY_S)
    raise Problem(f"The batch has not ended within {WITHIN_S:g} s.")


def _input(lines: int) -> Iterator[bytes]:
    for number in range(lines):
        said = [{"role": "user", "content": f"Line {number}."}]
        body = {"model": MODELS[number % len(MODELS)], "messages": said, "max_tokens": 20}
        line = {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        yield json.dumps(line).encode() + b"\n"


def _lines_of(http: httpx.Client, file_id: str) -> list[str]:
    content = http.get(f"/files/{file_id}/content", follow_redirects=True).raise_for_status()
    return [json.loads(line)["custom_id"] for line in content.text.splitlines()]


def _not_once(ids: list[str], lines: int) -> int:
    """How many lines are missing, and how many there are too many."""
    return (lines - len(set(ids))) + (len(ids) - len(set(ids)))


def _peaks_mb(endpoints: Endpoints, function: str) -> Iterator[float]:
    """Of each environment of that function in this stack."""
    for name, pid in processes(endpoints):
        if name == function:
            with suppress(OSError):  # gone meanwhile
                yield memory_mb(pid)[1]
