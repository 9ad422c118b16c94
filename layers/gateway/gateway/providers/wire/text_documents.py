"""Documents that are text, for APIs that take text as a part of its own better than as a file."""

from __future__ import annotations

from base64 import b64decode

from gateway.model.errors import InvalidRequest
from gateway.model.media_type import is_text


def text_of(url: str, name: str | None, where: str) -> str | None:
    """The text under its name; None for what is no text, or not inline. Raises InvalidRequest (400)."""
    head, _, data = url.partition(",")
    media_type, *parameters = head.removeprefix("data:").split(";")
    if not head.startswith("data:") or "base64" not in parameters or not is_text(media_type):
        return None
    text = decoded(data, where)
    return text if name is None else f"{name}:\n{text}"


def decoded(data: str, where: str) -> str:
    """Raises InvalidRequest (400)."""
    try:
        return b64decode(data, validate=True).decode("utf-8-sig")
    except ValueError as error:
        raise InvalidRequest(f"{where} is not UTF-8 text in base64", param=where) from error
