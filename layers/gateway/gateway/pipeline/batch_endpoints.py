"""What a batch's lines can ask for: each capability under its own route, with its own check of a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.model.call import Call
from gateway.model.tenant import Principal, Scope
from gateway.pipeline import chat, embeddings, images
from gateway.pipeline.embeddings_read import read_embeddings_call
from gateway.pipeline.job_endpoints import ENDPOINTS, Running
from gateway.pipeline.meters import Demand
from gateway.pipeline.read import read_chat_call
from gateway.ports import World

EMBEDDINGS, IMAGES = "/v1/embeddings", "/v1/images/generations"


class Planned(Protocol):
    @property
    def demand(self) -> Demand: ...


@dataclass(frozen=True, slots=True)
class LineEndpoint:
    """`operation`: as records call it, and the scope that it takes. `read`: a body, by its content type. `plan`: what
    the call needs at most; it only looks. `run`: the capability's own steps.
    """

    operation: Scope
    read: Callable[[str, bytes], Call]
    plan: Callable[[Any, Principal, World], Awaitable[Planned]]

    def run(self, path: str) -> Running:
        return ENDPOINTS[path].run


LINE_ENDPOINTS = {
    "/v1/chat/completions": LineEndpoint("chat", read_chat_call, chat.plan_chat),
    EMBEDDINGS: LineEndpoint("embeddings", read_embeddings_call, embeddings.plan_embeddings),
    IMAGES: LineEndpoint("images", images.read_images_call, images.plan_images),
}
