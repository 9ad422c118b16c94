"""Which code a run measures."""

from __future__ import annotations

import subprocess

from local.places import REPOSITORY

MEASURED = ("layers", "functions", "shared", "benchmarks", "local", "template.yaml")
"""What a run is made of. Documents are not: publishing changes them."""


def commit() -> str:
    """Of the working copy, empty where there is no git."""
    return _git("rev-parse", "--short", "HEAD").strip()


def is_changed() -> bool:
    """Whether the working copy has something else than its commit says, new files included."""
    return bool(_git("status", "--porcelain", "--", *MEASURED).strip())


def _git(*arguments: str) -> str:
    try:
        found = subprocess.run(  # noqa: S603 - our own words
            ["git", *arguments],  # noqa: S607 - whichever git there is
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout
