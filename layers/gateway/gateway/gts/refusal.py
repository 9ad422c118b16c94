"""Everything wrong with what a client sent, as one error."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.errors import Detail, InvalidRequest, SchemaNotFound


def refusal(unusable: Sequence[Detail], missing: Sequence[Detail]) -> InvalidRequest | SchemaNotFound | None:
    """`missing`: what would be right if only something were registered. None when nothing is wrong."""
    details = (*unusable, *missing)
    if not details:
        return None
    first, more = details[0], len(details) - 1
    param = _param(first.pointer)
    message = f"{first.reason}, at '{param}'."
    if more:
        message = f"{message} ({more} more in details.)"
    return (InvalidRequest if unusable else SchemaNotFound)(message, param=param, details=details)


def _param(pointer: str) -> str:
    """`/tools/0/schema_id` as OpenAI writes it: tools[0].schema_id."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    return "".join(f"[{step}]" if step.isdecimal() else f".{step}" for step in steps).removeprefix(".")
