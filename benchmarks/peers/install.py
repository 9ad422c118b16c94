"""Installs the peers from PyPI and npm into .local/peers, as their lock files say."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local import fingerprint, venvs
from local.commands import fresh_log, run_logged
from local.console import Problem, Progress
from local.places import PEERS

_HERE = Path(__file__).parent
_STAMP = ".made-from"
_NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev")
_TOOLS = ("pip", "setuptools", "wheel", "_distutils_hack", "distutils-precedence.pth")
"""What every environment has, whatever is installed in it."""


@dataclass(frozen=True, slots=True)
class Installed:
    """`size_mb`: all files of the package and of what it needs, without bytecode and without the interpreter."""

    home: Path
    version: str
    size_mb: float


@dataclass(frozen=True, slots=True)
class Installation:
    """`folder` has the lock file, here and below .local/peers; `make` raises Problem where it cannot be installed."""

    folder: str
    package: str
    make: Callable[[Installation, Progress], Installed]

    @property
    def home(self) -> Path:
        return PEERS / self.folder

    @property
    def source(self) -> Path:
        return _HERE / self.folder


def of_pypi(wanted: Installation, progress: Progress) -> Installed:
    venv = venvs.Venv(f"peer-{wanted.folder}", wanted.home, (wanted.source / "requirements.txt",))
    if not venv.is_ready():
        wanted.home.parent.mkdir(parents=True, exist_ok=True)
        venvs.make(venv, progress)
    site = next(wanted.home.glob("lib/python*/site-packages"))
    found = next(iter(importlib.metadata.distributions(name=wanted.package, path=[str(site)])))
    return Installed(wanted.home, found.version, size_mb(site, _TOOLS))


def of_npm(wanted: Installation, progress: Progress) -> Installed:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Problem("needs node and npm, which are not here")
    files = [wanted.source / name for name in ("package.json", "package-lock.json")]
    key = fingerprint.of_text(*(file.read_text() for file in files))
    stamp = wanted.home / _STAMP
    if not stamp.exists() or stamp.read_text() != key:
        shutil.rmtree(wanted.home, ignore_errors=True)
        wanted.home.mkdir(parents=True)
        for file in files:
            shutil.copy(file, wanted.home)
        what = f"installing {wanted.package} into .local/peers/{wanted.folder}"
        with progress.step(what):
            command = [npm, *_NPM, "--prefix", str(wanted.home)]
            run_logged(f"{what} (is the registry reachable?)", command, fresh_log(f"peer-{wanted.folder}"))
        stamp.write_text(key)
    modules = wanted.home / "node_modules"
    version = json.loads((modules / wanted.package / "package.json").read_text())["version"]
    return Installed(wanted.home, version, size_mb(modules))


def size_mb(folder: Path, without: tuple[str, ...] = ()) -> float:
    """All files below `folder` without bytecode, and without what starts with one of `without` at its top."""
    kept = (path for path in folder.iterdir() if not path.name.startswith(without or ("\0",)))
    files = (file for path in kept for file in ([path] if path.is_file() else path.rglob("*")))
    sizes = (file.lstat().st_size for file in files if file.is_file() and "__pycache__" not in file.parts)
    return sum(sizes) / 1e6


LITELLM = Installation("litellm", "litellm", of_pypi)
TENSORZERO = Installation("tensorzero", "tensorzero", of_pypi)
PORTKEY = Installation("portkey", "@portkey-ai/gateway", of_npm)
ALL = (LITELLM, TENSORZERO, PORTKEY)
