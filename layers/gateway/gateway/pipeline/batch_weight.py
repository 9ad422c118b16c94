"""What the replies to a batch's lines take of its worker's memory, before anybody knows them: so no more are asked for
at once than it can hold.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from gateway.pipeline.batch_endpoints import EMBEDDINGS, IMAGES

VECTOR_BYTES = 3_072 * 13
"""Of the longest vectors that are usual, as text."""
IMAGE_BYTES = 8 * 1024 * 1024
"""Of one of 1536 x 1024 in base64, not compressed by much."""
AT_ONCE_BYTES = 64 * 1024 * 1024


class _Sent(Struct):
    input: Any = None
    n: Any = None


_decode = msgspec.json.Decoder(_Sent).decode


def reply_bytes(endpoint: str, body: bytes) -> int:
    """At most about so many. `body`: checked by its endpoint. 0 of a reply that is short, as those of a chat are."""
    if endpoint == EMBEDDINGS:
        return VECTOR_BYTES * _inputs(_decode(body).input)
    if endpoint == IMAGES:
        return IMAGE_BYTES * (_decode(body).n or 1)
    return 0


def _inputs(sent: str | list[Any]) -> int:
    """A list of numbers is one text."""
    return len(sent) if isinstance(sent, list) and not isinstance(sent[0], int) else 1
