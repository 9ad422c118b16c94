"""The content parts of a call and where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from gateway.model.chat import ChatCall, Message, Part


class Spot(NamedTuple):
    message: int
    position: int

    @property
    def param(self) -> str:
        return f"messages[{self.message}].content[{self.position}]"


def parts_of(call: ChatCall) -> Iterator[tuple[Spot, Part]]:
    for index, message in enumerate(call.messages):
        if isinstance(message.content, list):
            for position, part in enumerate(message.content):
                yield Spot(index, position), part


def with_parts(call: ChatCall, parts: Mapping[Spot, Part]) -> ChatCall:
    """The call with other parts at these spots."""

    def message_with(index: int, message: Message) -> Message:
        if not isinstance(message.content, list):
            return message
        content = [parts.get(Spot(index, position), part) for position, part in enumerate(message.content)]
        return msgspec.structs.replace(message, content=content)

    return msgspec.structs.replace(
        call, messages=[message_with(index, message) for index, message in enumerate(call.messages)]
    )
