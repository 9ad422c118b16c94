"""What the wires of videos share."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

from gateway.model.http import HttpResponse
from gateway.model.provider_errors import ProviderError
from gateway.model.video import Picture
from gateway.providers.contract import Target

A = TypeVar("A")


def decoded(decoder: msgspec.json.Decoder[A], response: HttpResponse, target: Target) -> A:
    """Raises ProviderError (502)."""
    try:
        return decoder.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProviderError(f"{target.provider} sent something that is no answer about a video.") from None


def data_url(picture: Picture) -> str:
    return f"data:{picture.content_type};base64,{base64.b64encode(picture.data).decode()}"
