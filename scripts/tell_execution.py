"""Tells one job's execution as a table of Markdown, from its history: `python scripts/tell_execution.py ARN`.

Of the account that boto3 finds; `--endpoint-url http://127.0.0.1:18080` asks the local stack (`make run`).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3

Event = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """One event. `since_s`: seconds since the first. `what`: the state that is entered, or the error. `data`: JSON text
    that a state is given, or a Task gives.
    """

    since_s: float
    kind: str
    what: str
    data: str


def history(arn: str, states: Any) -> list[Event]:
    """`states`: boto3's client of Step Functions."""
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]


def told(events: list[Event]) -> Iterator[Told]:
    """In their order, but for those of states that are left. What Step Functions adds to a Task's result of its own
    (request ids, headers) is left out.
    """
    begun = events[0]["timestamp"]
    for event in (event for event in events if not event["type"].endswith("StateExited")):
        details: Any = next((value for name, value in event.items() if name.endswith("EventDetails")), {})
        what = details.get("name") or details.get("error") or ""
        data = details.get("input") or details.get("output") or ""
        yield Told((event["timestamp"] - begun).total_seconds(), event["type"], what, _short(data))


def _short(data: str) -> str:
    if not data:
        return ""
    found = json.loads(data)
    if isinstance(found, dict) and "Payload" in found:
        found = {"Payload": found["Payload"]}
    return json.dumps(found)


def transitions(events: list[Event]) -> int:
    """As AWS bills them: every state that is entered, and every retry. https://aws.amazon.com/step-functions/pricing/"""
    kinds = Counter(str(event["type"]) for event in events)
    entered = sum(number for kind, number in kinds.items() if kind.endswith("StateEntered"))
    return entered + max(0, kinds["TaskScheduled"] - kinds["TaskStateEntered"])


def table(events: list[Event]) -> str:
    lines = ["| Seconds | Event | State, or error | What it is given, or gives |", "|---|---|---|---|"]
    lines += [f"| {one.since_s:.2f} | {one.kind} | {one.what} | {_code(one.data)} |" for one in told(events)]
    return "\n".join([*lines, ""])


def _code(data: str) -> str:
    return f"`{data}`" if data else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arn", help="of the execution, as GET /admin/jobs/{id} gives it")
    parser.add_argument("--endpoint-url")
    parser.add_argument("--region", default="us-east-1")
    given = parser.parse_args()
    states = boto3.client("stepfunctions", endpoint_url=given.endpoint_url, region_name=given.region)
    events = history(given.arn, states)
    print(f"{table(events)}\n{transitions(events)} state transitions")


if __name__ == "__main__":
    main()
