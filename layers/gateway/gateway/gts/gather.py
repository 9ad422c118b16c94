"""Fetches documents, and what they refer to, until nothing is left to fetch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import InvalidRequest

MAX_DOCUMENTS = 256
MAX_TOTAL_BYTES = 2 * 1024 * 1024


async def gather(
    needed: Callable[[Mapping[str, Json]], set[str]], find: Callable[[set[str]], Awaitable[Mapping[str, Json]]]
) -> dict[str, Json]:
    """The documents that exist of those that `needed` says, given what was found so far; `find` is asked once for each.

    Raises InvalidRequest (400) for too many or too much, and what `find` raises.
    """
    found: dict[str, Json] = {}
    asked: set[str] = set()
    size_bytes = 0
    while wanted := needed(found) - asked:
        asked |= wanted
        if len(asked) > MAX_DOCUMENTS:
            raise InvalidRequest(f"The request leads to more than {MAX_DOCUMENTS} registered types.")
        more = await find(wanted)
        found |= more
        size_bytes += sum(len(msgspec.json.encode(document)) for document in more.values())
        if size_bytes > MAX_TOTAL_BYTES:
            raise InvalidRequest(f"The types that the request leads to have more than {MAX_TOTAL_BYTES} bytes.")
    return found
