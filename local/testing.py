"""The running gateway that end-to-end tests talk to: a local stack of their own, or the one that BASE_URL names."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import venvs
from local.console import Problem, Progress, log_tail
from local.endpoints import Endpoints
from local.places import REPOSITORY
from local.processes import STOP_TIMEOUT_S


@contextmanager
def gateway_under_test(folder: Path) -> Iterator[Endpoints]:
    """BASE_URL and KEY of the environment when set, else a stack with its state in `folder`. Raises Problem."""
    base_url, key = os.environ.get("BASE_URL"), os.environ.get("KEY")
    if base_url and key:
        yield Endpoints.deployed(base_url, key)
    elif base_url or key:
        raise Problem("BASE_URL and KEY are needed together.")
    else:
        with running_stack(folder / "state") as endpoints:
            yield endpoints


@contextmanager
def running_stack(state_dir: Path, port: int = 0) -> Iterator[Endpoints]:
    """A stack of its own, with simulated providers only, stopped at the end. A second one on the same folder finds the
    first one's state. Raises Problem.
    """
    venvs.ensure([venvs.STACK, venvs.SAM], Progress())
    folder = state_dir.parent
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "run.log"
    read_fd, write_fd = os.pipe()
    command = [str(venvs.STACK.python), "-m", "local.run", "--port", str(port), "--state-dir", str(state_dir)]
    with log.open("w") as output, os.fdopen(read_fd) as ready:
        run = subprocess.Popen(  # noqa: S603 - runs our own environment's interpreter
            [*command, "--ready-fd", str(write_fd), "--simulated"],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[write_fd],
            start_new_session=True,
        )
        os.close(write_fd)
        try:
            if not ready.readline():
                raise Problem(f"The stack did not start:\n{log_tail(log, 40)}")
            yield Endpoints.read(folder / "endpoints.json")
        finally:
            _stop(run)


def _stop(run: subprocess.Popen[bytes]) -> None:
    if run.poll() is None:
        run.send_signal(signal.SIGTERM)
    try:
        run.wait(STOP_TIMEOUT_S + 10)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        raise
