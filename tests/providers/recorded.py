"""Recordings of what is no chat: few of each API, so each suite says itself what it expects of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.providers import replay


@dataclass(frozen=True)
class Recorded:
    id: str
    path: Path
    provider: str

    def load(self) -> dict[str, Any]:
        recording: dict[str, Any] = json.loads(self.path.read_text())
        return recording


def recorded(takes_part: Callable[[dict[str, str]], bool]) -> list[Recorded]:
    """Those whose row of the index does; none without the folder."""
    index = replay.ROOT / "INDEX.tsv"
    if not index.is_file():
        return []
    with index.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if takes_part(row)]
    return [Recorded(row["id"], replay.ROOT / row["file"], row["file"].partition("/")[0]) for row in rows]


def ids(found: list[Recorded]) -> list[str]:
    return [one.id for one in found]
