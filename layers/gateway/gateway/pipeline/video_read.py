"""From bytes to a valid call for a video: JSON, or the form that OpenAI's SDK sends. Every refusal names the field."""

from __future__ import annotations

import msgspec

from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.video import VideoCall
from gateway.pipeline.decode import check_json_type, decoded, invalid
from gateway.pipeline.form import FormFile, read_form
from gateway.pipeline.read import check_call

PICTURE = "input_reference"
_CALL = msgspec.json.Decoder(VideoCall)


class VideoRequest(msgspec.Struct, frozen=True):
    """`picture`: a file in the form; one that is only referred to is in the call."""

    call: VideoCall
    picture: FormFile | None = None

    @property
    def user(self) -> str | None:
        return self.call.user


def read_video_request(content_type: str, body: bytes) -> VideoRequest:
    """Raises UnsupportedMediaType (415), UnreadableBody, InvalidRequest, CapabilityNotSupported (400)."""
    is_form = content_type.partition(";")[0].strip().lower() == "multipart/form-data"
    request = _read_form(content_type, body) if is_form else _read_json(content_type, body)
    check_call(msgspec.structs.replace(request.call, async_=None, webhook_url=None))  # every video is a job
    _refuse_race(request.call)
    _check_reference(request)
    return request


def _read_json(content_type: str, body: bytes) -> VideoRequest:
    check_json_type(content_type)
    return VideoRequest(decoded(body, _CALL))


def _read_form(content_type: str, body: bytes) -> VideoRequest:
    """A form knows texts only, so numbers and truth values are read from them."""
    form = read_form(content_type, body)
    for name in form.files:
        if name != PICTURE:
            raise InvalidRequest(f"'{name}' is no file of this form; the picture is '{PICTURE}'.", param=name)
    try:
        call = msgspec.convert(form.members, VideoCall, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    return VideoRequest(call, form.files.get(PICTURE))


def _refuse_race(call: VideoCall) -> None:
    """Every one that has begun is paid in full, and few can be stopped."""
    if call.fallback is not None and call.fallback.strategy == "parallel":
        raise CapabilityNotSupported(
            "Videos are asked of one model after the other: all that are begun are paid.", param="fallback.strategy"
        )


def _check_reference(request: VideoRequest) -> None:
    reference = request.call.input_reference
    if reference is None:
        return
    given = [reference.file_id, reference.image_url, request.picture]
    if sum(one is not None for one in given) != 1:
        raise InvalidRequest(f"{PICTURE} is one file, a file_id or an image_url.", param=PICTURE)
