"""Phrases that must not be said, found as whole words in one pass over a text, however many phrases there are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

Trie = dict[str, Any]
_END = ""  # no word is empty

# Scripts without spaces between words, and Korean, whose particles stick to words: each character is a word there.
_ALONE = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# Compiled when first used, which takes milliseconds, and remembered by `re`.
# What joins the words of a name (`project_zeus`) is no part of them.
_WORDS = rf"[{_ALONE}]|[^\W_{_ALONE}]+"
_WORDS_AND_SIGNS = rf"{_WORDS}|[^\w\s]|_"


def has_phrase(texts: Iterable[str], phrases: tuple[str, ...]) -> bool:
    """Whole words, in any case and any form of Unicode. A phrase of words alone is found over punctuation too; the
    punctuation of a phrase ("c++", "node.js") has to be there as well.
    """
    plain, exact = _tries(phrases)
    for text in texts:
        said = _normal(text)
        if plain and _is_in(re.findall(_WORDS, said), plain):
            return True
        if exact and _is_in(re.findall(_WORDS_AND_SIGNS, said), exact):
            return True
    return False


def is_phrase(text: str) -> bool:
    """Whether there is anything in it to look for."""
    return re.search(_WORDS_AND_SIGNS, _normal(text)) is not None


@lru_cache(maxsize=256)
def _tries(phrases: tuple[str, ...]) -> tuple[Trie, Trie]:
    """Of phrases of words alone, and of those with punctuation."""
    plain: Trie = {}
    exact: Trie = {}
    for phrase in phrases:
        normal = _normal(phrase)
        words, all_of_it = re.findall(_WORDS, normal), re.findall(_WORDS_AND_SIGNS, normal)
        if all_of_it:
            _add(plain if words == all_of_it else exact, all_of_it)
    return plain, exact


def _add(trie: Trie, words: list[str]) -> None:
    for word in words:
        trie = trie.setdefault(word, {})
    trie[_END] = True


def _is_in(words: list[str], trie: Trie) -> bool:
    return any(word in trie and _begins_at(index, words, trie) for index, word in enumerate(words))


def _begins_at(index: int, words: list[str], trie: Trie) -> bool:
    while _END not in trie:
        if index == len(words) or words[index] not in trie:
            return False
        trie = trie[words[index]]
        index += 1
    return True


def _normal(text: str) -> str:
    """Compatibility forms made one, case folded, without what cannot be seen (soft hyphens, zero-width characters)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded if folded.isascii() else "".join(c for c in folded if unicodedata.category(c) != "Cf")
