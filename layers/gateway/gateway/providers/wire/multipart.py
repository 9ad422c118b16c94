"""Several parts in one body. Source: https://www.rfc-editor.org/rfc/rfc2046#section-5.1."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

Part = tuple[dict[str, str], bytes]
"""Headers and content."""


def multipart(kind: str, parts: Sequence[Part]) -> tuple[str, bytes]:
    """The content type `multipart/<kind>` and the body.

    The boundary is a hash of what it separates, so nobody can write content that holds it.
    """
    digest = blake2b(digest_size=16)
    for _, content in parts:
        digest.update(content)
    boundary = digest.hexdigest()
    pieces: list[bytes] = []
    for headers, content in parts:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        pieces += [f"--{boundary}\r\n{head}\r\n".encode(), content, b"\r\n"]
    return f"multipart/{kind}; boundary={boundary}", b"".join([*pieces, f"--{boundary}--\r\n".encode()])
