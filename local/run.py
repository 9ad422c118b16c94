"""The whole gateway on this machine, behind `make run`: start, deploy, seed, announce, wait, stop.

    .local/stack-venv/bin/python -m local.run [--port 8080] [--state-dir .local/state] [--env-file .env] [--ready-fd N]

The state directory keeps everything that outlives a stop; `endpoints.json` is written beside it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from local import build, deploy, ports, seed, settings
from local.admin_client import AdminClient
from local.aws import Aws
from local.console import Problem, Progress
from local.endpoints import Endpoints, announcement
from local.front_client import FrontClient
from local.locks import exclusive
from local.places import REPOSITORY, SETUP_LOCK, STATE
from local.ports import HOST, Ports
from local.processes import Processes, only_run

_START_TIMEOUT_S = 60.0
_POLL_S = 0.05
_WATCH_S = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    """`port` 0 takes a free one, None is left to PORT. `ready_fd`: a line is written to it once requests are served."""

    port: int | None
    state_dir: Path
    env_file: Path
    ready_fd: int | None


class Stop(Exception):
    """A signal asked the run to end."""


def read_options(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="local.run", description="Run the gateway on this machine.")
    parser.add_argument("--port", type=int, default=None)
    parser.add_argument("--state-dir", type=Path, default=STATE)
    parser.add_argument("--env-file", type=Path, default=REPOSITORY / ".env")
    parser.add_argument("--ready-fd", type=int, default=None)
    given = parser.parse_args(arguments)
    return Options(given.port, given.state_dir.resolve(), given.env_file, given.ready_fd)


class Run:
    """One run, from nothing to requests served."""

    def __init__(self, options: Options, progress: Progress) -> None:
        """Raises Problem for settings that cannot be read."""
        variables = settings.read(os.environ, options.env_file)
        self._ready_fd, self._progress = options.ready_fd, progress
        self._state = options.state_dir
        self._port = settings.port(variables) if options.port is None else options.port
        self._real = settings.real_credentials(variables)
        self._parameters = settings.stack_parameters(variables)

    def go(self) -> None:
        """Serve until Stop is raised. Raises Problem."""
        with only_run(self._state), Processes() as processes, undisturbed_end():
            chosen = ports.choose(self._port, self._state / "ports.json")
            front = self._start(processes, chosen)
            endpoints = self._provision(chosen, front)
            self._announce(endpoints)
            while True:
                processes.check()
                time.sleep(_WATCH_S)

    def _start(self, processes: Processes, chosen: Ports) -> FrontClient:
        """Start simulators and stack; build meanwhile."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        logs = self._state.parent / "logs"
        simulators = ["local.simulators", "--port", str(chosen.simulators)]
        processes.start("simulators", simulators, environment, logs / "simulators.log")
        launcher = ["local.launcher", "--port", str(chosen.front), "--stack-port", str(chosen.stack)]
        processes.start("stack", [*launcher, "--state-dir", str(self._state)], environment, logs / "stack.log")
        front = FrontClient(chosen.front)
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not front.is_healthy():
            processes.check()
            if time.monotonic() > deadline_s:
                raise Problem(f"The stack did not come up within {_START_TIMEOUT_S:.0f} s; see {logs / 'stack.log'}.")
            time.sleep(_POLL_S)
        self._progress.say("stack and simulators are up")
        return front

    def _provision(self, chosen: Ports, front: FrontClient) -> Endpoints:
        aws = Aws(f"http://{HOST}:{chosen.stack}")
        simulators = f"http://{HOST}:{chosen.simulators}"
        with exclusive(SETUP_LOCK):
            built = build.ensure(self._progress)
            deployment = deploy.ensure(
                aws,
                built,
                f"{HOST}:{chosen.simulators}",
                self._parameters,
                self._state / "deployed.txt",
                self._progress,
            )
        seed.store_credentials(aws, seed.credentials(self._real, simulators))
        seed.store_callback_secrets(aws, self._real)
        front.set_routes(deployment.routes())
        admin_key = seed.admin_key(aws, deployment.outputs["AdminKeySecretName"])
        keys = seed.demo_keys(AdminClient(chosen.front, admin_key), self._state / "demo-keys.json")
        front.save()
        return Endpoints(
            http=f"http://{HOST}:{chosen.front}/v1",
            websocket=f"ws://{HOST}:{chosen.front}/v1",
            api_key=keys.alice,
            second_api_key=keys.bob,
            admin_key=admin_key,
            aws_endpoint_url=aws.endpoint_url,
            simulators=simulators,
        )

    def _announce(self, endpoints: Endpoints) -> None:
        endpoints.write(self._state.parent / "endpoints.json")
        self._progress.say("ready")
        print(announcement(endpoints, self._real), flush=True)
        if self._ready_fd is not None:
            with os.fdopen(self._ready_fd, "w") as ready:
                ready.write("ready\n")


def stop_on_signals() -> None:
    """The first signal ends the run; more of them change nothing, because stopping is bounded and saves the state."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise Stop

    for number in _SIGNALS:
        signal.signal(number, stop)


def ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def undisturbed_end() -> Iterator[None]:
    """However the block ends, no signal interrupts what comes after it."""
    try:
        yield
    finally:
        ignore_signals()


def main(arguments: list[str]) -> int:
    progress = Progress()
    stop_on_signals()
    try:
        Run(read_options(arguments), progress).go()
    except Problem as problem:
        print(f"\nProblem: {problem}", file=sys.stderr)
        return 1
    except Stop:
        progress.say("stopped; the state is kept")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
