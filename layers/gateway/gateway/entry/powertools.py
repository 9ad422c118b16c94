"""Powertools, set up once for every function that is not hot: one logger, one set of metrics, the names of the model.

A line keeps only fields that `model/telemetry.py` or LINE_FIELDS names, whatever it is given; so what an exception
says, which may quote a prompt, never comes into it. Why the hot functions write themselves: docs/decisions/0009.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from gateway.adapters.telemetry import SERVICE_NAME
from gateway.model.metrics import JOB_METRICS, REST_COLD_START, REST_FAULTS, REST_LATENCY, REST_REQUESTS, UNITS
from gateway.model.telemetry import (
    FUNCTION,
    NAMESPACE,
    CallbackLine,
    JobLine,
    JobsSweptLine,
    KeptLine,
    RestLine,
    SweptLine,
    fields_of,
)

Line: TypeAlias = KeptLine | SweptLine | JobLine | JobsSweptLine | CallbackLine
LINE_FIELDS = frozenset({"level", "service", "timestamp", "location"}).union(
    *(fields_of(line) for line in (RestLine, KeptLine, SweptLine, JobLine, JobsSweptLine, CallbackLine))
)


class KnownFields(LambdaPowertoolsFormatter):
    """The message of a line is the name of its event."""

    def serialize(self, log: Any) -> str:
        named = {"event": log.get("message"), **log}
        return super().serialize({name: value for name, value in named.items() if name in LINE_FIELDS})


@cache
def logger() -> Logger:
    level = os.environ.get("GATEWAY_LOG_LEVEL", "INFO")
    return Logger(service=SERVICE_NAME, level=level, logger_formatter=KnownFields(utc=True, use_rfc3339=True))


@cache
def metrics() -> Metrics:
    """What is added is written by `flush_metrics`."""
    found = Metrics(namespace=NAMESPACE, service=SERVICE_NAME)
    found.set_default_dimensions(**{FUNCTION: function_name()})
    return found


def function_name() -> str:
    """Without the stack's."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "none").removeprefix(f"{SERVICE_NAME}-")


class RestRecords:
    """One line and one set of metrics for each request. The first one of an environment counts as its cold start."""

    def __init__(self) -> None:
        self._is_cold = True

    def write(self, line: RestLine) -> None:
        fields = msgspec.to_builtins(line)
        event = fields.pop("event")
        log = logger().error if line.outcome == "gateway_error" else logger().info
        log(event, extra=fields)
        figures = {REST_REQUESTS: 1, REST_LATENCY: line.latency_ms}
        figures |= {REST_COLD_START: 1} if self._is_cold else {}
        figures |= {REST_FAULTS: 1} if line.outcome == "gateway_error" else {}
        self._is_cold = False
        _count(figures)


def report(line: Line) -> None:
    """One line and one set of metrics for each batch, sweep or step."""
    fields = msgspec.to_builtins(line)
    logger().info(fields.pop("event"), extra=fields)
    if figures := {name: fields[name] for name in JOB_METRICS if fields.get(name) is not None}:
        _count(figures)


def _count(figures: Mapping[str, float]) -> None:
    for name, figure in figures.items():
        metrics().add_metric(name, UNITS.get(name, "Count"), figure)
    metrics().flush_metrics()
