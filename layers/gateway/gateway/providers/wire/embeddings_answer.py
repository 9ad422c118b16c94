"""Answers that are nearly all numbers: long lists are taken out before the rest is decoded, and put back as they are.

To decode the digits of 64 vectors costs more than everything else that is done with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
from msgspec import Raw

from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.providers.contract import Target

LONG_BYTES = 256
_OF_NUMBERS = b"0123456789+-.eE, \t\r\n"
_NOT_HERE = -1

Answer = TypeVar("Answer")


class Vectors(msgspec.Struct, frozen=True):
    """The lists that were taken out, by the mark that was left in the place of each."""

    by_mark: dict[bytes, Raw]

    def back(self, found: Iterable[Raw]) -> list[Raw]:
        """Where a mark is found, its list. What was not taken out stays."""
        return [self.by_mark.get(bytes(one), one) for one in found] if self.by_mark else [*found]


def decoded(decoder: msgspec.json.Decoder[Answer], response: HttpResponse, target: Target) -> tuple[Answer, Vectors]:
    """Raises ProviderError (502)."""
    body, vectors = without_vectors(response.body)
    try:
        return decoder.decode(body), vectors
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProviderError(f"{target.provider} sent something that is no list of embeddings.") from None


def without_vectors(body: bytes) -> tuple[bytes, Vectors]:
    """A mark is a list in a list, which no vector is, and harmless in a text, from where numbers may be taken too."""
    kept: list[bytes] = []
    by_mark: dict[bytes, Raw] = {}
    done = 0
    for start, end in _long_lists(body):
        if body[start + 1] not in _OF_NUMBERS:
            continue  # as of the list of all that are in base64, which need not be gone through
        numbers = body[start:end]
        if numbers.translate(None, _OF_NUMBERS) == b"[]":
            mark = b"[[%d]]" % len(by_mark)
            by_mark[mark] = Raw(numbers)
            kept += (body[done:start], mark)
            done = end
    if not by_mark:
        return body, Vectors(by_mark)
    kept.append(body[done:])
    return b"".join(kept), Vectors(by_mark)


def _long_lists(body: bytes) -> Iterator[tuple[int, int]]:
    """From each bracket to the next that closes, where neither text nor another list is between. No byte is looked at
    more than a few times.
    """
    start, end = body.find(b"["), _NOT_HERE
    while start != _NOT_HERE:
        following = body.find(b"[", start + 1)
        if end < start:
            end = body.find(b"]", start)
            if end == _NOT_HERE:
                return
        if end - start > LONG_BYTES and not _NOT_HERE < following < end:
            yield start, end + 1
        start = following
