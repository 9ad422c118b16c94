"""Part F: the provider that everybody asks fails for most of a steady load, and another one answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from benchmarks import aims
from benchmarks.figures import Row, Table, quantile
from benchmarks.governed import Books, made
from benchmarks.report import Report
from benchmarks.scenarios import CHAT, PROVIDER
from benchmarks.through_stack import MAX_OPEN, RATE_PER_S, STREAMED, TIMEOUT_S, WHOLE, Answer, Load, Target, stack
from local.console import Progress
from local.endpoints import Endpoints

LIMIT_MS = 400
"""Of an attempt: until circuits open eight requests wait at a time, for which the local stack has environments."""
WARM_UP_AT_ONCE, WARM_UP_TIMES = 24, 4
SPARE = "mistral/mistral-small-latest"
SETTINGS = {
    "fallbacks": [{"models": f"{PROVIDER}/*", "fallback": [SPARE]}],
    "timeouts": [{"models": f"{PROVIDER}/*", "ttft_ms": LIMIT_MS, "total_ms": LIMIT_MS}],
}


@dataclass(frozen=True, slots=True)
class Phase:
    """`fault`: what the provider does to every request, as a switch of the simulators; none where it is well."""

    name: str
    seconds: float
    fault: str = ""


WELL, REFUSING, SILENT, WELL_AGAIN = (
    Phase("well", 60),
    Phase("refuses (503)", 90, "status=503"),
    Phase("silent", 90, f"first_byte_s={TIMEOUT_S}"),
    Phase("well again", 60),
)


def measure(share: float, progress: Progress) -> Report:
    """Raises Problem."""
    with stack(progress) as endpoints:
        headers = {"authorization": f"Bearer {endpoints.admin_key}"}
        with httpx.Client(base_url=f"{endpoints.origin}/admin", headers=headers, timeout=60) as admin:
            tenant_id = f"failing-{int(time.time())}"
            target, warm = (
                Target(endpoints.http, made(admin, name, SETTINGS), is_gateway=True)
                for name in (tenant_id, f"{tenant_id}-warm")
            )
            report = asyncio.run(_measure(endpoints, target, warm, share, progress))
            Books(endpoints, admin).settled(tenant_id)
            return report


async def _measure(endpoints: Endpoints, target: Target, warm: Target, share: float, progress: Progress) -> Report:
    """`warm`: a tenant of its own, so that the other one's circuits are closed at the beginning."""
    answers: dict[str, list[Answer]] = {}
    limits = httpx.Limits(max_connections=MAX_OPEN, max_keepalive_connections=MAX_OPEN, keepalive_expiry=TIMEOUT_S)
    async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
        with failing(endpoints, SILENT.fault):
            await _warm_up(Load(client), warm)
        load = Load(client)
        for phase in (WELL, REFUSING, SILENT, WELL_AGAIN):
            with progress.step(f"{phase.seconds * share:.0f} s: {phase.name}"), failing(endpoints, phase.fault):
                answers[phase.name] = await load.slice(target, phase.seconds * share)
    if load.failures:
        progress.say(f"{load.failed} requests failed: {'; '.join(sorted(load.failures))}")
    return report_of(answers, load.failed)


async def _warm_up(load: Load, target: Target) -> None:
    """Starts as many environments as wait at once while the provider is silent; two cores need a while for them."""
    for _ in range(WARM_UP_TIMES):
        await asyncio.gather(*(load.send(target, WHOLE) for _ in range(WARM_UP_AT_ONCE)))


@contextmanager
def failing(endpoints: Endpoints, fault: str) -> Iterator[None]:
    if not fault:
        yield
        return
    faults = f"{endpoints.simulators}/_sim/faults"
    armed = {"provider": PROVIDER, "model": CHAT.model, "fault": fault, "count": 1_000_000}
    httpx.post(faults, json=armed).raise_for_status()
    try:
        yield
    finally:
        httpx.delete(faults).raise_for_status()


def report_of(answers: Mapping[str, list[Answer]], failed: int) -> Report:
    figures = {name: _milliseconds(each) for name, each in answers.items()}
    rows = [
        Row.single(f"{phase}: {what}, p{percent}", "ms", [quantile(values, percent)])
        for phase, kinds in figures.items()
        for what, values in kinds.items()
        for percent in (50, 90, 99)
    ]
    answered = sum(map(len, answers.values()))
    rows += [Row.single("answered", "", [float(answered)]), Row.single("not answered", "", [float(failed)])]
    refused, silent = (_added(figures, phase.name, 99) for phase in (REFUSING, SILENT))
    verdicts = [
        aims.UNANSWERED.judged(100 * failed / (answered + failed)),
        aims.ADDED_BY_REFUSALS.judged(refused),
        aims.ADDED_BY_SILENCE.judged(silent - LIMIT_MS),
        aims.ADDED_BY_CIRCUIT.judged(_added(figures, SILENT.name, 50)),
    ]
    note = (
        f"Whole and streamed chats in turn; the tenant has a model to fall back on, and {LIMIT_MS} ms for the first. "
        "Times as a client sees them, to the first byte of a stream."
    )
    return Report([Table(f"F: a provider fails under {RATE_PER_S} requests/s", note, rows)], verdicts)


def _milliseconds(answers: list[Answer]) -> dict[str, list[float]]:
    return {
        WHOLE.name: [each.last_ms for each in answers if each.scenario is WHOLE],
        "first byte of a stream": [each.first_ms for each in answers if each.scenario is STREAMED],
    }


def _added(figures: Mapping[str, Mapping[str, list[float]]], phase: str, percent: int) -> float:
    """Of whole chats and streams, whichever is more."""
    well = figures[WELL.name]
    return max(quantile(values, percent) - quantile(well[what], percent) for what, values in figures[phase].items())
