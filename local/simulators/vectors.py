"""Vectors that depend on nothing but a text and their length: 32-bit floats of length one, the same in every format."""

import hashlib
import math
from array import array
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from local.simulators.script import count_tokens

Text = str | Sequence[int]

DIMENSIONS = {
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
    "codestral-embed": 1536,
    "embed-v4": 1536,
    "embed-v-4": 1536,
    "gemini-embedding": 3072,
    "titan-embed-text-v1": 1536,
    "pplx-embed-v1-4b": 2560,
    "qwen3-embedding-8b": 4096,
    "text-embedding-005": 768,
    "text-multilingual-embedding-002": 768,
    "nomic-embed": 768,
}
"""By a part of the model's name; every other model makes vectors of 1024."""


def dimensions_of(model: str) -> int:
    """Of a vector, where the request asks for no other number."""
    return next((count for name, count in DIMENSIONS.items() if name in model.lower()), 1024)


def tokens_of(text: Text) -> int:
    """Words by the simulators' rule, or the tokens as they are; never none."""
    return max(1, count_tokens(text)) if isinstance(text, str) else len(text)


def vector(text: Text, dimensions: int) -> "array[float]":
    """Nearly as many directions as there are texts."""
    seed = text.encode() if isinstance(text, str) else b"tokens " + repr(list(text)).encode()
    numbers = array("h", hashlib.shake_256(seed).digest(2 * dimensions))
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return array("f", [number / length for number in numbers])


@lru_cache(maxsize=512)
def _numbers(text: Text, dimensions: int) -> bytes:
    """Nine digits tell every 32-bit float."""
    return b"[" + b",".join(b"%.9g" % number for number in vector(text, dimensions)) + b"]"


@lru_cache(maxsize=512)
def _base64(text: Text, dimensions: int) -> bytes:
    return b'"' + b64encode(vector(text, dimensions).tobytes()) + b'"'


def in_numbers(text: Text, dimensions: int) -> msgspec.Raw:
    """A JSON list."""
    return msgspec.Raw(_numbers(_key(text), dimensions))


def in_base64(text: Text, dimensions: int) -> msgspec.Raw:
    """32-bit floats, little endian, as every machine of ours has them."""
    return msgspec.Raw(_base64(_key(text), dimensions))


def in_bytes(text: Text, dimensions: int) -> list[int]:
    """Signed bytes: what is left of the numbers after quantisation."""
    floats = vector(text, dimensions)
    most = max(abs(number) for number in floats)
    return [round(number / most * 127) for number in floats]


def in_base64_bytes(text: Text, dimensions: int) -> str:
    """The same in base64."""
    return b64encode(array("b", in_bytes(text, dimensions)).tobytes()).decode()


def _key(text: Text) -> Text:
    return text if isinstance(text, str) else tuple(text)
