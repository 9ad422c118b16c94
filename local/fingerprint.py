"""Hashes that tell whether something has to be done again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from local.places import REPOSITORY

DEPLOYED = ("template.yaml", "samconfig.toml", "functions", "layers", "shared", "statemachines")
"""What decides on a deployment's content, together with its parameters."""

_IGNORED_FOLDERS = {"__pycache__", ".mypy_cache", ".ruff_cache"}


def of_text(*parts: str) -> str:
    """SHA-256 in hex; the parts stay apart, so ("ab", "c") is not ("a", "bc")."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def of_files(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 in hex over names, execute bits and contents of files and whole folders; absent ones count not."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(_files(path)):
            executable = bool(file.stat().st_mode & 0o100)
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(root).as_posix()} {executable} {content}\n".encode())
    return digest.hexdigest()


def of_deployment(*settings: str, root: Path = REPOSITORY) -> str:
    """SHA-256 in hex over everything that is deployed, and the given settings."""
    return of_text(of_files((root / name for name in DEPLOYED), root), *settings)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for child in path.iterdir():
            if child.name not in _IGNORED_FOLDERS:
                yield from _files(child)
    elif path.is_file():
        yield path
