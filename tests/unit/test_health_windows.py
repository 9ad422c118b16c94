"""The health of a model by its calls of the last five minutes."""

from __future__ import annotations

import pytest

from gateway.model.health import BOUNDS_MS, LEAST_CALLS, Tallies, Windows
from tests.fakes import ManualClock

MODEL = ("openai", "gpt")
SLOW_MS = 10_000


def windows(clock: ManualClock) -> Windows:
    return Windows(Tallies(), clock.now_s, SLOW_MS)


def note(known: Windows, well: int, failed: int = 0, first_ms: float = 150, *, is_stream: bool = True) -> None:
    for _ in range(well):
        known.note("openai/gpt", first_ms, is_stream=is_stream)
    for _ in range(failed):
        known.note("openai/gpt", None, is_stream=is_stream)


@pytest.mark.parametrize(
    ("well", "failed", "health"),
    [
        (0, 0, "healthy"),
        (0, LEAST_CALLS - 1, "healthy"),
        (0, LEAST_CALLS, "unhealthy"),
        (81, 19, "healthy"),
        (80, 20, "degraded"),
        (51, 49, "degraded"),
        (50, 50, "unhealthy"),
    ],
)
def test_health_is_the_share_of_failures_among_enough_calls(well: int, failed: int, health: str) -> None:
    known = windows(ManualClock())
    note(known, well, failed)
    assert known.of(*MODEL) == health
    assert known.of("openai", "other") == known.of("azure", "gpt") == "healthy"


def test_what_is_five_minutes_old_is_forgotten() -> None:
    clock = ManualClock()
    known = windows(clock)
    note(known, 0, 20)
    clock.unix_s += 4 * 60
    assert known.of(*MODEL) == "unhealthy"
    clock.unix_s += 60
    assert (known.of(*MODEL), known.p95_ms(*MODEL)) == ("healthy", None)


def test_all_environments_count_together() -> None:
    clock = ManualClock()
    known = windows(clock)
    minute = int(clock.unix_s // 60)
    note(known, 0, 5)
    known.learn(minute, {"openai/gpt": {"c": 10, "f": 10}})
    assert known.of(*MODEL) == "healthy"
    known.learn(minute - 4, {"openai/gpt": {"c": 5, "f": 5}})
    assert known.of(*MODEL) == "unhealthy"
    known.learn(minute, {"openai/gpt": {"c": 90, "f": 10}})  # in place of what it was
    assert known.of(*MODEL) == "degraded"


def test_what_was_shared_counts_on_until_it_is_learned() -> None:
    clock = ManualClock()
    tallies = Tallies()
    known = Windows(tallies, clock.now_s, SLOW_MS)
    note(known, 0, 20)
    [((minute, subject), counted)] = tallies.taken().items()
    assert known.of(*MODEL) == "healthy"
    known.keep(minute, subject, counted)
    assert known.of(*MODEL) == "unhealthy"


def test_p95_is_of_calls_that_went_well_rounded_up() -> None:
    known = windows(ManualClock())
    note(known, 95, 10, first_ms=120)
    note(known, 5, first_ms=4_000)
    assert known.p95_ms(*MODEL) == 200
    note(known, 1, first_ms=4_000)
    assert known.p95_ms(*MODEL) == 5_000


def test_p95_is_of_streams_where_there_are_any() -> None:
    known = windows(ManualClock())
    assert known.p95_ms(*MODEL) is None
    note(known, 3, first_ms=40_000, is_stream=False)
    assert known.p95_ms(*MODEL) == 45_000
    note(known, 1, first_ms=100)
    assert known.p95_ms(*MODEL) == 100
    note(known, 9, first_ms=10**7)
    assert known.p95_ms(*MODEL) == BOUNDS_MS[-1]


def test_streams_that_are_slow_to_begin_degrade_a_model_and_long_answers_do_not() -> None:
    known = windows(ManualClock())
    note(known, LEAST_CALLS, first_ms=200_000, is_stream=False)
    note(known, LEAST_CALLS - 1, first_ms=11_000)
    assert known.of(*MODEL) == "healthy"
    note(known, 1, first_ms=11_000)
    assert known.of(*MODEL) == "degraded"
