"""Vectors change their clothes and nothing else."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from typing import Any

import pytest
from msgspec import Raw

from gateway.model.vector import encoded

NUMBERS = [0.1, -1.5, 0, 1e-40, 3.4028234663852886e38, -0.0]


def packed(numbers: list[Any]) -> str:
    """Independently: the standard library's own idea of a little endian 32-bit float."""
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def test_what_is_right_already_is_the_very_same() -> None:
    for encoding, vector in (("float", raw([1.10])), ("base64", raw("////"))):
        assert encoded(vector, encoding) is vector  # type: ignore[arg-type]


def test_numbers_become_the_nearest_32_bit_floats() -> None:
    assert json.loads(bytes(encoded(raw(NUMBERS), "base64"))) == packed(NUMBERS)


def test_32_bit_floats_become_exactly_the_numbers_that_they_are() -> None:
    numbers = json.loads(bytes(encoded(raw(packed(NUMBERS)), "float")))
    assert numbers == list(struct.unpack(f"<{len(NUMBERS)}f", struct.pack(f"<{len(NUMBERS)}f", *NUMBERS)))
    assert json.loads(bytes(encoded(raw(numbers), "base64"))) == packed(NUMBERS)


def test_white_space_does_not_matter() -> None:
    assert json.loads(bytes(encoded(Raw(b"[ 1.0 ,\n 2 ]"), "base64"))) == packed([1, 2])


@pytest.mark.parametrize(
    ("vector", "encoding"),
    [
        (raw({"values": [1]}), "base64"),
        (raw(None), "base64"),
        (raw(None), "float"),
        (raw([1, "2"]), "base64"),
        (raw([[1]]), "base64"),
        (raw([3.5e38]), "base64"),
        (raw("no base64!"), "float"),
        (raw("AAA="), "float"),
        (raw(packed([float("nan")])), "float"),
        (raw(packed([float("inf")])), "float"),
    ],
)
def test_what_is_no_vector_is_an_error(vector: Raw, encoding: Any) -> None:
    with pytest.raises(ValueError, match="no "):
        encoded(vector, encoding)
