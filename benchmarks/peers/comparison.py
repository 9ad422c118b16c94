"""What a run's raw data say: what each adds to a direct call, and how many times as much that is as another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import scenarios
from benchmarks.figures import Figure, Row, Table
from benchmarks.peers.record import Quantiles, Run, SliceRecord, Subject
from benchmarks.peers.targets import DIRECT, FIRST_PIECE, ODDITIES, STACK
from benchmarks.scenarios import Scenario

Values = Callable[[Run, Subject], Sequence[float]]
FIRST, LAST = "first_ms", "last_ms"
FEWEST_FOR_HIGH = 20
"""Answers in every slice, for p95 and p99."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A value for each round, or a single one; empty where it was not measured. Less is better in all of them."""

    name: str
    unit: str
    values: Values
    brief: bool = True
    """Whether README has it, too."""


def added(scenario: Scenario, what: str, percentile: str) -> Values:
    """The subject's quantile minus the direct call's in the same round."""

    def values(run: Run, subject: Subject) -> list[float]:
        by_name = run.rounds.get(scenario.name, {})
        both = [by_name.get(name, ()) for name in (subject.name, DIRECT)]
        if not all(is_known(slices, percentile) for slices in both):
            return []
        pairs = zip(*both, strict=False)
        return [_quantile(theirs, what, percentile) - _quantile(direct, what, percentile) for theirs, direct in pairs]

    return values


def cpu(scenario: Scenario, per: float = 1.0) -> Values:
    """Of one request, times `per`."""

    def values(run: Run, subject: Subject) -> list[float]:
        slices = run.rounds.get(scenario.name, {}).get(subject.name, ())
        return [each.cpu_ms * per for each in slices if each.cpu_ms is not None]

    return values


def _single(value: Callable[[Subject], float | None]) -> Values:
    def values(run: Run, subject: Subject) -> list[float]:
        del run
        found = value(subject)
        return [] if found is None else [found]

    return values


def is_known(slices: Sequence[SliceRecord], percentile: str) -> bool:
    """A high quantile of few answers would lie between the slowest two of them."""
    return percentile == "p50" or all(each.requests >= FEWEST_FOR_HIGH for each in slices)


def _quantile(record: SliceRecord, what: str, percentile: str) -> float:
    quantiles: Quantiles = getattr(record, what)
    return float(getattr(quantiles, percentile))


def _added(name: str, scenario: Scenario, what: str, brief: Sequence[str]) -> list[Metric]:
    return [
        Metric(f"added {each}, {name}", "ms", added(scenario, what, each), each in brief)
        for each in ("p50", "p95", "p99")
    ]


METRICS = (
    *_added("chat of 1 KB", scenarios.CHAT_1KB, LAST, ("p50", "p99")),
    *_added("chat of 32 KB", scenarios.CHAT_32KB, LAST, ("p50",)),
    *_added(FIRST_PIECE, scenarios.FIRST_BYTE, FIRST, ("p50",)),
    *_added("64 embeddings of 1,536 floats", scenarios.FLOATS, LAST, ("p50",)),
    *_added("stream of 1,000 chunks at once", scenarios.BURST, LAST, ()),
    Metric("CPU for 1,000 streamed chunks", "ms", cpu(scenarios.BURST, 1_000 / scenarios.BURST.chunks)),
    Metric("CPU for 1,000 chats of 1 KB", "s", cpu(scenarios.CHAT_1KB)),
    Metric("CPU for 1,000 chats of 32 KB", "s", cpu(scenarios.CHAT_32KB), brief=False),
    Metric("CPU for 1,000 times 64 embeddings", "s", cpu(scenarios.FLOATS), brief=False),
    Metric("cold start to the first answer", "ms", lambda _, subject: [each.wall_ms for each in subject.starts]),
    Metric("cold start to the first answer, CPU", "ms", lambda _, subject: [each.cpu_ms for each in subject.starts]),
    Metric("memory after the load", "MB", _single(lambda subject: subject.memory_mb)),
    Metric("installed", "MB", _single(lambda subject: subject.size_mb)),
)
"""Milliseconds for each request are seconds for a thousand."""


def oddity(metric: Metric, subject: Subject) -> str:
    """What a reader has to know of this figure; empty for nearly all."""
    found = (why for (name, words), why in ODDITIES.items() if name == subject.name and words in metric.name)
    return next(found, "")


def oddities(run: Run) -> list[str]:
    """All of a run, each once."""
    return list(dict.fromkeys(why for metric in METRICS for each in run.subjects if (why := oddity(metric, each))))


def figure(run: Run, metric: Metric, subject: Subject) -> Figure | None:
    values = metric.values(run, subject)
    return Figure.over(values) if values else None


def ratio(run: Run, metric: Metric, subject: Subject, base: Subject) -> Figure | None:
    """How many times `base`, round by round; None where there is nothing to divide by."""
    pairs = list(zip(metric.values(run, subject), metric.values(run, base), strict=False))
    if not pairs or min(value for _, value in pairs) <= 0:
        return None
    return Figure.over([value / other for value, other in pairs])


def tables(run: Run, bases: Sequence[str]) -> list[Table]:
    """Ratios to each of `bases` first, then what was measured."""
    found = [_times(run, base) for base in (run.subject(name) for name in bases) if base is not None]
    note = (
        "Added: the quantile minus the direct call's in the same round. CPU: user and system time of all processes. "
        f"No p95 and no p99 of fewer than {FEWEST_FOR_HIGH} answers."
    )
    found.append(_table("Beside its peers: measured", note, run, lambda metric, subject: figure(run, metric, subject)))
    return [*found, answers_in_a_slice(run), direct_call(run), *stack_tables(run)]


def _times(run: Run, base: Subject) -> Table:
    def of(metric: Metric, subject: Subject) -> Figure | None:
        return ratio(run, metric, subject, base)

    note = "Round by round, then the median with the lowest and the highest round. More than 1 is more of it."
    return _table(f"Beside its peers: times {base.title}", note, run, of, "times")


def _table(
    title: str, note: str, run: Run, of: Callable[[Metric, Subject], Figure | None], unit: str | None = None
) -> Table:
    rows = []
    for metric in METRICS:
        figures = {subject.title: of(metric, subject) for subject in run.subjects}
        known = {name: found for name, found in figures.items() if found is not None}
        rows.append(Row(metric.name, unit or metric.unit, known))
    return Table(title, " ".join([note, *oddities(run)]), rows)


def answers_in_a_slice(run: Run) -> Table:
    """How many answers each quantile is of."""
    titles = {DIRECT: "direct call", **{subject.name: subject.title for subject in run.subjects}}
    rows = []
    for scenario, by_name in run.rounds.items():
        counts = {
            titles[name]: Figure.over([each.requests for each in slices])
            for name, slices in by_name.items()
            if name in titles
        }
        rows.append(Row(scenario, "1", counts))
    return Table(
        "Beside its peers: answers in a slice", "What does not fit into three seconds is asked less often.", rows
    )


def direct_call(run: Run) -> Table:
    """What is subtracted from everybody."""
    rows = [
        Row.single(f"{scenario}, {percentile}", "ms", [_quantile(each, what, percentile) for each in by_name[DIRECT]])
        for scenario, by_name in run.rounds.items()
        for percentile in ("p50", "p99")
        for what in (FIRST if scenario == scenarios.FIRST_BYTE.name else LAST,)
        if is_known(by_name[DIRECT], percentile)
    ]
    return Table("Beside its peers: the direct call", "The provider's own answer, which is subtracted above.", rows)


def stack_tables(run: Run) -> list[Table]:
    """This gateway with everything around it emulated on the same machine."""
    rows = []
    for scenario, by_name in run.stack.items():
        what = FIRST if scenario == scenarios.FIRST_BYTE.name else LAST
        known = [each for each in ("p50", "p95", "p99") if all(is_known(by_name[who], each) for who in (DIRECT, STACK))]
        for percentile in known:
            direct, stack = ([_quantile(each, what, percentile) for each in by_name[who]] for who in (DIRECT, STACK))
            figures = Row.compared(f"{scenario}, {percentile}", "ms", direct, stack).figures
            kept = {column: figures[column] for column in ("direct", "gateway", "added")}
            rows.append(Row(f"{scenario}, {percentile}", "ms", kept))
    note = (
        "One request at a time. Front port, API Gateway, Lambda and DynamoDB are emulated in Python, on the same cores."
    )
    return [Table("This gateway through the whole local stack", note, rows)] if rows else []
