"""A string that does not show itself."""

from __future__ import annotations


class Secret:
    """Holds a key; `repr`, `str` and format give a mask, only `reveal` the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._value)
