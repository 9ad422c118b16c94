"""A hot function as it is deployed: layers built from the repository, the exec wrapper, a bare interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from benchmarks.aws_stand_in import ACCESS_KEY_ID, HEALTH, LEDGER, REGION, STACK, TABLE
from benchmarks.machine import pinned_to
from local.commands import run_logged
from local.places import REPOSITORY

_LAYERS = (("deps", "build-DepsLayer"), ("gateway", "build-GatewayLayer"))
_STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Package:
    """`opt` and `task` are /opt and /var/task of the function; `interpreter` finds no packages of its own."""

    opt: Path
    task: Path
    interpreter: Path
    log: Path

    @classmethod
    def build(cls, folder: Path) -> Package:
        """The chat function. Raises Problem when a layer cannot be built. Bytecode is compiled as the layers' Makefiles
        do it.
        """
        package = cls(
            folder / "opt", folder / "task" / "none", folder / "runtime" / "bin" / "python", folder / "function.log"
        )
        inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        for layer, target in _LAYERS:
            built = folder / layer
            command = ["make", "-C", f"layers/{layer}", target, f"ARTIFACTS_DIR={built}"]
            command += ["LAYER_TARGET=host", f"PYTHON={sys.executable}"]
            run_logged(f"building the {layer} layer", command, folder / "layers.log", inherited)
            shutil.copytree(built, package.opt, dirs_exist_ok=True)
        venv.EnvBuilder(with_pip=False, symlinks=True).create(folder / "runtime")
        return package.of("chat")

    def of(self, function: str) -> Package:
        """The same layers under the code of another function."""
        task = self.task.parent / function
        code = REPOSITORY / "functions" / function
        shutil.copytree(code, task, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        return replace(self, task=task)

    def size_mb(self) -> float:
        """Of the function and its layers, in millions of bytes."""
        files = (path for folder in (self.opt, self.task) for path in folder.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files) / 1e6

    def search_path(self) -> str:
        """PYTHONPATH as the exec wrapper sets it."""
        return f"{self.task}:{self.opt / 'python'}"

    def variables(self, aws_url: str, runtime_api: str = "") -> dict[str, str]:
        """The process's whole environment."""
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": "app.app",
            "LAMBDA_TASK_ROOT": str(self.task),
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_SESSION_TOKEN": "bench",
            "GATEWAY_STACK": STACK,
            "GATEWAY_TENANTS_TABLE": TABLE,
            "GATEWAY_LEDGER_TABLE": LEDGER,
            "GATEWAY_JOBS_TABLE": "bench-jobs",
            "GATEWAY_JOB_MACHINE": "arn:aws:states:us-east-1:000000000000:stateMachine:bench-job",
            "GATEWAY_BATCH_MACHINE": "arn:aws:states:us-east-1:000000000000:stateMachine:bench-batch",
            "GATEWAY_HEALTH_TABLE": HEALTH,
            "GATEWAY_EVENT_BUS": "bench",
            "GATEWAY_RECORDS_QUEUE_URL": f"{aws_url}/queue",
            "GATEWAY_FILES_BUCKET": "bench-files",
            "GATEWAY_LOCAL_ENDPOINT": aws_url,
        }


@contextmanager
def running(
    package: Package, aws_url: str, runtime_api: str, core: int, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[int]:
    """The function's process on `core`, by its id, from the start of the exec wrapper on; ended with the block.

    `more`: variables of this function alone.
    """
    command = [str(package.opt / "gateway-runtime"), str(package.interpreter), "bootstrap.py"]
    with package.log.open("ab") as log, pinned_to(core):
        process = subprocess.Popen(  # noqa: S603 - runs our own exec wrapper
            command,
            cwd=package.task,
            env={**package.variables(aws_url, runtime_api), **more},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(_STOP_TIMEOUT_S)


def simulators() -> AbstractContextManager[int]:
    """The provider simulators' process, by its port."""
    return serving("local.simulators")


@contextmanager
def serving(module: str) -> Iterator[int]:
    """The process of one of our modules whose first line ends in its port; ended with the block."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", module], cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    try:
        yield int(process.stdout.readline().rpartition(b":")[2])
    finally:
        process.terminate()
        process.wait(_STOP_TIMEOUT_S)
        process.stdout.close()
