"""Records and defects as JSON lines on standard output, where Lambda collects them: facts, never content."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.ports import Clock

_NAMESPACE = "LlmGateway"
_METRICS = (
    ("overhead_ms", "Milliseconds"),
    ("latency_ms", "Milliseconds"),
    ("ttft_ms", "Milliseconds"),
    ("prompt_tokens", "Count"),
    ("completion_tokens", "Count"),
)


class StdoutRecords:
    """Each record is one line and, by its `_aws` member, also a set of CloudWatch metrics.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def write(self, record: dict[str, Any]) -> None:
        present = [{"Name": name, "Unit": unit} for name, unit in _METRICS if record.get(name) is not None]
        directive = {
            "Namespace": _NAMESPACE,
            "Dimensions": [["operation"], ["operation", "provider", "code"]],
            "Metrics": present,
        }
        labels = {name: record.get(name) or "none" for name in ("provider", "code")}
        _print(
            {
                **record,
                **labels,
                "_aws": {"Timestamp": int(self._clock.now_s() * 1000), "CloudWatchMetrics": [directive]},
            }
        )

    def trouble(self, event: str, **facts: Any) -> None:
        log_trouble(event, **facts)


def write_metrics(
    event: str, operation: str, figures: Mapping[str, tuple[float, str]], facts: Mapping[str, Any], clock: Clock
) -> None:
    """One line of facts, which is also a set of metrics. `figures`: value and unit (as CloudWatch calls it) by name."""
    directive = {
        "Namespace": _NAMESPACE,
        "Dimensions": [["operation"]],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in figures.items()],
    }
    values = {name: value for name, (value, _) in figures.items()}
    metadata = {"Timestamp": int(clock.now_s() * 1000), "CloudWatchMetrics": [directive]}
    _print({"event": event, "operation": operation, **facts, **values, "_aws": metadata})


def log_defect(defect: BaseException, request_id: str) -> None:
    """The kind and the places of an unexpected exception. Its message is left out: it may quote a prompt."""
    frames = traceback.extract_tb(defect.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    _print({"event": "gateway.defect", "request_id": request_id, "kind": type(defect).__name__, "places": places})


def log_trouble(event: str, **facts: Any) -> None:
    """Something that failed open: the request went on, the operator should know."""
    _print({"event": event, **facts})


def _print(line: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()
