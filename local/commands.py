"""Commands that run to their end with their output in a log."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from local.console import Problem, log_tail
from local.places import LOGS, REPOSITORY


def fresh_log(name: str) -> Path:
    """The path of an empty log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    log.write_text("")
    return log


def run_logged(what: str, command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Raises Problem, naming `what` failed, with the end of the log, to which all output is added.

    The command sees nothing of a make that we run under: a PYTHON= given there would overrule what a Makefile further
    down is told by the environment.
    """
    inherited = os.environ if environment is None else environment
    with log.open("a") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        status = subprocess.run(  # noqa: S603 - the commands are spelled out in this package
            command,
            cwd=REPOSITORY,
            env={name: value for name, value in inherited.items() if not name.startswith(("MAKE", "MFLAGS"))},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        ).returncode
    if status != 0:
        raise Problem(f"{what} failed ({status}). The end of {log}:\n{log_tail(log)}")
