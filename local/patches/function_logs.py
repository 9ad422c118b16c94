"""What functions print goes to one log stream per execution environment, and the streams stay small.

MiniStack: writes each invocation to a stream of its own, keeps all of them for ever (they are also part of the saved
state), and reports its own memory as the function's.
AWS: a stream belongs to an environment; the platform's lines are text or JSON as LoggingConfig says.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
The bounds are ours: a developer's machine is no archive.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from local import emulator
from local.execution.environment import InvocationReport
from local.execution.function import FunctionSpec
from local.patches.functions import OWN_LOG_SOURCE

KEPT_EVENTS_PER_STREAM = 2_000
KEPT_STREAMS_PER_GROUP = 20


def write(function: FunctionSpec, log_stream: str, report: InvocationReport) -> None:
    """Append one finished invocation to its environment's log stream."""
    logs = emulator.module("services.cloudwatch_logs")
    account_id, region = function.key.split(":")[:2]
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms, "message": line, "ingestionTime": now_ms} for line in lines(function, report)]
    with emulator.module("core.responses").request_scope(account_id, region):
        stream = _stream(logs, function.log_group, log_stream)
        logs._append_log_events(stream, events)
        del stream["events"][:-KEPT_EVENTS_PER_STREAM]
        logs._fanout_to_subscription_filters(function.log_group, log_stream, events)


def lines(function: FunctionSpec, report: InvocationReport) -> list[str]:
    """The function's lines between those that the platform writes."""
    printed = report.log.splitlines()
    if function.log_format == "JSON":
        return [_platform_json("platform.start", report, {"version": function.version}), *printed, _json_report(report)]
    return [
        f"START RequestId: {report.request_id} Version: {function.version}",
        *printed,
        f"END RequestId: {report.request_id}",
        _text_report(function, report),
    ]


def _text_report(function: FunctionSpec, report: InvocationReport) -> str:
    fields = [
        f"REPORT RequestId: {report.request_id}",
        f"Duration: {report.duration_ms:.2f} ms",
        f"Billed Duration: {int(report.duration_ms) + 1} ms",
        f"Memory Size: {function.memory_mb} MB",
        f"Max Memory Used: {report.max_memory_mb} MB",
    ]
    if report.init_ms is not None:
        fields.append(f"Init Duration: {report.init_ms:.2f} ms")
    return "\t".join(fields)


def _json_report(report: InvocationReport) -> str:
    metrics = {"durationMs": round(report.duration_ms, 3), "maxMemoryUsedMB": report.max_memory_mb}
    if report.init_ms is not None:
        metrics["initDurationMs"] = round(report.init_ms, 3)
    return _platform_json(
        "platform.report", report, {"status": "error" if report.failed else "success", "metrics": metrics}
    )


def _platform_json(kind: str, report: InvocationReport, record: dict[str, Any]) -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return json.dumps({"time": now, "type": kind, "record": {"requestId": report.request_id, **record}})


def _stream(logs: ModuleType, group_name: str, stream_name: str) -> dict[str, Any]:
    """The stream, made when it is new; the group as well, as Lambda does when its role may."""
    if group_name not in logs._log_groups:
        logs._create_log_group({"logGroupName": group_name})
    streams: dict[str, dict[str, Any]] = logs._log_groups[group_name]["streams"]
    if stream_name not in streams:
        for oldest in list(streams)[: max(0, len(streams) - KEPT_STREAMS_PER_GROUP + 1)]:
            del streams[oldest]
        logs._create_log_stream({"logGroupName": group_name, "logStreamName": stream_name})
    return streams[stream_name]


def apply() -> None:
    def emit(stock: Callable[..., None]) -> Callable[..., None]:
        def emit_unless_written(*arguments: Any, **named: Any) -> None:
            if named.get("log_source") != OWN_LOG_SOURCE:
                stock(*arguments, **named)

        return emit_unless_written

    emulator.replace(emulator.lambda_service(), "_emit_lambda_logs", emit)
