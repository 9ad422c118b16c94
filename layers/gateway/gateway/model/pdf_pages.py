"""How many pages a PDF has, where it says so: the count in the root of its tree of pages.

Objects are found by their number, in the file or in its compressed streams of objects; what is encrypted, broken or
said in two ways is not known. Source: https://opensource.adobe.com/dc-acrobat-sdk-docs/pdfstandards/PDF32000_2008.pdf
sections 7.5.7 and 7.7.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

_ROOT = re.compile(rb"/Root\s{1,8}(\d{1,10})\s{1,8}\d{1,5}\s{1,8}R")
_PAGES = re.compile(rb"/Pages\s{1,8}(\d{1,10})\s{1,8}\d{1,5}\s{1,8}R")
_COUNT = re.compile(rb"/Count\s{0,8}(\d{1,9})(?!\d|\s{1,8}\d{1,5}\s{1,8}R)")
_FIRST, _SIZE = re.compile(rb"/First\s{0,8}(\d{1,9})"), re.compile(rb"/N\s{0,8}(\d{1,6})")
_STREAM = re.compile(rb">>\s{0,8}stream\r?\n")
_DICTIONARY_BYTES = 512
_MAX_STREAMS, _MAX_STREAM_BYTES = 2_000, 1024 * 1024
_MAX_UNPACKED_BYTES = 16 * 1024 * 1024


def pdf_pages(body: bytes) -> int | None:
    """None when the file does not tell, or not in a way that is read here."""
    if b"/Encrypt" in body:
        return None
    roots = set(_ROOT.findall(body))
    if len(roots) != 1:
        return None
    objects = _Objects(body)
    catalog = objects.find(roots.pop())
    pages = _PAGES.search(catalog or b"")
    tree = objects.find(pages[1]) if pages else None
    counts = _COUNT.findall(tree or b"")
    return int(counts[0]) if len(counts) == 1 else None


class _Objects:
    """Objects of one file, the compressed ones unpacked when the first of them is asked for."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._packed: dict[bytes, list[bytes]] | None = None

    def find(self, number: bytes) -> bytes | None:
        """The object as the last change to the file left it; None where that cannot be told."""
        plain = -1
        for match in re.finditer(number + rb"\s{1,8}\d{1,5}\s{1,8}obj\b", self._body):
            if not self._body[match.start() - 1 : match.start()].isdigit():
                plain = match.end()
        if self._packed is None:
            self._packed = _unpacked(self._body)
        packed = self._packed.get(number, [])
        if plain >= 0 and packed:
            return None
        if plain >= 0:
            end = self._body.find(b"endobj", plain)
            return self._body[plain:end] if end >= 0 else None
        return packed[-1] if packed else None


def _unpacked(body: bytes) -> dict[bytes, list[bytes]]:
    """By number. Nothing when there is more than anybody needs to write."""
    found: dict[bytes, list[bytes]] = {}
    left_bytes, at = _MAX_UNPACKED_BYTES, -1
    for _ in range(_MAX_STREAMS):
        at = body.find(b"/ObjStm", at + 1)
        if at < 0:
            return found
        begins = _STREAM.search(body, at, at + _DICTIONARY_BYTES)
        if begins is None:
            continue
        head = body[max(0, at - _DICTIONARY_BYTES) : begins.start()]
        packed = memoryview(body)[begins.end() : begins.end() + _MAX_STREAM_BYTES]
        try:
            text = zlib.decompressobj().decompress(packed, left_bytes)
        except zlib.error:
            continue
        left_bytes -= len(text)
        if left_bytes <= 0:
            return {}
        for number, one in _split(text, head[head.rfind(b"obj") :]):
            found.setdefault(number, []).append(one)
    return {}


def _split(text: bytes, head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A stream of objects begins with pairs of number and place; the first object lies at /First."""
    first, size = _FIRST.search(head), _SIZE.search(head)
    if first is None or size is None:
        return
    pairs = text[: int(first[1])].split()[: 2 * int(size[1])]
    numbers, places = pairs[::2], [int(first[1]) + int(place) for place in pairs[1::2] if place.isdigit()]
    for number, begin, end in zip(numbers, places, [*places[1:], len(text)], strict=False):
        yield number, text[begin:end]
