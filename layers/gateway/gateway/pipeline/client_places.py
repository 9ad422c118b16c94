"""Where a message stands for the client, when one of the gateway's own was put in front."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from gateway.model.errors import GatewayError

_PLACE = re.compile(r"(?<![\w.])messages\[(\d+)\]")
_POINTER = re.compile(r"\A/messages/(\d+)(?=/|\Z)")


@contextmanager
def in_the_clients_places(added: int) -> Iterator[None]:
    """An error that names a message names it as the client numbered it, without the `added` ones before."""
    try:
        yield
    except GatewayError as error:
        if added:
            _move(error, added)
        raise


def _move(error: GatewayError, added: int) -> None:
    def place(found: re.Match[str]) -> str:
        return f"messages[{max(0, int(found[1]) - added)}]"

    def pointer(found: re.Match[str]) -> str:
        return f"/messages/{max(0, int(found[1]) - added)}"

    error.message = _PLACE.sub(place, error.message)
    error.param = error.param and _PLACE.sub(place, error.param)
    error.details = tuple(
        replace(detail, pointer=_POINTER.sub(pointer, detail.pointer), reason=_PLACE.sub(place, detail.reason))
        for detail in error.details
    )
