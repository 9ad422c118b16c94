"""How many tokens texts have at least: a bound for refusing what cannot fit, never a guess.

Tokenizers cut between words before they merge anything, so every word is a token or more. In what is hardly ever
spaced, such as Chinese or base64, tokens have no more than `CHARACTERS_PER_TOKEN` characters on average; what is drawn
with a few characters, such as a rule of dashes, counts as one: some tokens have a hundred of them.
Source: https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence

CHARACTERS_PER_TOKEN = 16
_AT_ONCE = 256 * 1024
_LONG_WORD = re.compile(rf"\S{{{2 * CHARACTERS_PER_TOKEN},}}")
_DRAWN_WITH_AT_MOST = 8


def tokens_above(texts: Sequence[str], most: int) -> int | None:
    """The least tokens of these texts when that is more than `most`, None otherwise. Counts no further than needed."""
    characters = sum(map(len, texts))
    if characters <= 2 * most:
        return None  # a word and its space have two
    tokens = sum(map(_words, texts))
    if tokens <= most and characters // CHARACTERS_PER_TOKEN > most:
        tokens += sum(map(_more_of_long_words, texts))
    return tokens if tokens > most else None


def _words(text: str) -> int:
    """Piece by piece, of which a word across the end of one is not counted twice."""
    pieces = (text[start : start + _AT_ONCE] for start in range(0, len(text), _AT_ONCE))
    return max(0, sum(len(piece.split()) - 1 for piece in pieces) + bool(text))


def _more_of_long_words(text: str) -> int:
    words = (word[0] for word in _LONG_WORD.finditer(text))
    return sum(len(word) // CHARACTERS_PER_TOKEN - 1 for word in words if len(set(word)) > _DRAWN_WITH_AT_MOST)
