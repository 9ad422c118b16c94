"""How much the chosen model takes of what a call brings. The limits are facts of the catalog, each with its source.

What is only counted is checked before anything is read, held or paid: images, documents, text. Sizes, pages and lengths
are read from the bytes once they are there, still before the provider is asked. What a file does not tell is let
through: the provider has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import msgspec

from gateway.model.catalog import InputLimit, InputMeasure
from gateway.model.chat import AssistantMessage, ChatCall, FunctionTool, Medium, RefusalPart, TextPart
from gateway.model.duration import Corrupt, duration_ms
from gateway.model.errors import InvalidRequest
from gateway.model.least_tokens import tokens_above
from gateway.model.pdf_pages import pdf_pages
from gateway.model.picture_size import picture_size
from gateway.pipeline.large_media import Loaded
from gateway.pipeline.parts import Spot
from gateway.pipeline.route import ChatRoute

COUNTED: dict[InputMeasure, Medium] = {"images": "image", "documents": "document", "videos": "video"}
TEXT_TYPES = ("text/", "application/json")
PDF = "application/pdf"


def check_counts(media: Sequence[tuple[str, Medium]], route: ChatRoute, *, are_read: bool) -> None:
    """`media`: each with its parameter. Raises InvalidRequest (400) that names the first one too many.

    `are_read`: before that, a document may still turn out to be an image.
    """
    for limit in route.facts.limits:
        params = [param for param, medium in media if medium == COUNTED.get(limit.of)]
        if len(params) > limit.most and (are_read or limit.of != "documents"):
            raise InvalidRequest(
                f"{route.model_id} takes at most {limit.most} {limit.of} in a request; this one has {len(params)}.",
                param=params[limit.most],
            )


def check_context(call: ChatCall, route: ChatRoute, documents: Mapping[Spot, Loaded] | None = None) -> None:
    """`documents`: those that are text count, too. Raises InvalidRequest (400).

    A call with options of the provider's own is not judged: a beta may widen the context, or have it cut to fit.
    """
    most = route.facts.context_tokens
    if most is None or call.options_for(route.provider.name):
        return
    texts = [*_texts(call), *_text_documents(documents or {})]
    if tokens := tokens_above(texts, most):
        raise InvalidRequest(
            f"The context of {route.model_id} holds {most} tokens; this text has {tokens} at least.", param="messages"
        )


def check_measures(call: ChatCall, loaded: Mapping[Spot, Loaded], route: ChatRoute) -> None:
    """Of media whose bytes are there. Raises InvalidRequest (400) that names the part."""
    images = {spot: media for spot, media in loaded.items() if media.medium == "image"}
    for limit in route.facts.limits:
        if len(images) > limit.above_images or not limit.above_images:
            _check_measure(limit, loaded, route)
    if any(media.file.content_type.startswith(TEXT_TYPES) for media in loaded.values()):
        check_context(call, route, loaded)


def _check_measure(limit: InputLimit, loaded: Mapping[Spot, Loaded], route: ChatRoute) -> None:
    measured = [(spot, value) for spot, media in loaded.items() if (value := _measured(limit.of, media)) is not None]
    together = limit.of in ("pages", "audio_s")
    values = accumulate(value for _, value in measured) if together else (value for _, value in measured)
    for (spot, _), value in zip(measured, values, strict=True):
        if value > limit.most:
            raise InvalidRequest(_said(limit, value, route.model_id), param=spot.param)


def _measured(of: InputMeasure, media: Loaded) -> int | None:
    """None for what is of another kind, and for what the file does not tell."""
    data, content_type = media.file.data, media.file.content_type
    if of in ("image_side_px", "image_px") and media.medium == "image":
        size = picture_size(data, content_type)
        return None if size is None else max(size) if of == "image_side_px" else size.area
    if of in ("pages", "document_pages") and content_type == PDF:
        return pdf_pages(data)
    if of == "audio_s" and media.medium == "audio":
        try:
            lasts_ms = duration_ms(data, content_type)
        except Corrupt:
            return None
        return None if lasts_ms is None else -(-lasts_ms // 1000)
    return None


def _said(limit: InputLimit, value: int, model_id: str) -> str:
    many = f" in a request with more than {limit.above_images}" if limit.above_images else ""
    return {
        "image_side_px": f"{model_id} takes images of at most {limit.most} pixels a side{many}; this one has {value}.",
        "image_px": f"{model_id} takes images of at most {limit.most} pixels{many}; this one has {value}.",
        "pages": f"{model_id} takes at most {limit.most} pages of PDF in a request; there are {value} by here.",
        "document_pages": f"{model_id} takes documents of at most {limit.most} pages; this one has {value}.",
        "audio_s": f"{model_id} takes at most {limit.most} seconds of audio in a request; there are {value} by here.",
    }[limit.of]


def _texts(call: ChatCall) -> Iterator[str]:
    for message in call.messages:
        if isinstance(message.content, str):
            yield message.content
        elif isinstance(message.content, list):
            yield from (part.text for part in message.content if isinstance(part, TextPart))
            yield from (part.refusal for part in message.content if isinstance(part, RefusalPart))
        if isinstance(message, AssistantMessage):
            yield from (called.function.arguments for called in message.tool_calls or ())
    for tool in call.tools or ():
        if isinstance(tool, FunctionTool):
            yield tool.function.description or ""
            yield msgspec.json.encode(tool.function.parameters or {}).decode()


def _text_documents(loaded: Mapping[Spot, Loaded]) -> Iterator[str]:
    for media in loaded.values():
        if media.medium == "document" and media.file.content_type.startswith(TEXT_TYPES):
            yield media.file.data.decode("utf-8", "replace")
