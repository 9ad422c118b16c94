"""Children are stopped in order, never outlive us, and say why they ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.console import Problem
from local.places import REPOSITORY
from local.processes import Processes, only_run

WAITS_AND_SAVES = """
import pathlib, signal, sys, threading
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
open(sys.argv[1], "w").write("up")
stopped.wait()
pathlib.Path(sys.argv[2]).write_text("saved")
"""


@pytest.fixture
def module_environment(tmp_path: Path) -> dict[str, str]:
    """Lets a child import test modules from tmp_path, beside ours."""
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_leaving_the_block_stops_a_child_gracefully(tmp_path: Path, module_environment: dict[str, str]) -> None:
    (tmp_path / "waits.py").write_text(WAITS_AND_SAVES)
    up, saved = tmp_path / "up", tmp_path / "saved"
    os.mkfifo(up)
    with Processes() as processes:
        processes.start("child", ["waits", str(up), str(saved)], module_environment, tmp_path / "log")
        assert up.read_text() == "up"
        processes.check()
    assert saved.read_text() == "saved"


def test_a_child_that_ends_by_itself_is_named_with_its_last_words(
    tmp_path: Path, module_environment: dict[str, str]
) -> None:
    (tmp_path / "fails.py").write_text("print('no room left'); raise SystemExit(3)")
    with Processes() as processes:
        child = processes.start("stack", ["fails"], module_environment, tmp_path / "log")
        assert child.wait_stopped(10)
        with pytest.raises(Problem, match=r"The stack ended by itself \(3\)(?s:.*)no room left"):
            processes.check()


def test_a_child_saves_and_ends_when_its_starter_is_killed(tmp_path: Path, module_environment: dict[str, str]) -> None:
    (tmp_path / "waits.py").write_text(WAITS_AND_SAVES)
    (tmp_path / "starter.py").write_text(
        "import os, pathlib, sys, time\n"
        "from local.processes import Child\n"
        "child = Child('child', ['waits', *sys.argv[1:3]], os.environ, pathlib.Path(sys.argv[3]))\n"
        "time.sleep(60)\n"
    )
    up, saved = tmp_path / "up", tmp_path / "saved"
    os.mkfifo(up)
    os.mkfifo(saved)
    starter = subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-m", "starter", str(up), str(saved), str(tmp_path / "log")],
        cwd=REPOSITORY,
        env=module_environment,
    )
    assert up.read_text() == "up"
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    assert saved.read_text() == "saved"


def test_a_second_run_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with only_run(tmp_path), pytest.raises(Problem, match=f"runs already .process {os.getpid()}"), only_run(tmp_path):
        pass
    with only_run(tmp_path):
        pass
