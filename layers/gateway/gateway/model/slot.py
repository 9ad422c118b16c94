"""A place among those that a provider's calls may take at the same time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """`record`: the one of several that it is in. `id`: of who has it."""

    record: str
    id: str
