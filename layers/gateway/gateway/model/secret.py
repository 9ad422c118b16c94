"""Keys, as values that do not show themselves."""

from __future__ import annotations

from hmac import compare_digest

from msgspec import Struct


class Secret:
    """Holds a key; `repr`, `str` and format give a mask, only `reveal` the value. Equal to one that holds the same."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)


class AwsKeys(Struct, frozen=True):
    """`session_token`: with temporary keys only."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
