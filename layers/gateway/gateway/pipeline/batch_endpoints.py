"""What a batch's lines can ask for: each capability under its own route, with its own check of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from gateway.model.call import Call
from gateway.model.tenant import Principal, Scope
from gateway.pipeline import batch_halves, chat, embeddings, images
from gateway.pipeline.batch_halves import Halves
from gateway.pipeline.embeddings_read import read_embeddings_call
from gateway.pipeline.job_endpoints import ENDPOINTS, Running
from gateway.pipeline.meters import Demand
from gateway.pipeline.read import read_chat_call
from gateway.ports import World

EMBEDDINGS, IMAGES = "/v1/embeddings", "/v1/images/generations"


class Planned(Protocol):
    @property
    def demand(self) -> Demand: ...


class Planning(Protocol):
    """What the call needs at most; it only looks. `of_batch`: whether its provider is given it in a batch."""

    async def __call__(self, asked: Any, principal: Principal, world: World, *, of_batch: bool = False) -> Planned: ...


class LineEndpoint(Struct, frozen=True):
    """`operation`: as records call it, and the scope that it takes. `read`: a body, by its content type. `run`: the
    capability's own steps; `halves`: the same, for a provider's batch.
    """

    operation: Scope
    read: Callable[[str, bytes], Call]
    plan: Planning
    halves: Halves

    def run(self, path: str) -> Running:
        return ENDPOINTS[path].run


LINE_ENDPOINTS = {
    "/v1/chat/completions": LineEndpoint("chat", read_chat_call, chat.plan_chat, batch_halves.CHAT),
    EMBEDDINGS: LineEndpoint("embeddings", read_embeddings_call, embeddings.plan_embeddings, batch_halves.EMBEDDINGS),
    IMAGES: LineEndpoint("images", images.read_images_call, images.plan_images, batch_halves.IMAGES),
}
