"""A chat with a model that makes something else than text: what the model does decides what is done.

Where a model's provider has a wire for chats with it, the call is a chat. Where it has none, the first capability in
JOINED that the catalog says the model has takes the call. Another capability joins with a line there, and a module with
`plan`: it makes a `PlannedByChat` of a chat that it can honour, and refuses any other by the name of what it cannot.
The module is imported when a call is for it: the chat function starts without any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from gateway.model.chat import AssistantMessage, ChatCall, Message, TextPart
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.reply import Reply
from gateway.model.tenant import Principal
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.meters import Demand
from gateway.pipeline.parts import parts_of
from gateway.pipeline.route import find_approved
from gateway.ports import World
from gateway.providers.lookup import provider_named
from gateway.providers.wire.lacking import NEUTRAL

JOINED: Mapping[str, str] = {
    "image_generation": "gateway.pipeline.images_by_chat",
    "speech": "gateway.pipeline.speech_by_chat",
    "transcription": "gateway.pipeline.transcription_by_chat",
}
"""By the catalog's name for what a model does."""
HANDED_ON = ("model", "user", "metadata", "timeouts", "provider_options", "fallback", "fallbacks", "models")
OF_EVERY_CALL = frozenset({*HANDED_ON, "messages", "stream", "stream_options"})
"""What of a chat every capability honours; a stream has the whole answer at once. Others are refused by `read_json`."""


class PlannedByChat(Protocol):
    """A chat made a call of another capability, with the most that it can use."""

    @property
    def demand(self) -> Demand: ...

    async def made(self, chain: Chain, exchange: Exchange, world: World) -> Reply:
        """Asks the provider, and enters usage and cost. Media are in the reply as base64 `data`: whoever called keeps
        them, after the hooks of `chain`, which may take `chain.spare_s` besides. Raises GatewayError.
        """
        ...


class ByChat(Struct, frozen=True):
    """A chat as the client asked it, and what it was made."""

    asked: ChatCall
    planned: PlannedByChat

    @property
    def demand(self) -> Demand:
        return self.planned.demand


Planning: TypeAlias = Callable[[ChatCall, Principal, World], Awaitable[PlannedByChat]]


async def planned_by_chat(call: ChatCall, principal: Principal, world: World) -> ByChat | None:
    """None for a chat that is one. Raises what the capability's `plan` does, and as `find_approved`."""
    provider, facts = find_approved(call.model, principal, world.catalog, world.clock.now_s())
    if not facts.is_known or facts.api in provider_named(provider).wires:
        return None
    for name, module in JOINED.items():
        if facts.can(name):
            plan: Planning = import_module(module).plan
            return ByChat(call, await plan(call, principal, world))
    return None


def refuse_all_but(call: ChatCall, honoured: frozenset[str], what: str) -> None:
    """Raises CapabilityNotSupported (400) for the first other member of the call that asks for something."""
    for name in call.__struct_fields__:
        value = getattr(call, name)
        asks_nothing = value in (None, [], {}) or value is False or value in NEUTRAL.get(name, ())
        if name not in OF_EVERY_CALL | honoured and not asks_nothing:
            raise CapabilityNotSupported(f"A chat with a model that makes {what} has no '{name}'.", param=name)


def handed_on(call: ChatCall) -> dict[str, Any]:
    """What the capability's own call takes from the chat as it is."""
    return {name: getattr(call, name) for name in HANDED_ON}


def words_of(call: ChatCall, what: str) -> str:
    """All that was said, in order, as one text: a model that makes something knows no roles.

    Raises InvalidRequest when there is nothing, CapabilityNotSupported (400) for what is no text.
    """
    for index, message in enumerate(call.messages):
        if isinstance(message, AssistantMessage) and message.tool_calls:
            where = f"messages[{index}].tool_calls"
            raise CapabilityNotSupported(f"Models that make {what} call no tools.", param=where)
    for spot, part in parts_of(call):
        if not isinstance(part, TextPart):
            raise CapabilityNotSupported(f"Models that make {what} are given text here.", param=spot.param)
    texts = [text for message in call.messages for text in _texts(message)]
    if not any(texts):
        raise InvalidRequest("The messages have no text.", param="messages")
    return "\n\n".join(text for text in texts if text)


def _texts(message: Message) -> list[str]:
    if isinstance(message.content, str):
        return [message.content]
    return [part.text for part in message.content or () if isinstance(part, TextPart)]
