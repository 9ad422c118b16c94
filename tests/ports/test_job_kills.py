"""A job's worker is a process, which is killed with SIGKILL before and after every write of its own and every question.

tests/unit/test_job_kills.py has more ways to every state, tests/e2e/test_job_kills.py the deployed machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from gateway.adapters.http_client import HttpClient
from tests.dying import Fate
from tests.job_stage import Stage
from tests.job_worker import FileEvents, Places, Workers, ports_at
from tests.machine import TASKS
from tests.ports.conftest import REGION
from tests.ports.test_jobs import jobs_table

__all__ = ["jobs_table"]
SWEEPS = 4
WAYS: dict[str, tuple[str, str | None]] = {
    "Ask the provider": ("chat", None),
    "Wait for the provider": ("video", None),
    "Settle the bill": ("chat", None),
    "Give up": ("chat", "Ask the provider"),
    "Wait to be called back": ("called", None),
    "Tell the caller": ("told", None),
}
"""By state: what is ordered, and the state before, which must fail for good."""


@pytest.fixture
def places(aws_url: str, aws_keys: None, jobs_table: str, ledger_table: str, tmp_path: Path) -> Places:
    boto3.client("s3", endpoint_url=aws_url, region_name="us-east-1").create_bucket(Bucket="killed-jobs")
    return Places(aws_url, REGION, jobs_table, ledger_table, "killed-jobs", str(tmp_path / "told"))


@pytest.fixture
def workers(places: Places) -> Iterator[Workers]:
    with Workers(places) as found:
        yield found


class Processes(Stage):
    """A stage whose workers are processes as long as a fate is theirs."""

    workers: Workers

    async def worked(self, event: dict[str, Any], fate: Fate | None = None) -> dict[str, Any]:
        if fate is None:
            return await super().worked(event)
        return self.workers.work(self.kind, event, self.clock.now_s(), fate)


@pytest.mark.parametrize("state", TASKS)
async def test_wherever_a_worker_is_killed_its_job_ends_once(
    state: str, places: Places, workers: Workers, http_client: HttpClient
) -> None:
    """One job after the other, in the same accounts, each killed one call later."""
    (kind, after), settled = WAYS[state], 0
    for at in range(1_000):
        stage = Processes.of(kind, **ports_at(places, http_client))
        assert isinstance(stage, Processes)
        stage.workers = workers
        if after is not None:
            stage.fates[after], stage.impatient = Fate("before outbound.open"), frozenset([after])
        fate = stage.fates[state] = Fate(at)
        job_id = await stage.ordered()
        await stage.carried_on(job_id)
        if fate.struck is None:
            break
        await stage.swept_to_the_end(SWEEPS)
        try:
            await stage.check_ended(job_id, "completed", "failed", before=settled)
        except AssertionError as error:
            raise AssertionError(f"killed {fate.struck}, {at}") from error
        settled += sum(stage.costs.values())
        events = stage.world.events
        assert isinstance(events, FileEvents)
        events.forget()
    assert at >= (2 if state == "Wait to be called back" else 4), fate.passed
