"""JSON of any kind in the place of what is expected: for answers of providers and requests of clients."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.integers(-3, 3) | st.sampled_from([2**31, 2**53 + 1, 2**63, 10**30, -(10**30), 0.5, -1.5, 1e300, -1e300])
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "null", "0", "-1", "1e999", "NaN", "Infinity", "\0", "💥", "é" * 300]
)
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON, small."""


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The ways to everything in it, but for itself."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for name, member in inner for way in ((*at, name), *places(member, (*at, name)))]


@st.composite
def spoilt(draw: st.DrawFn, whole: Any, times: int = 4) -> Any:
    """A copy of it in which up to so many parts are something else, missing, or there twice."""
    if not (ways := places(whole)):
        return draw(ODD)
    spoilt = copy.deepcopy(whole)
    for way in draw(st.lists(st.sampled_from(ways), min_size=1, max_size=times)):
        _spoil(draw, spoilt, way)
    return spoilt


def _spoil(draw: st.DrawFn, place: Any, way: tuple[str | int, ...]) -> None:
    last: Any
    *outer, last = way
    try:
        for step in outer:
            place = place[step]
        found = place[last]
    except (KeyError, IndexError, TypeError):
        return  # it went with something round it
    if not isinstance(place, dict | list):
        return
    how = draw(st.sampled_from(["alike", "alike", "alike", "else", "else", "wrapped", "gone", "twice"]))
    if how == "gone":
        del place[last]
    elif how == "twice" and isinstance(place, list):
        place.append(copy.deepcopy(found))
    elif how == "wrapped":
        place[last] = draw(st.sampled_from([[found], {"": found}, [None, found]]))
    elif how == "alike":
        place[last] = draw(_alike(found))
    else:
        place[last] = draw(ODD)


def _alike(found: Any) -> st.SearchStrategy[Any]:
    """Odd, and of the same kind."""
    if isinstance(found, bool) or found is None:
        return ODD
    if isinstance(found, int | float):
        return NUMBERS
    if isinstance(found, str):
        return TEXTS
    return st.sampled_from([[], {}])
