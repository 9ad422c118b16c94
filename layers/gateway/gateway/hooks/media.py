"""Bytes of media: hooks do not get them. A short reference stands for each, and a patch gives it back as it came."""

from __future__ import annotations

import re
from typing import Any

from gateway.model.hook import HookFailed

SCHEME = "gateway:media/"
_REFERENCE = re.compile(rf"{SCHEME}(\d{{1,6}})")
_MEMBERS = ("url", "data", "file_data", "b64_json")
_LONGEST_SHOWN = 256


def without_media(part: Any, taken: list[str]) -> Any:
    """A part of a message with references in place of `data:` URLs and base64; `taken` gets what they stand for."""
    if isinstance(part, list):
        return [without_media(item, taken) for item in part]
    if isinstance(part, dict):
        return {
            name: _reference(item, taken) if _is_media(name, item) else without_media(item, taken)
            for name, item in part.items()
        }
    return part


def with_media(part: Any, taken: list[str]) -> Any:
    """The way back. Raises HookFailed for a reference that was never given."""
    if isinstance(part, list):
        return [with_media(item, taken) for item in part]
    if isinstance(part, dict):
        return {
            name: _taken(item, taken) if name in _MEMBERS and isinstance(item, str) else with_media(item, taken)
            for name, item in part.items()
        }
    return part


def _is_media(name: str, value: Any) -> bool:
    """An address is shown, and only in these places can there be bytes: text is shown whatever it looks like."""
    if name not in _MEMBERS or not isinstance(value, str) or len(value) <= _LONGEST_SHOWN:
        return False
    return name != "url" or value.startswith("data:")


def _reference(text: str, taken: list[str]) -> str:
    taken.append(text)
    return f"{SCHEME}{len(taken) - 1}"


def _taken(value: str, taken: list[str]) -> str:
    found = _REFERENCE.fullmatch(value)
    if found is None:
        return value
    if int(found[1]) >= len(taken):
        raise HookFailed("patch_media")
    return taken[int(found[1])]
