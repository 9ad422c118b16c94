"""Can the chosen model read media of these types? Answered from what its provider documents, once they are known."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from gateway.model.chat import ChatCall, FilePart
from gateway.model.errors import CapabilityNotSupported
from gateway.model.media_type import is_text
from gateway.pipeline.large_media import Loaded
from gateway.pipeline.parts import Spot, parts_of
from gateway.pipeline.route import ChatRoute
from gateway.providers.contract import PDF, TEXT


def check_readable(loaded: Mapping[Spot, Loaded], route: ChatRoute) -> None:
    """Raises CapabilityNotSupported (400) that names the part, its type and the model."""
    reads = route.provider.inline(route.facts).reads
    for spot, media in loaded.items():
        content_type, types = media.file.content_type, reads.get(media.medium)
        if types is not None and not (TEXT if is_text(content_type) else content_type).startswith(types):
            raise CapabilityNotSupported(
                f"{route.model_id} reads no {content_type}. A {media.medium} may be: {', '.join(types)}.",
                param=spot.param,
            )


def by_the_api_for_documents(call: ChatCall, route: ChatRoute) -> ChatRoute:
    """The route of a call whose media are read, with documents that the model's usual API refuses."""
    api = route.provider.documents_api
    if api is None or api == route.facts.api or not any(_is_special(part) for _, part in parts_of(call)):
        return route
    return replace(route, facts=msgspec.structs.replace(route.facts, api=api), wire=route.provider.wires[api])


def _is_special(part: object) -> bool:
    if not isinstance(part, FilePart) or not (part.file.file_data or "").startswith("data:"):
        return False
    media_type = (part.file.file_data or "").removeprefix("data:").partition(";")[0]
    return media_type != PDF and not is_text(media_type)
