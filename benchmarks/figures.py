"""The numbers of a run: quantiles of a slice, medians over rounds, and one thing against another in the same rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """The median over rounds, with the lowest and the highest round."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def over(cls, rounds: Sequence[float]) -> Figure:
        return cls(statistics.median(rounds), min(rounds), max(rounds))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what was measured, its unit, and a figure for each column."""

    name: str
    unit: str
    figures: dict[str, Figure]

    @classmethod
    def single(cls, name: str, unit: str, rounds: Sequence[float]) -> Row:
        return cls(name, unit, {"measured": Figure.over(rounds)})

    @classmethod
    def compared(cls, name: str, unit: str, direct: Sequence[float], gateway: Sequence[float]) -> Row:
        """`direct` and `gateway` belong together round by round, so added and ratio are taken within each round."""
        pairs = list(zip(direct, gateway, strict=True))
        return cls(
            name,
            unit,
            {
                "direct": Figure.over(direct),
                "gateway": Figure.over(gateway),
                "added": Figure.over([gateway_value - direct_value for direct_value, gateway_value in pairs]),
                "ratio": Figure.over([gateway_value / direct_value for direct_value, gateway_value in pairs]),
            },
        )


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the same columns, and one sentence on what they mean."""

    title: str
    note: str
    rows: list[Row]


def quantile(values: Sequence[float], percent: int) -> float:
    """Linear between the two nearest values, never beyond the extremes. `percent` from 1 to 99."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
