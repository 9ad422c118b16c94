"""Answers that simulated providers work on in the background: for as long as the prompt says."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from local.simulators.switches import Switches
from local.simulators.wire import Json, Refused

MAX_WORKS = 500
QUEUED_PART = 0.2
"""Of its time, until its work begins."""
State = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(slots=True)
class Work:
    """`whole`: what it says in the end. `ends`: what becomes of it, None for that."""

    whole: Json
    takes_s: float
    ends: str | None
    began_s: float = field(default_factory=time.monotonic)
    is_cancelled: bool = False

    @property
    def state(self) -> State:
        passed_s = time.monotonic() - self.began_s
        if self.is_cancelled:
            return "cancelled"
        if passed_s < self.takes_s:
            return "queued" if passed_s < QUEUED_PART * self.takes_s else "running"
        return "failed" if self.ends == "failed" else "done"

    def cancel(self) -> None:
        """Of one that has ended nothing changes."""
        self.is_cancelled = self.is_cancelled or self.state in ("queued", "running")


WORKS: OrderedDict[str, Work] = OrderedDict()


def begun(name: str, whole: Json, switches: Switches) -> Work:
    WORKS[name] = work = Work(whole, switches.works_s, switches.works)
    while len(WORKS) > MAX_WORKS:
        WORKS.popitem(last=False)
    return work


def known(name: str) -> Work:
    """Raises Refused (404), also for one that is `gone` when it is done."""
    work = WORKS.get(name)
    if work is None or (work.ends == "gone" and work.state == "done"):
        raise Refused("fault", f"'{name}' was not found.", status=404)
    return work
