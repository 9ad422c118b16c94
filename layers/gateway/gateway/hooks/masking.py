"""Tokens in place of what looks personal, and the way back. One for each request; what it knows is never shown.

The same value has the same token all through a request, and in the next one of a conversation too, as the numbers go by
where a value first stands. A token that the request has already is not given to anything.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TypeAlias, get_args

import msgspec

from gateway.hooks.personal import find
from gateway.model.hook import PiiKind

_KINDS = "|".join(kind.upper() for kind in get_args(PiiKind))
_NAME = rf"(?:{_KINDS})_[1-9]\d{{0,6}}"
_TOKEN = re.compile(f"<{_NAME}>", re.IGNORECASE)
_BEGINNING = re.compile(r"<[A-Z_]{0,7}\d{0,7}\Z", re.IGNORECASE)
# Encoders that write for web pages, as Go's does by itself, spell out both signs in JSON.
_TOKEN_IN_JSON = re.compile(rf"(?:<|\\u003c)({_NAME})(?:>|\\u003e)", re.IGNORECASE)
_ESCAPE = r"\\(?:u(?:0(?:0(?:3)?)?)?)?"
_BEGINNING_IN_JSON = re.compile(rf"(?:{_ESCAPE}|(?:<|\\u003c)[A-Z_]{{0,7}}\d{{0,7}}(?:{_ESCAPE})?)\Z", re.IGNORECASE)


Remembered: TypeAlias = list[tuple[PiiKind, str, bool, str]]
"""Kind, value, whether it is put back, token."""


class Masking:
    @classmethod
    def remembering(cls, known: Remembered) -> Masking:
        """Of a request of which another environment has the rest."""
        masking = cls()
        masking._tokens = {(kind, value, restores): token for kind, value, restores, token in known}
        masking._values = {token: value for _, value, restores, token in known if restores}
        masking._taken = {token for *_, token in known}
        return masking

    def remembered(self) -> Remembered:
        """As secret as the request itself."""
        return [(*key, token) for key, token in self._tokens.items()]

    def __init__(self) -> None:
        self._tokens: dict[tuple[PiiKind, str, bool], str] = {}
        self._values: dict[str, str] = {}
        self._taken: set[str] = set()
        self._numbers: dict[PiiKind, int] = {}

    @property
    def restores(self) -> bool:
        """Whether there is anything to put back."""
        return bool(self._values)

    def avoid(self, texts: Iterable[str]) -> None:
        """Tokens that stand in the texts will not be given out."""
        self._taken.update(token.upper() for text in texts for token in _TOKEN.findall(text))

    def masked(self, text: str, kinds: Collection[PiiKind], restores: bool) -> str:
        """`restores`: whether `restored` is to know the values."""
        pieces: list[str] = []
        at = 0
        for start, end, kind in find(text, kinds):
            pieces += [text[at:start], self._token(kind, text[start:end], restores)]
            at = end
        return "".join([*pieces, text[at:]]) if pieces else text

    def restored(self, text: str) -> str:
        """With values in place of their tokens, which models may have written in small letters."""
        return _TOKEN.sub(lambda token: self._values.get(token[0].upper(), token[0]), text)

    def restored_in_json(self, piece: str) -> str:
        """The same for a piece of JSON text, inside whose strings tokens stand."""

        def put_back(token: re.Match[str]) -> str:
            value = self._values.get(f"<{token[1].upper()}>")
            return token[0] if value is None else msgspec.json.encode(value)[1:-1].decode()

        return _TOKEN_IN_JSON.sub(put_back, piece)

    def _token(self, kind: PiiKind, value: str, restores: bool) -> str:
        key = (kind, value, restores)
        if key not in self._tokens:
            self._tokens[key] = token = self._new_token(kind)
            if restores:
                self._values[token] = value
        return self._tokens[key]

    def _new_token(self, kind: PiiKind) -> str:
        while True:
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            token = f"<{kind.upper()}_{self._numbers[kind]}>"
            if token not in self._taken:
                return token


class Restorer:
    """Puts values back into a text that comes in pieces, which may cut a token anywhere."""

    def __init__(self, masking: Masking, *, in_json: bool = False) -> None:
        self._restored = masking.restored_in_json if in_json else masking.restored
        self._beginning = _BEGINNING_IN_JSON if in_json else _BEGINNING
        self._held = ""

    def take(self, piece: str) -> str:
        """What is certain by now."""
        text = self._held + piece
        beginning = self._beginning.search(text)
        certain = len(text) if beginning is None else beginning.start()
        self._held = text[certain:]
        return self._restored(text[:certain])

    def rest(self) -> str:
        held, self._held = self._held, ""
        return held
