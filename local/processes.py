"""The processes of a run: in sessions of their own, so that Ctrl-C reaches only us and we end them in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from local.console import Problem, log_tail
from local.locks import take
from local.places import REPOSITORY

STOP_TIMEOUT_S = 30.0
"""The stack writes its state when it stops; under load that took 16 s."""

_POLL_S = 0.05


class Child:
    """A running module of ours. It ends with us, even if we are killed: local/tether.py."""

    def __init__(self, name: str, module: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            self._process = subprocess.Popen(  # noqa: S603 - runs this interpreter
                [sys.executable, "-m", "local.tether", *module],
                cwd=REPOSITORY,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises Problem when the process has ended."""
        status = self._process.poll()
        if status is not None:
            words = log_tail(self.log)
            raise Problem(f"The {self.name} ended by itself ({status}). Its last words, from {self.log}:\n{words}")

    def ask_to_stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()

    def wait_stopped(self, timeout_s: float) -> bool:
        """False when it had to be killed."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return False
        finally:
            if self._process.stdin:
                self._process.stdin.close()
        return True


class Processes:
    """The children of this run. Leaving the block stops them, the last started first asked, and waits."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self._children):
            child.ask_to_stop()
        killed = [child.name for child in reversed(self._children) if not child.wait_stopped(STOP_TIMEOUT_S)]
        if killed:
            print(f"Killed after {STOP_TIMEOUT_S:.0f} s: {', '.join(killed)}. What was not saved is lost.", flush=True)

    def start(self, name: str, module: list[str], environment: Mapping[str, str], log: Path) -> Child:
        child = Child(name, module, environment, log)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raises Problem when one has ended."""
        for child in self._children:
            child.check()


@contextmanager
def only_run(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for this run; the stack of one that was killed gets the time to save and end.

    Raises Problem while another run holds it.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "run.lock").open("a+") as lock:
        if not take(lock.fileno()):
            lock.seek(0)
            raise Problem(
                f"The local stack runs already (process {lock.read().strip()}), with the state in {state_dir}."
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        _wait_for_stack(state_dir / "lock")
        yield


def _wait_for_stack(path: Path) -> None:
    """The launcher holds this lock as long as it lives."""
    deadline_s = time.monotonic() + STOP_TIMEOUT_S
    with path.open("a") as lock:
        while not take(lock.fileno()):
            if time.monotonic() > deadline_s:
                raise Problem(f"An earlier stack still holds {path} and does not end; find it with: fuser {path}")
            time.sleep(_POLL_S)
