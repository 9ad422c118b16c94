"""The project's own Python environments, made from pinned requirements and made again when those change.

    python3 -m local.venvs dev stack sam

Runs under any Python of the host before anything is installed: standard library only.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from local import fingerprint
from local.commands import fresh_log, run_logged
from local.console import Problem, Progress
from local.locks import exclusive
from local.places import LOCAL, REPOSITORY, SETUP_LOCK

_STAMP = ".made-from"
_INSTALL = (
    *("install", "--disable-pip-version-check", "--no-input", "--no-compile"),
    *("--no-deps", "--require-hashes"),
)
"""--no-compile: most of what SAM CLI brings is never imported, and what is, is compiled then."""


@dataclass(frozen=True)
class Venv:
    """The requirements name every package with its hashes, so pip has nothing to resolve, and installs nothing else.

    `afterwards`: a command that is better run now, while another environment installs, than when it is needed.
    """

    name: str
    folder: Path
    requirements: tuple[Path, ...]
    afterwards: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def key(self) -> str:
        return fingerprint.of_text(sys.version, *_INSTALL, *(file.read_text() for file in self.requirements))

    def is_ready(self) -> bool:
        stamp = self.folder / _STAMP
        return stamp.exists() and self.python.exists() and stamp.read_text() == self.key()


_HERE = Path(__file__).parent

DEV = Venv("dev", REPOSITORY / ".venv", (REPOSITORY / "requirements-dev.txt",))
STACK = Venv(
    "stack",
    LOCAL / "stack-venv",
    (_HERE / "requirements-stack.txt",),
    afterwards=("make", "--makefile", str(REPOSITORY / "layers" / "deps" / "Makefile"), "kept"),
)
SAM = Venv("sam", LOCAL / "sam-venv", (_HERE / "requirements-sam.txt",))
SUPPLY = Venv("supply", LOCAL / "supply-venv", (_HERE / "requirements-supply.txt",))
CONTRACT = Venv("contract", LOCAL / "contract-venv", (_HERE / "requirements-contract.txt",))
POLICY = Venv("policy", LOCAL / "policy-venv", (_HERE / "requirements-policy.txt",))
HOST_LAYER = {"LAYER_TARGET": "host", "PYTHON": str(STACK.python)}
"""What tells the layers' Makefiles to build for the local stack's Python."""

ALL = {venv.name: venv for venv in (DEV, STACK, SAM, SUPPLY, CONTRACT, POLICY)}


def ensure(venvs: list[Venv], progress: Progress) -> None:
    """Make what is missing or out of date, two at a time. Raises Problem."""
    if all(venv.is_ready() for venv in venvs):
        return
    if importlib.util.find_spec("ensurepip") is None:
        version = ".".join(platform.python_version_tuple()[:2])
        raise Problem(
            f"Python {version} at {sys.executable} has no venv module. "
            f"On Debian and Ubuntu: apt install python{version}-venv. Or take another Python: make PYTHON=..."
        )
    with exclusive(SETUP_LOCK), ThreadPoolExecutor(max_workers=2) as pool:
        missing = [venv for venv in venvs if not venv.is_ready()]
        for made in [pool.submit(make, venv, progress) for venv in missing]:
            made.result()


def make(venv: Venv, progress: Progress) -> None:
    """Make one environment anew. Raises Problem."""
    what = f"installing {', '.join(file.name for file in venv.requirements)} into {_shown(venv.folder)}"
    log = fresh_log(f"venv-{venv.name}")
    with progress.step(what):
        run_logged(f"{what}, making it", [sys.executable, "-m", "venv", "--clear", str(venv.folder)], log)
        pip = [str(venv.python), "-m", "pip", *_INSTALL, *_requirements(venv)]
        run_logged(f"{what} (is the package index reachable?)", pip, log)
        (venv.folder / _STAMP).write_text(venv.key())
    if venv.afterwards:
        run_logged(" ".join(venv.afterwards), [*venv.afterwards], log, {**os.environ, **HOST_LAYER})


def _requirements(venv: Venv) -> list[str]:
    return [argument for file in venv.requirements for argument in ("--requirement", str(file))]


def _shown(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def main(names: list[str]) -> int:
    try:
        ensure([ALL[name] for name in names], Progress())
    except Problem as problem:
        print(f"Problem: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next start goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
