"""Commands that run to their end with their output in a log."""

from __future__ import annotations

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
    """Raises Problem, naming `what` failed, with the end of the log, to which all output is added."""
    with log.open("a") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        status = subprocess.run(  # noqa: S603 - the commands are spelled out in this package
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        ).returncode
    if status != 0:
        raise Problem(f"{what} failed ({status}). The end of {log}:\n{log_tail(log)}")
