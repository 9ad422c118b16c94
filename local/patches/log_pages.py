"""More log events than fit into one answer of FilterLogEvents are in the next one.

MiniStack: gives the first 10,000, or as many as `limit` says, and no token for those after them.
AWS: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local import emulator

MOST = 10_000


def apply() -> None:
    logs = emulator.module("services.cloudwatch_logs")

    def paged(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def filter_log_events(data: dict[str, Any]) -> Any:
            from_ms, known = _place(data)
            asked = {**data, "limit": MOST} if from_ms is None else {**data, "limit": MOST, "startTime": from_ms}
            status, headers, body = stock(asked)
            answer = json.loads(body)
            if status != 200:
                return status, headers, body
            found, end = answer["events"], known + min(data.get("limit", MOST), MOST)
            answer["events"] = found[known:end]
            if answer["events"] and (end < len(found) or len(found) == MOST):
                answer["nextToken"] = _token(found[:end])
            return logs.json_response(answer)

        return filter_log_events

    emulator.replace(logs, "_filter_log_events", paged)


def _place(data: dict[str, Any]) -> tuple[int | None, int]:
    """From when on to look, and how many of what is found are known already."""
    if token := data.get("nextToken"):
        from_ms, _, known = token.partition(":")
        return int(from_ms), int(known)
    return data.get("startTime"), 0


def _token(given: list[dict[str, Any]]) -> str:
    """After these: there may be more of the same millisecond."""
    last_ms = given[-1]["timestamp"]
    return f"{last_ms}:{sum(event['timestamp'] == last_ms for event in given)}"
