"""Log lines of the hot functions, JSON on standard output, where Lambda collects them: facts, never content.

Those with figures are also sets of CloudWatch metrics, by their `_aws` member.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Why this is not Powertools: docs/decisions/0009-two-writers-of-logs.md.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

import msgspec

from gateway.model.metrics import REQUEST_METRICS, UNITS, Dimensions, figures_of, trouble_metric
from gateway.model.telemetry import (
    DEFECT,
    ERROR,
    LOSSES,
    NAMESPACE,
    OPERATION,
    OUTCOME,
    PROVIDER,
    SERVICE,
    Level,
    RequestLine,
    Trouble,
)

SERVICE_NAME = os.environ.get("GATEWAY_STACK", "llm-gateway")
_SEVERITY = {"INFO": 20, "WARNING": 30, "ERROR": 40}
_LEAST_SEVERITY = _SEVERITY[os.environ.get("GATEWAY_LOG_LEVEL", "INFO")]
_LABELS = (OPERATION, PROVIDER, OUTCOME, ERROR)
_NONE: Mapping[str, str] = {}
_ids = ContextVar("ids", default=_NONE)


class StdoutRecords:
    """One line for each request. The first one of an environment counts as its cold start."""

    def __init__(self) -> None:
        self._is_cold = True

    def write(self, line: RequestLine) -> None:
        figures = figures_of(line, is_cold=self._is_cold)
        self._is_cold = False
        facts = msgspec.to_builtins(line)
        labels = {name: facts[name] for name in _LABELS if name in facts}
        level: Level = "ERROR" if line.outcome == "gateway_error" else "INFO"
        _write(level, facts, labels, figures, _directives(figures, labels))

    def trouble(self, event: Trouble, **facts: Any) -> None:
        log_trouble(event, **facts)


def name_the_lines(ids: Mapping[str, str]) -> None:
    """Everything that the caller's task writes from here on has them, and what it starts."""
    _ids.set(ids)


def log_defect(defect: BaseException, request_id: str) -> None:
    """The kind and the places of an unexpected exception. Its message is left out: it may quote a prompt."""
    frames = traceback.extract_tb(defect.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    facts = {"event": DEFECT, "request_id": request_id, "kind": type(defect).__name__, "places": places}
    _write("ERROR", facts, {}, {DEFECT: 1}, [_directive([(SERVICE,)], [DEFECT])])


def log_trouble(event: Trouble, **facts: Any) -> None:
    """Something that failed open: the request went on, the operator should know."""
    metric = trouble_metric(event)
    level: Level = "ERROR" if event in LOSSES else "WARNING"
    _write(level, {"event": event, **facts}, {}, {metric: 1}, [_directive([(SERVICE,)], [metric])])


def _directives(figures: Mapping[str, float], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """A combination of dimensions of which the line lacks one is left out."""
    known = {SERVICE, *labels}
    found = []
    for combinations, names in REQUEST_METRICS.items():
        if present := [name for name in names if name in figures]:
            found.append(_directive([each for each in combinations if known.issuperset(each)], present))
    return found


def _directive(dimensions: list[Dimensions], names: Iterable[str]) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in names]
    return {"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}


def _write(
    level: Level,
    facts: dict[str, Any],
    labels: Mapping[str, str],
    figures: Mapping[str, float],
    directives: list[dict[str, Any]],
) -> None:
    """Of a line below the level that is wanted only the metrics are left."""
    told = {**_ids.get(), **facts} if _SEVERITY[level] >= _LEAST_SEVERITY else labels
    emf = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives}
    line = {"level": level, SERVICE: SERVICE_NAME, **told, **figures, "_aws": emf}
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()
