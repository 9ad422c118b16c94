"""Part C: the memory of the videos function while it stores a finished video, small and large, as it is deployed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.aims import STORING_PEAK
from benchmarks.aws_stand_in import API_KEY
from benchmarks.event import proxy_event
from benchmarks.figures import Row, Table
from benchmarks.function import Package, running
from benchmarks.machine import Cores, memory_mb, pinned_to
from benchmarks.report import Report
from benchmarks.runtime_api import RuntimeApi
from benchmarks.storing_stand_in import StoringStandIn
from local.console import Problem, Progress

MB = 1_000_000
SIZES_MB = (2, 20, 200)
PART_BYTES = 8 * 1024 * 1024
PATH = "/v1/videos/video_" + "0" * 25


def measure(progress: Progress) -> Report:
    """Sizes ascend in one process, so a peak is that of the largest video until then. Raises Problem."""
    cores = Cores.choose()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        with progress.step("building the layers as they are deployed"):
            package = Package.build(Path(folder)).of("videos")
        with pinned_to(cores.measuring), StoringStandIn() as world, RuntimeApi() as api:
            more = {"GATEWAY_FETCH_EXCEPTIONS": world.authority}
            with running(package, world.url, api.authority, cores.measured, more) as pid:
                api.await_poll()
                rows.append(Row.single("idle", "MB", [memory_mb(pid)[1]]))
                for size_mb in SIZES_MB:
                    peak_mb, seconds = _stored(size_mb, world, api, pid)
                    rows.append(Row.single(f"a video of {size_mb} MB stored, peak", "MB", [peak_mb]))
                    rows.append(Row.single(f"a video of {size_mb} MB stored", "s", [seconds]))
    note = "Resident memory of the function's process. Every request to the bucket held one part of 8 MiB at most."
    return Report([Table("C: a finished video is stored", note, rows)], [STORING_PEAK.judged(peak_mb)])


def _stored(size_mb: int, world: StoringStandIn, api: RuntimeApi, pid: int) -> tuple[float, float]:
    """Peak of the process so far in MB, and how long the answer took."""
    world.size_bytes, world.stored_bytes = size_mb * MB, 0
    answer = api.invoke(proxy_event(PATH, b"", API_KEY, method="GET"))
    api.await_poll()
    if b'"status":"completed"' not in answer.raw or world.stored_bytes != world.size_bytes:
        raise Problem(f"The video was not stored: {json.dumps(answer.raw[-1000:].decode(errors='replace'))}")
    if world.largest_request_bytes > PART_BYTES:
        raise Problem(f"A request to the bucket had {world.largest_request_bytes} bytes.")
    return memory_mb(pid)[1], answer.last_ms / 1000
