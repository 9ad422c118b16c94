"""Vectors in JSON: a list of numbers, or base64 of 32-bit floats, little endian. What is right already is not read."""

from __future__ import annotations

import math
import struct
from base64 import b64encode

import msgspec
from msgspec import Raw

from gateway.model.embeddings import EncodingFormat

BYTES_PER_NUMBER = 4
_NUMBERS = msgspec.json.Decoder(list[float])
_BASE64 = msgspec.json.Decoder(bytes)


def encoded(vector: Raw, encoding: EncodingFormat) -> Raw:
    """The same vector as the client wants it. Raises ValueError for what is none.

    A number becomes the nearest 32-bit float, and one of those exactly the number that it is.
    """
    begins = bytes(memoryview(vector)[:1])
    if encoding == "float":
        return vector if begins == b"[" else Raw(msgspec.json.encode(_numbers(vector)))
    return vector if begins == b'"' else Raw(b'"' + b64encode(_floats(vector)) + b'"')


def _floats(vector: Raw) -> bytes:
    try:
        numbers = _NUMBERS.decode(vector)
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except (msgspec.MsgspecError, OverflowError) as error:
        raise ValueError("no list of 32-bit numbers") from error


def _numbers(vector: Raw) -> tuple[float, ...]:
    try:
        data = _BASE64.decode(vector)
    except msgspec.MsgspecError as error:
        raise ValueError("no base64") from error
    if len(data) % BYTES_PER_NUMBER:
        raise ValueError("no whole floats")
    numbers: tuple[float, ...] = struct.unpack(f"<{len(data) // BYTES_PER_NUMBER}f", data)
    if not all(map(math.isfinite, numbers)):
        raise ValueError("no finite numbers")
    return numbers
