"""Puts records that neither the event bus nor the queue took into the queue, from the functions' logs.

    python -m scripts.replay_undelivered --stack llm-gateway --since 2026-11-29T10:00 [--until 2026-11-29T12:00]

Times are UTC. A record that is there already is known by its id and changes nothing, so it does no harm to replay too
much or twice. AWS credentials and region come from the environment, as for the AWS CLI.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3

EVENT = "events.undelivered"
AT_ONCE = 10  # of one SendMessageBatch


def undelivered(logs: Any, stack: str, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """As the bus would have delivered them."""
    groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/aws/lambda/{stack}-")
    for group in [found["logGroupName"] for page in groups for found in page["logGroups"]]:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            startTime=int(since.timestamp() * 1000),
            endTime=int(until.timestamp() * 1000),
            filterPattern=f'"{EVENT}"',
        )
        for found in (event for page in pages for event in page["events"]):
            line = _object(found["message"])
            if line.get("event") == EVENT:
                yield {"source": "llm-gateway", "detail-type": line["detail_type"], "detail": line["detail"]}


def send(queue: Any, url: str, messages: list[dict[str, Any]]) -> None:
    """Raises RuntimeError when the queue does not take all of them."""
    for first in range(0, len(messages), AT_ONCE):
        entries = [
            {"Id": str(number), "MessageBody": json.dumps(message)}
            for number, message in enumerate(messages[first : first + AT_ONCE])
        ]
        if failed := queue.send_message_batch(QueueUrl=url, Entries=entries).get("Failed"):
            raise RuntimeError(f"the queue did not take {len(failed)} records; run it again")


def _object(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="llm-gateway")
    parser.add_argument("--since", type=_utc, required=True)
    parser.add_argument("--until", type=_utc, default=datetime.now(UTC))
    parser.add_argument("--dry-run", action="store_true", help="only count them")
    given = parser.parse_args()
    messages = [*undelivered(boto3.client("logs"), given.stack, given.since, given.until)]
    if not given.dry_run:
        queue = boto3.client("sqs")
        send(queue, queue.get_queue_url(QueueName=f"{given.stack}-records")["QueueUrl"], messages)
    print(f"{len(messages)} records {'would be' if given.dry_run else 'were'} put into the queue")


if __name__ == "__main__":
    main()
