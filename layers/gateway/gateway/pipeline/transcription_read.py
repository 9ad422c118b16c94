"""From a form or JSON to a valid call for a transcript. Every refusal names the field."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from gateway.model.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from gateway.model.file import MAX_DIRECT_BYTES
from gateway.model.transcription import TranscriptionCall
from gateway.model.unshown import Unshown
from gateway.pipeline.decode import invalid
from gateway.pipeline.form import read_form
from gateway.pipeline.read import check_call, read_json
from gateway.pipeline.store_files import UPLOAD_ROUTE

_CALL = msgspec.json.Decoder(TranscriptionCall)


class AskedTranscription(Unshown, frozen=True):
    """`upload`: the bytes that came with the form, None where the call points at them."""

    UNSHOWN: ClassVar = ("upload",)

    call: TranscriptionCall
    upload: bytes | None = None

    @property
    def user(self) -> str | None:
        return self.call.user


def read_transcription(content_type: str, body: bytes) -> AskedTranscription:
    """Raises UnsupportedMediaType (415), PayloadTooLarge (413), UnreadableBody, InvalidRequest and
    CapabilityNotSupported (400).
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        asked = _from_form(content_type, body)
    elif media_type == "application/json":
        asked = AskedTranscription(read_call(body))
    else:
        said = f"not '{media_type or 'none'}'"
        raise UnsupportedMediaType(f"Send Content-Type multipart/form-data or application/json, {said}.")
    if (asked.call.file is None) is (asked.upload is None):
        raise InvalidRequest("Send the recording as a file of the form, or say where it is, in 'file'.", param="file")
    _check_together(asked.call)
    return asked


def read_call(body: bytes) -> TranscriptionCall:
    """Raises as `read_json`."""
    return read_json(_CALL, "application/json", body)


def _from_form(content_type: str, body: bytes) -> AskedTranscription:
    form = read_form(content_type, body)
    upload = form.files.pop("file", None)
    if form.files:
        raise InvalidRequest("Send one file, in the form field 'file'.", param=next(iter(form.files)))
    if upload is not None and len(upload.data) > MAX_DIRECT_BYTES:
        said = f"A recording of more than {MAX_DIRECT_BYTES} bytes does not fit into a request"
        raise PayloadTooLarge(f"{said}: {UPLOAD_ROUTE}, and say file: <id>.", param="file")
    try:
        call = msgspec.convert(form.members, TranscriptionCall, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    check_call(call)
    return AskedTranscription(call, None if upload is None else upload.data)


def _check_together(call: TranscriptionCall) -> None:
    if call.timestamp_granularities and call.response_format != "verbose_json":
        raise InvalidRequest(
            "timestamp_granularities need response_format: verbose_json.", param="timestamp_granularities"
        )
    if call.include and call.response_format not in (None, "json"):
        raise InvalidRequest("logprobs need response_format: json.", param="include")
    if call.stream and call.response_format not in (None, "json", "text"):
        raise InvalidRequest("A stream has text only, without times.", param="response_format")
