"""What the wires of videos share."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

from gateway.model.chat import Json
from gateway.model.errors import CapabilityNotSupported
from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.model.video import Picture, VideoOrder
from gateway.providers.contract import Target

WITHOUT_VIDEO = "It was finished without a video."

A = TypeVar("A")


def with_allowed(body: Json, order: VideoOrder, target: Target, allowed: tuple[str, ...]) -> Json:
    """`body` with the options that the call has for this provider.

    Only those that are known to change neither the price nor what the provider fetches: a list of those that do would
    miss each that the provider adds. Raises CapabilityNotSupported (400).
    """
    for name in order.options:
        if name not in allowed:
            said = (
                f"'{name}' is not for provider_options to set; videos of {target.provider} take {', '.join(allowed)}."
            )
            raise CapabilityNotSupported(said, param=f"provider_options.{target.provider}.{name}")
    return {**body, **order.options}


def decoded(decoder: msgspec.json.Decoder[A], response: HttpResponse, target: Target) -> A:
    """Raises ProviderError (502)."""
    try:
        return decoder.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProviderError(f"{target.provider} sent something that is no answer about a video.") from None


def data_url(picture: Picture) -> str:
    return f"data:{picture.content_type};base64,{base64.b64encode(picture.data).decode()}"
