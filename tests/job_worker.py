"""Workers of jobs that are processes, and are killed with SIGKILL at one of the calls that leave them.

`python -m tests.job_worker PLACES` waits for orders, one on each line, and forks a worker for each, so that only the
first has to read the gateway's code. The worker's accounts and records are in the AWS that PLACES says, what it told is
in a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.jobs import DynamoJobs
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.payloads import S3Payloads
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.model.record import AuditEvent, BudgetAlert, Told, UsageRecord
from tests.dying import Fate, Moment
from tests.job_stage import Stage
from tests.machine import DIED, TaskFailed

PORTS = ("jobs", "ledger", "payloads", "outbound", "events", "files", "callbacks", "webhook_sender")
WRITES = frozenset(
    {
        *("jobs.change", "ledger.enlarge", "ledger.settle", "payloads.drop", "events.send"),
        *("outbound.open", "outbound.open.whole", "files.put_stream", "payloads.keep_reply"),
        *("callbacks.wait", "callbacks.forget", "webhook_sender.send"),
    }
)
"""Calls that change the world outside, or may: at what is only read nothing is lost."""
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (UsageRecord, AuditEvent, BudgetAlert)}
Json = dict[str, Any]


class Places(msgspec.Struct, frozen=True):
    """`told`: the file of what is told."""

    aws_url: str
    region: str
    jobs_table: str
    ledger_table: str
    bucket: str
    told: str


def ports_at(places: Places, client: HttpClient) -> Json:
    """The real ones."""
    clock = SystemClock()
    keys, service = RoleKeys(client, clock), Service("dynamodb", "DynamoDB_20120810", "1.0", f"{places.aws_url}/")
    dynamodb = AwsApi(service, places.region, keys=keys, client=client, clock=clock)
    place = Place.of(places.bucket, "us-east-1", places.aws_url)
    return {
        "jobs": DynamoJobs(dynamodb, places.jobs_table),
        "ledger": DynamoLedger(dynamodb, places.ledger_table, timeout_s=5.0),
        "payloads": S3Payloads(Bucket(place, keys=keys, client=client, clock=clock)),
        "events": FileEvents(Path(places.told)),
    }


@dataclass
class FileEvents:
    """What is told, one line each: it is told when the line is written."""

    path: Path

    async def send(self, told: Any) -> None:
        lines = [json.dumps([type(one).__name__, msgspec.json.encode(one).decode()]) + "\n" for one in told]
        with self.path.open("a") as file:
            file.writelines(lines)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)

    @property
    def told(self) -> list[Told]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [msgspec.json.decode(text, type=_KINDS[kind]) for kind, text in map(json.loads, lines)]


class Workers:
    """Processes that work for one stage; the one that is at its `fate` is killed."""

    def __init__(self, places: Places) -> None:
        command = [sys.executable, "-m", "tests.job_worker", msgspec.json.encode(places).decode()]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def work(self, kind: str, event: Json, now_s: float, fate: Fate) -> Json:
        """Raises TaskFailed, of one that was killed as Lambda calls it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"kind": kind, "event": event, "now_s": now_s, "at": fate.at, "passed": fate.steps}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if answer["signal"]:
            assert answer["signal"] == signal.SIGKILL
            fate.is_dead, fate.struck = True, Moment(answer["moment"], is_done=answer["is_done"])
            raise TaskFailed(DIED)
        fate.passed += [Moment("", is_done=False)] * answer["passed"]
        if answer["error"]:
            raise TaskFailed(answer["error"])
        return dict(answer["result"])


def main() -> None:
    places = msgspec.json.decode(sys.argv[1], type=Places)
    for line in sys.stdin:
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            os.write(writing, json.dumps(asyncio.run(_worked(json.loads(line), places, writing))).encode() + b"\n")
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read().splitlines()
        _, status = os.waitpid(pid, 0)
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        sys.stdout.write(json.dumps({"signal": ended_by, **json.loads(said[-1])}) + "\n")
        sys.stdout.flush()


async def _worked(order: Json, places: Places, writing: int) -> Json:
    """Of one that is killed its last words, which say where."""

    async def kill(moment: Moment) -> None:
        os.write(writing, json.dumps({"moment": moment.call, "is_done": moment.is_done}).encode() + b"\n")
        os.kill(os.getpid(), signal.SIGKILL)

    client = HttpClient()
    stage = Stage.of(order["kind"], **ports_at(places, client))
    stage.ports, stage.clock.unix_s, stage.provider.unfinished = PORTS, order["now_s"], 0
    at = order["at"] - order["passed"] if isinstance(order["at"], int) else order["at"]
    fate = Fate(at, kill, calls=WRITES)
    result, error = None, None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            result = await stage.worked(order["event"], fate)
    except TaskFailed as failed:
        error = failed.name
    finally:
        await client.aclose()
    return {"result": result, "error": error, "passed": fate.steps}


if __name__ == "__main__":
    main()
