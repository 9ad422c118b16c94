"""A run whose two rounds have round numbers: the direct call takes 1 ms, this gateway 3 and 5, the others more."""

from __future__ import annotations

from benchmarks.peers.measure import SCENARIOS
from benchmarks.peers.record import Part, Quantiles, Rounds, Run, SliceRecord, StartRecord, Subject
from benchmarks.peers.stack import SCENARIOS as THROUGH_STACK
from benchmarks.peers.targets import DIRECT, OURS, STACK

MACHINE = {
    "cpu": "a <fast> one",
    "cores": 2,
    "python": "3.13.1",
    "load_1min": 0.1,
    "load_at_end": 0.2,
    "taken_at": "2026-11-30",
}


def slice_record(ms: float, cpu_ms: float | None = None, requests: int = 20) -> SliceRecord:
    quantiles = Quantiles(ms, ms + 1, ms + 2)
    return SliceRecord(requests, quantiles, quantiles, cpu_ms)


def run() -> Run:
    slices = {
        DIRECT: (slice_record(1.0), slice_record(1.0)),
        OURS: (slice_record(3.0, 2.0), slice_record(5.0, 4.0)),
        "litellm": (slice_record(21.0, 20.0), slice_record(29.0, 28.0)),
        "portkey": (slice_record(5.0, 4.0), slice_record(5.0, 4.0)),
    }
    rounds: Rounds = {scenario.name: dict(slices) for scenario in SCENARIOS}
    stack: Rounds = {scenario.name: {DIRECT: slices[DIRECT], STACK: slices["litellm"]} for scenario in THROUGH_STACK}
    starts = (StartRecord(200.0, 150.0), StartRecord(300.0, 250.0))
    parts = (Part("chat", 25.0, 15), Part("embeddings", 35.0, 5))
    return Run(
        machine={**MACHINE},
        options={"rounds": 3, "share": 1.0, "changed": False},
        took_s=600.0,
        subjects=(
            Subject(OURS, "this gateway", "all of it", "Holds & settles", "abc", 20.0, 60.0, 20, starts, parts),
            Subject("litellm", "LiteLLM", "no", "Routes", "1.2.3", 500.0, 400.0, 20, starts),
            Subject("portkey", "Portkey", "no", "Forwards", "1.15", None, None, 20, ()),
        ),
        left_out={"Bifrost": "not <here>"},
        rounds=rounds,
        stack=stack,
    )
