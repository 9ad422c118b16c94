"""Can the chosen model make such a video, and what does it cost? Answered before anything is sent or paid."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model.catalog import ModelFacts, VideoFacts, VideoSize
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.units import unit_name
from gateway.model.usage import TokenUsage
from gateway.model.video import VideoOrder
from gateway.pipeline.route import AnyRoute
from gateway.pipeline.video_read import PICTURE, VideoRequest


def ordered(request: VideoRequest, route: AnyRoute) -> VideoOrder:
    """The call in the model's own terms, without the picture, which is loaded later.

    Raises CapabilityNotSupported or InvalidRequest (400), naming the parameter and the model.
    """
    facts = route.facts.video
    if facts is None:
        raise CapabilityNotSupported(f"What videos {route.model_id} makes is not known.", param="model")
    call = request.call
    size = _size(call.size, facts, route.model_id)
    seconds = _seconds(call.seconds, size, facts, route.model_id)
    has_picture = request.picture is not None or call.input_reference is not None
    if has_picture and facts.picture == "none":
        raise CapabilityNotSupported(f"{route.model_id} makes no video of a picture.", param=PICTURE)
    if not has_picture and facts.picture == "required":
        raise InvalidRequest(f"{route.model_id} makes videos of a picture only: send {PICTURE}.", param=PICTURE)
    options = call.options_for(route.provider.name)
    return VideoOrder(call.prompt, seconds, size.size, size.resolution, size.aspect_ratio, options=options)


def usage_of(seconds: int, resolution: str, facts: ModelFacts, *, has_picture: bool) -> TokenUsage:
    """A picture counts where the model has a price for it."""
    units = {unit_name("video_ms", resolution): seconds * 1000}
    if has_picture and any(price.unit == "images" for price in facts.unit_prices):
        units["images"] = 1
    return TokenUsage(units=units)


def usage_kept(facts: Mapping[str, object]) -> TokenUsage:
    """What was asked for, as a job's record has it."""
    units = facts["units"]
    assert isinstance(units, dict)  # noqa: S101 - it was written by this gateway
    return TokenUsage(units=units)


def _size(wanted: str | None, facts: VideoFacts, model_id: str) -> VideoSize:
    for size in facts.sizes:
        if wanted in (None, size.size):
            return size
    among = ", ".join(size.size for size in facts.sizes)
    raise InvalidRequest(f"{model_id} makes videos of {among}.", param="size")


def _seconds(wanted: int | str | None, size: VideoSize, facts: VideoFacts, model_id: str) -> int:
    lengths = size.seconds or facts.seconds
    if wanted is None:
        return facts.default_seconds if facts.default_seconds in lengths else lengths[-1]
    if int(wanted) in lengths:
        return int(wanted)
    among = ", ".join(str(length) for length in lengths)
    raise InvalidRequest(f"{model_id} makes videos of {among} seconds in {size.size}.", param="seconds")
