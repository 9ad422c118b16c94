"""Part L: thousands of requests whose providers fail in every way, in one process; then what is left is counted."""

from __future__ import annotations

import asyncio

from benchmarks import aims
from benchmarks.figures import Row, Table, quantile
from benchmarks.function import simulators
from benchmarks.report import Report
from benchmarks.storm import AT_ONCE, FAULTS, LIMIT_MS, Left, Storm, closed_port
from local.console import Progress

REQUESTS, WARM_UP = 10_000, 1_000
"""What is loaded and cached once is there after the warm-up."""


def measure(share: float, progress: Progress) -> Report:
    requests = int(REQUESTS * share)
    with progress.step(f"{requests} requests to providers that fail, {AT_ONCE} at once"):
        return asyncio.run(leaks(requests, int(WARM_UP * share)))


async def leaks(requests: int, warm_up: int) -> Report:
    with simulators() as port, closed_port() as nobody:
        storm = Storm(f"http://127.0.0.1:{port}", nobody)
        await storm.run(warm_up)
        await storm.client.aclose()
        before = await storm.left()
        storm.begin_anew()
        await storm.run(requests)
        at_rest = await storm.left()
        await storm.client.aclose()
        return report_of(storm, requests, before, at_rest, await storm.left())


def report_of(storm: Storm, requests: int, before: Left, at_rest: Left, after: Left) -> Report:
    counted = {
        "sockets": [float(left.sockets) for left in (before, at_rest, after)],
        "connections in use": [float(left.pooled) for left in (before, at_rest, after)],
        "tasks": [float(left.tasks) for left in (before, at_rest, after)],
        "holds": [float(left.holds) for left in (before, at_rest, after)],
        "objects": [float(left.objects) for left in (before, at_rest, after)],
        "memory, MB": [left.memory_mb for left in (before, at_rest, after)],
    }
    rows = [
        Row.single(f"{what}, {when}", "", [value])
        for what, values in counted.items()
        for when, value in zip(("before", "after, connections kept", "after, closed"), values, strict=True)
    ]
    gathered = storm.gathered
    rows += [Row.single(f"ended as {code}", "", [float(times)]) for code, times in sorted(gathered.codes.items())]
    rows += [Row.single(f"after their time, p{at}", "ms", [quantile(gathered.late_ms, at)]) for at in (50, 99)]
    rows.append(Row.single("after their time, at most", "ms", [max(gathered.late_ms)]))
    rows.append(Row.single("this process itself late, at most", "ms", [max(gathered.lag_ms)]))
    ends = storm.events.ends
    verdicts = [
        aims.LEFT_OPEN.judged(float(after.sockets - before.sockets)),
        aims.LEFT_IN_USE.judged(float(at_rest.pooled)),
        aims.LEFT_TASKS.judged(float(after.tasks - before.tasks)),
        aims.LEFT_HOLDS.judged(float(after.holds)),
        aims.LEFT_OBJECTS.judged((after.objects - before.objects) / requests),
        aims.LEFT_MEMORY.judged(after.memory_mb - before.memory_mb),
        aims.NOT_ENDED_ONCE.judged(float(requests - sum(times == 1 for times in ends.values()))),
        aims.BEYOND_DEADLINE.judged(max(gathered.late_ms)),
    ]
    note = (
        f"{requests} chats, whole and streamed, with and without others to fall back on, in turn or at once, "
        f"{AT_ONCE} open at a time; {len(FAULTS)} kinds of failure, unreachable providers, one in twenty broken off; "
        f"{LIMIT_MS} ms for each attempt. Counted after a warm-up, and again at the end."
    )
    return Report([Table("L: what requests that fail leave behind", note, rows)], verdicts)
