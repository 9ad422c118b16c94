"""The two ways to POST /v1/files: a form with the file in it, or JSON that announces one to be uploaded."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.datastructures import FormData, UploadFile

from gateway.entry.rest import validated
from gateway.model.errors import InvalidRequest
from gateway.model.file import ClientPurpose, NewFile
from gateway.pipeline.file_types import UNKNOWN

MAX_FILENAME_BYTES = 255  # S3 keeps 2 KB of metadata, and a character takes up to 12 of them
MAX_FIELD_BYTES = 4096
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,64}/[\w!#$&^.+-]{1,128}", re.ASCII)
_MEMBER = re.compile(r"(?P<name>\w+)\[(?P<member>\w+)\]")


def _filename(text: str) -> str:
    if not text.isprintable() or not 0 < len(text.encode()) <= MAX_FILENAME_BYTES:
        raise ValueError(f"a file name has 1 to {MAX_FILENAME_BYTES} bytes of printable characters")
    return text


def _content_type(text: str) -> str:
    media_type = text.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise ValueError("not a media type such as image/png")
    return media_type


class ExpiresAfter(BaseModel):
    model_config = ConfigDict(extra="forbid")
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=30 * 24 * 3600)]


class FormFields(BaseModel):
    """What a form says beside the file."""

    model_config = ConfigDict(extra="forbid")
    filename: Annotated[str, AfterValidator(_filename)]
    content_type: str
    purpose: ClientPurpose
    expires_after: ExpiresAfter | None = None

    def new_file(self) -> NewFile:
        after_s = self.expires_after.seconds if self.expires_after else None
        return NewFile(self.filename, self.content_type, self.purpose, after_s)


class Announcement(FormFields):
    """`bytes`: how many will be uploaded."""

    content_type: Annotated[str, AfterValidator(_content_type)]
    bytes: Annotated[int, Field(ge=1)]


def read_announcement(body: bytes) -> Announcement:
    """Raises InvalidRequest, UnreadableBody (400)."""
    with validated():
        return Announcement.model_validate_json(body, strict=True)


async def read_form(request: Request) -> tuple[NewFile, bytes]:
    """Raises InvalidRequest (400); for what is no form Starlette raises its HTTPException."""
    async with request.form(max_files=1, max_fields=8, max_part_size=MAX_FIELD_BYTES) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidRequest("Send the file in the form field 'file', with a file name.", param="file")
        told = {"filename": file.filename or "", "content_type": _type_or_unknown(file.content_type)}
        with validated():
            fields = FormFields.model_validate({**_nested(form), **told})
        return fields.new_file(), await file.read()


def _type_or_unknown(declared: str | None) -> str:
    """Client libraries make it up from the file name, so a useless one is no reason to refuse."""
    try:
        return _content_type(declared or UNKNOWN)
    except ValueError:
        return UNKNOWN


def _nested(form: FormData) -> dict[str, Any]:
    """`expires_after[seconds]` is how clients write a member of an object into a form."""
    found: dict[str, Any] = {}
    for name, value in form.multi_items():
        if member := _MEMBER.fullmatch(name):
            found.setdefault(member["name"], {})[member["member"]] = value
        elif name != "file":
            found[name] = value
    return found
