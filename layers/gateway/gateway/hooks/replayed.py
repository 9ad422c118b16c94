"""Reasoning that goes back to the model that made it, byte for byte: hooks read it, and nobody can change it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from gateway.hooks.subject import Change, json_with
from gateway.model.chat import Json

Path: TypeAlias = tuple[str, ...]

OPAQUE: frozenset[Path] = frozenset(
    {
        ("type",),
        ("provider",),
        ("model",),
        ("signature",),
        ("thought_signature",),
        ("part", "thoughtSignature"),
        ("item", "encrypted_content"),
        ("reasoningContent", "redactedContent"),
        ("reasoningContent", "reasoningText", "signature"),
        ("content", "encrypted_content"),
        ("google", "thought_signature"),
    }
)
"""Members that only their provider can read, by where they stand: anywhere else the same name may hold a text."""

FREE = ("args", "input", "json")
"""Members below which names are a model's or a tool's own, and no longer an API's."""

SEALED = ("redacted_thinking", "reasoning.encrypted")
"""Types of blocks whose `data` is such a member."""


def replayable(details: list[Json] | None, change: Change) -> list[Json] | None:
    """The details as they are, or None when one of their texts would be changed: its signature would not hold."""
    values = [value for detail in details or () for value in _readable(detail, ())]
    return details if [json_with(value, change) for value in values] == values else None


def _readable(value: Any, path: Path) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _readable(item, path)
    elif isinstance(value, dict):
        for name, held in value.items():
            if any(step in FREE for step in path):
                yield name
            is_sealed = name == "data" and not path and value.get("type") in SEALED
            if (*path, name) not in OPAQUE and not is_sealed:
                yield from _readable(held, (*path, name))
    else:
        yield value
