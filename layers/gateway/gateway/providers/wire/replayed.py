"""What a client sends back as `reasoning_details` of an earlier reply, and may have written itself.

Back to a provider go only the kinds that it puts into replies, and of these only what says all it says in the request
itself. What names a file or an item of the provider's account, or an address, would be read by no hook, no guard of
media and no limit. Details of another kind mean nothing to the provider and are left out, as another provider's are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from gateway.model.chat import AssistantMessage, Json
from gateway.model.errors import InvalidRequest

Members: TypeAlias = Mapping[str, type]
NAMES = {str: "str", int: "int", dict: "object", list: "array"}


def replayed(message: AssistantMessage, where: str) -> list[tuple[str, Json]]:
    """The details, each with its place."""
    return [
        (f"{where}.reasoning_details[{position}]", detail)
        for position, detail in enumerate(message.reasoning_details or ())
    ]


def check_members(given: Json, members: Members, where: str) -> None:
    """Raises InvalidRequest (400) for the first of these members that is not there or of another type."""
    for name, kind in members.items():
        if not isinstance(given.get(name), kind):
            raise malformed(f"Expected `{NAMES[kind]}`", f"{where}.{name}")


def malformed(reason: str, where: str) -> InvalidRequest:
    return InvalidRequest(f"{reason}, at '{where}'.", param=where)


def objects_in(value: Any, where: str) -> Iterator[tuple[str, Json]]:
    """Every object in it, itself among them, with its place. Without recursion: it may be nested deeply."""
    left = [(where, value)]
    while left:
        at, held = left.pop()
        if isinstance(held, dict):
            yield at, held
            left += [(f"{at}.{name}", inner) for name, inner in held.items()]
        elif isinstance(held, list):
            left += [(f"{at}[{position}]", inner) for position, inner in enumerate(held)]
