"""Asks PyPI's advisories about every package of every lock: `make audit`. Needs the internet.

pip-audit leaves out without a word what a marker keeps from this machine, and refuses two versions of one package, so
each lock is given to it without markers, in as many parts as a package has versions. All locks are looked at, also
after one that is bad; then it exits with 1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from scripts.locks import LOCKS, Package, packages

COMMAND = ("pip-audit", "--strict", "--disable-pip", "--require-hashes")


def parts(locked: Iterable[Package]) -> list[list[Package]]:
    """All of them, no name twice in a part."""
    found: list[dict[str, Package]] = []
    for package in locked:
        place = next((part for part in found if package.name not in part), None)
        if place is None:
            found.append(place := {})
        place[package.name] = package
    return [list(part.values()) for part in found]


def requirements(part: Iterable[Package]) -> str:
    lines = (
        " ".join([f"{one.name}=={one.version}", *(f"--hash=sha256:{sha256}" for sha256 in one.sha256)]) for one in part
    )
    return "\n".join([*lines, ""])


def main(more: list[str]) -> int:
    """`more`: further options of pip-audit."""
    program, *options = COMMAND
    is_bad = False
    with tempfile.TemporaryDirectory() as folder:
        for lock in LOCKS:
            for number, part in enumerate(parts(packages(lock))):
                file = Path(folder) / f"{lock.replace('/', '-')}.{number}.txt"
                file.write_text(requirements(part))
                print(f"{lock}: {len(part)} packages", flush=True)
                command = [str(Path(sys.executable).with_name(program)), *options, "--requirement", str(file), *more]
                is_bad |= subprocess.run(command, check=False).returncode != 0  # noqa: S603 - our own environment
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
