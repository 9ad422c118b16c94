"""What can run as a job: every capability, under its own route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from gateway.pipeline import chat, embeddings, images, speech, transcription, videos
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.inbound import Inbound
from gateway.ports import World

Running = Callable[[Inbound, Exchange, World], Awaitable[Any]]


class Endpoint(Struct, frozen=True):
    """`operation`: as records call it. `run`: the capability's own steps; with `async: true` they end in a job, or
    carry the exchange's one out.
    """

    operation: str
    run: Running


async def _video(inbound: Inbound, exchange: Exchange, world: World) -> Any:
    return await videos.run(inbound, exchange, world, videos.EVERY_S)


ENDPOINTS = {
    "/v1/chat/completions": Endpoint("chat", chat.run),
    "/v1/embeddings": Endpoint("embeddings", embeddings.run),
    "/v1/images/generations": Endpoint("images", images.run),
    "/v1/audio/speech": Endpoint("speech", speech.run),
    "/v1/audio/transcriptions": Endpoint("transcriptions", transcription.run),
    "/v1/videos": Endpoint("videos", _video),
}
