"""What each capability does for a call that its provider is given with many others: up to that, and with its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import msgspec

from gateway.model.chat import AssistantMessage, ChatCall, DocumentPart, FilePart, LargePart, Message, TextPart
from gateway.model.completion import Completion
from gateway.model.embeddings import EmbeddingList, Embeddings
from gateway.model.images import ImageList, Images
from gateway.model.reply import Reply
from gateway.pipeline import chat, embeddings, images
from gateway.pipeline.ask import begin, ending
from gateway.pipeline.background import Begun
from gateway.pipeline.by_chat import ByChat
from gateway.pipeline.candidates import Candidates
from gateway.pipeline.client_places import in_the_clients_places
from gateway.pipeline.contact import contact
from gateway.pipeline.embeddings_parts import cut as cut_inputs
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.halfway import BegunCall
from gateway.pipeline.images_parts import cut as cut_images
from gateway.pipeline.inbound import Inbound
from gateway.pipeline.media import places_of
from gateway.pipeline.parts import parts_of, with_parts
from gateway.pipeline.route import AnyRoute
from gateway.pipeline.upload import with_uploads
from gateway.pipeline.watch import Watch
from gateway.ports import World
from gateway.providers.contract import Batches, BatchWire

Wires: TypeAlias = Mapping[str, BatchWire[Any, Any]]
NO_TEXT = "."


class Item(msgspec.Struct, frozen=True):
    """A call as one item of a batch. `inputs`: texts to embed. `messages_added`: that stand before the client's own."""

    call: Any
    route: AnyRoute
    inputs: int = 0
    messages_added: int = 0


class Halves(msgspec.Struct, frozen=True):
    """`wires`: a provider's for such batches. `item`: what a plan comes to, without its media, which are yet to be
    read; None where it takes several requests, or nobody knows before they are read by which API it is asked.
    `ready`: with its media, and what is needed to give the answer later. `given`: the answer, as the client gets it.

    The last two raise GatewayError.
    """

    wires: Callable[[Batches], Wires]
    item: Callable[[Any], Item | None]
    ready: Callable[[Inbound, Exchange, World], Awaitable[tuple[Item, bytes]]]
    given: Callable[[bytes, Any, Exchange, World], Awaitable[Any]]


_BEGUN = msgspec.json.Decoder(Begun)
_BEGUN_CALL = msgspec.json.Decoder(BegunCall)


# -- Chat -------------------------------------------------------------------------------------------------------------


def _chat_item(planned: chat.ChatPlans | ByChat) -> Item | None:
    if isinstance(planned, ByChat):
        return None
    call, route = planned.asked.call, planned.asked.route
    places = [*places_of(call)]
    depends = route.provider.documents_api not in (None, route.facts.api)
    if depends and any(isinstance(place.part, FilePart | DocumentPart) for place in places):
        return None
    call = with_parts(call, {place.spot: TextPart(text=NO_TEXT) for place in places})
    return Item(msgspec.structs.replace(call, messages=[_without_media(message) for message in call.messages]), route)


def _without_media(message: Message) -> Message:
    """Those of earlier replies."""
    if not isinstance(message, AssistantMessage) or not message.media:
        return message
    return msgspec.structs.replace(message, media=None, content=message.content or NO_TEXT)


async def _ready_chat(inbound: Inbound, exchange: Exchange, world: World) -> tuple[Item, bytes]:
    planned, begun = await chat.made_ready(inbound, exchange, world)
    with in_the_clients_places(planned.promise.messages_added):
        call = await _with_uploads(planned.call, planned.route, exchange, world)
    return Item(call, planned.route, messages_added=planned.promise.messages_added), msgspec.json.encode(begun)


async def _with_uploads(call: ChatCall, route: AnyRoute, exchange: Exchange, world: World) -> ChatCall:
    """What is too large to stand in the call its provider has until the answer is there."""
    if not any(isinstance(part, LargePart) for _, part in parts_of(call)):
        return call
    attempt = begin(route, exchange, world.clock)
    watch = Watch.of_whole(call, attempt, world)
    with ending(attempt, world.clock):
        async with AsyncExitStack() as stack:
            reached = await watch.within(contact(attempt, world))
            call = await with_uploads(call, reached, watch, stack)
    await exchange.left()
    return call


async def _given_chat(kept: bytes, reply: Reply, exchange: Exchange, world: World) -> Completion:
    return await chat.given_late(_BEGUN.decode(kept), reply, exchange, world)


# -- Embeddings -------------------------------------------------------------------------------------------------------


def _embeddings_item(planned: Candidates[embeddings.EmbeddingsPlan]) -> Item | None:
    one = planned.asked
    return None if len(cut_inputs(one.call, one.route)) > 1 else Item(one.call, one.route, len(one.call.inputs))


async def _ready_embeddings(inbound: Inbound, exchange: Exchange, world: World) -> tuple[Item, bytes]:
    planned, begun = await embeddings.made_ready(inbound, exchange, world)
    return Item(planned.call, planned.route, len(planned.call.inputs)), msgspec.json.encode(begun)


async def _given_embeddings(kept: bytes, made: Embeddings, exchange: Exchange, world: World) -> EmbeddingList:
    return await embeddings.given_late(_BEGUN_CALL.decode(kept), made, exchange, world)


# -- Images -----------------------------------------------------------------------------------------------------------


def _images_item(planned: Candidates[images.ImagesPlan]) -> Item | None:
    one = planned.asked
    return None if len(cut_images(one.call, one.route)) > 1 else Item(one.call, one.route)


async def _ready_images(inbound: Inbound, exchange: Exchange, world: World) -> tuple[Item, bytes]:
    planned, begun = await images.made_ready(inbound, exchange, world)
    return Item(planned.call, planned.route), msgspec.json.encode(begun)


async def _given_images(kept: bytes, made: Images, exchange: Exchange, world: World) -> ImageList:
    return await images.given_late(_BEGUN_CALL.decode(kept), made, exchange, world)


CHAT = Halves(lambda batches: batches.chat, _chat_item, _ready_chat, _given_chat)
EMBEDDINGS = Halves(lambda batches: batches.embeddings, _embeddings_item, _ready_embeddings, _given_embeddings)
IMAGES = Halves(lambda batches: batches.images, _images_item, _ready_images, _given_images)
