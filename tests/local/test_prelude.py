"""The head of a streamed response, however the stream is cut up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.execution.prelude import SEPARATOR, NoPrelude, Prelude, read_prelude


async def chunks_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def prelude_of(fields: Any) -> Prelude:
    return await read_prelude(chunks_of(json.dumps(fields).encode() + SEPARATOR))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_a_torn_prelude_is_put_together(size: int) -> None:
    stream = b'{"statusCode": 201, "headers": {"A": "b"}}' + SEPARATOR + b"body"
    torn = chunks_of(*(stream[start : start + size] for start in range(0, len(stream), size)))
    prelude = await read_prelude(torn)
    assert (prelude.status, prelude.headers["a"]) == (201, "b")
    assert prelude.body_start + b"".join([chunk async for chunk in torn]) == b"body"


async def test_a_body_of_nul_bytes_is_not_part_of_the_prelude() -> None:
    prelude = await read_prelude(chunks_of(b"{}" + SEPARATOR + b"\0\0x"))
    assert prelude.body_start == b"\0\0x"


async def test_headers_of_one_and_many_values_and_cookies() -> None:
    prelude = await prelude_of({"headers": {"X": "1"}, "multiValueHeaders": {"Y": ["1", "2"]}, "cookies": ["c=1"]})
    assert prelude.headers == {"content-type": "application/json", "x": "1", "y": ["1", "2"], "set-cookie": ["c=1"]}


async def test_headers_that_the_edge_sets_itself_are_dropped() -> None:
    fields = {
        "Connection": "close",
        "Content-Length": "3",
        "Transfer-Encoding": "chunked",
        "WWW-Authenticate": "Bearer",
    }
    prelude = await prelude_of({"headers": fields})
    assert prelude.headers == {"content-type": "application/json", "x-amzn-remapped-www-authenticate": "Bearer"}


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"just text",
        b"{}" + b"\0" * 7,
        b"[]" + SEPARATOR,
        b"{" + SEPARATOR,
        b'{"statusCode": "ok"}' + SEPARATOR,
        b'{"statusCode": 99}' + SEPARATOR,
        b'{"headers": 1}' + SEPARATOR,
        b" " * 20_000 + b"{}" + SEPARATOR,
    ],
)
async def test_what_is_no_prelude_is_refused(stream: bytes) -> None:
    with pytest.raises(NoPrelude):
        await read_prelude(chunks_of(stream))
