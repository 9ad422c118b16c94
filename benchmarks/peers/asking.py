"""How often somebody is asked in a slice, and whether an answer has what the provider said."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.exchange import Timed
from benchmarks.peers.provider import TEXT, VECTORS
from benchmarks.scenarios import EMBEDDINGS, Scenario
from local.console import Problem

SLICE_S = 3.0
FEWEST = 10
"""Answers in a slice, however long they take: below that a median says little."""
_FEWEST_TEXTS = 0.95
"""Of a stream's texts found whole: a word may be cut where a server begins another piece."""


def answers(ask: Callable[[], Timed], count: int, at_most_s: float = SLICE_S) -> list[Timed]:
    """As many as fit into the time, `count` at most, FEWEST at least."""
    end_s = time.perf_counter() + at_most_s
    found: list[Timed] = []
    while len(found) < count and (len(found) < FEWEST or time.perf_counter() < end_s):
        found.append(ask())
    return found


def check(scenario: Scenario, answer: Timed) -> None:
    """Raises Problem for an answer that does not have what the provider said."""
    if scenario.chunks:
        right = b"[DONE]" in answer.raw and answer.raw.count(b"token ") >= scenario.chunks * _FEWEST_TEXTS
    elif scenario.endpoint is EMBEDDINGS:
        right = answer.raw.count(b'"embedding"') >= VECTORS
    else:
        right = TEXT.encode() in answer.raw and b'"usage"' in answer.raw
    if not right:
        raise Problem(f"Not a whole answer to '{scenario.name}': {answer.raw[:800]!r} ... {answer.raw[-200:]!r}")
