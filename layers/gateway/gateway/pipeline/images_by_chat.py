"""A chat with a model that makes images: what was said is the prompt, each choice of the reply is an image."""

from __future__ import annotations

from base64 import b64encode

from msgspec import Struct

from gateway.model.chat import ChatCall, Json
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.images import MAX_IMAGES, ImagesCall, MadeImage
from gateway.model.reply import Choice, Reply, ReplyMessage
from gateway.model.tenant import Principal
from gateway.pipeline.by_chat import handed_on, refuse_all_but, words_of
from gateway.pipeline.candidates import Candidates
from gateway.pipeline.exchange import Exchange
from gateway.pipeline.hooks import Chain
from gateway.pipeline.images import ImagesPlan, made_images, plan_images
from gateway.pipeline.meters import Demand
from gateway.ports import World

HONOURED = frozenset({"n", "modalities"})


class ImagesByChat(Struct, frozen=True):
    planned: Candidates[ImagesPlan]

    @property
    def demand(self) -> Demand:
        return self.planned.demand

    async def made(self, chain: Chain, exchange: Exchange, world: World) -> Reply:
        _, images = await made_images(self.planned, chain, exchange, world)
        choices = [
            Choice(
                index=index,
                message=ReplyMessage(content=image.revised_prompt, media=[_entry(image)]),
                finish_reason="stop",
            )
            for index, image in enumerate(images)
        ]
        return Reply(choices=choices, usage=exchange.usage)


def _entry(image: MadeImage) -> Json:
    return {"type": "image", "content_type": image.content_type, "data": b64encode(image.data).decode()}


async def plan(call: ChatCall, principal: Principal, world: World) -> ImagesByChat:
    """Raises CapabilityNotSupported or InvalidRequest (400), and what `plan_images` does."""
    refuse_all_but(call, HONOURED, "images")
    if call.modalities and "image" not in call.modalities:
        raise CapabilityNotSupported(f"{call.model} makes images only.", param="modalities")
    if (call.n or 1) > MAX_IMAGES:
        raise InvalidRequest(f"At most {MAX_IMAGES} images are made for one call.", param="n")
    asked = ImagesCall(
        prompt=words_of(call, "images"),
        n=call.n,
        **handed_on(call),
    )
    try:
        return ImagesByChat(await plan_images(asked, principal, world))
    except InvalidRequest as error:
        if error.param == "prompt":
            error.param = "messages"
        raise
