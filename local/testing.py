"""The running gateway that end-to-end tests talk to: a local stack of their own, or the one that BASE_URL names."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local import venvs
from local.console import Problem, Progress, log_tail
from local.endpoints import Endpoints
from local.places import REPOSITORY
from local.processes import STOP_TIMEOUT_S
from local.settings import PROVIDERS, stack_parameters

WATCHED = "cerebras"
"""The one provider whose failures are counted in the stack of the tests: those of all others are in no test's way."""
OPEN_S = 5
ROLLOVER_S = 5
"""How long a function holds a realtime session: in the stack of the tests it changes hands all the time."""
_PARAMETERS = {
    "TEMPLATE_WatchedProviders": WATCHED,
    "TEMPLATE_CircuitOpenSeconds": str(OPEN_S),
    "TEMPLATE_RealtimeRolloverSeconds": str(ROLLOVER_S),
}


@contextmanager
def gateway_under_test(folder: Path) -> Iterator[Endpoints]:
    """BASE_URL and KEY of the environment when set, else a stack with its state in `folder`. Raises Problem."""
    base_url, key = os.environ.get("BASE_URL"), os.environ.get("KEY")
    if base_url and key:
        yield Endpoints.deployed(base_url, key)
    elif base_url or key:
        raise Problem("BASE_URL and KEY are needed together.")
    else:
        with running_stack(folder / "state", providers=_PARAMETERS) as endpoints:
            yield endpoints


@contextmanager
def running_stack(state_dir: Path, port: int = 0, providers: Mapping[str, str] | None = None) -> Iterator[Endpoints]:
    """A stack of its own, stopped at the end; a second one on the same folder finds the first one's state.

    `providers`: what `.env` would say (OPENAI_BASE_URL and so on); providers not named there are simulated, whatever
    the environment of the tests says. Raises Problem.
    """
    venvs.ensure([venvs.STACK, venvs.SAM], Progress())
    folder = state_dir.parent
    folder.mkdir(parents=True, exist_ok=True)
    env_file, log = folder / "providers.env", folder / "run.log"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in (providers or {}).items()))
    read_fd, write_fd = os.pipe()
    options = ["--port", str(port), "--state-dir", str(state_dir), "--env-file", str(env_file)]
    with log.open("w") as output, os.fdopen(read_fd) as ready:
        run = subprocess.Popen(  # noqa: S603 - runs our own environment's interpreter
            [str(venvs.STACK.python), "-m", "local.run", *options, "--ready-fd", str(write_fd)],
            cwd=REPOSITORY,
            env=_without_providers(),
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


def _without_providers() -> dict[str, str]:
    ours = {f"{provider.upper()}_{what}" for provider in PROVIDERS for what in ("API_KEY", "BASE_URL")}
    ours |= {f"TEMPLATE_{name}" for name in stack_parameters(os.environ)}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _stop(run: subprocess.Popen[bytes]) -> None:
    if run.poll() is None:
        run.send_signal(signal.SIGTERM)
    try:
        run.wait(STOP_TIMEOUT_S + 10)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        raise
