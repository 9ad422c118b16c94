"""The Gemini API's files, by its resumable protocol: announced, then sent in one go; a video is processed before use.

Sources: https://ai.google.dev/gemini-api/docs/files, https://ai.google.dev/api/files (2026-11). Files expire after 48
hours by themselves.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure, ProviderRejected
from gateway.providers.contract import RemoteFile, Target
from gateway.providers.wire.failures import public_reason, without_model
from gateway.providers.wire.gemini_failures import failure_of
from gateway.providers.wire.gemini_media import own_type

UPLOAD_URL = "x-goog-upload-url"
FINALIZE = {"x-goog-upload-offset": "0", "x-goog-upload-command": "upload, finalize"}
"""Headers of a request that has all of a file."""
_NAME = re.compile(r"files/[a-z0-9-]{1,64}")


class Trouble(Struct, frozen=True):
    message: str = ""


class File(Struct, frozen=True, kw_only=True):
    """`state`: PROCESSING, then ACTIVE or FAILED; without one there was nothing to process."""

    name: str = ""
    uri: str = ""
    state: str = "ACTIVE"
    error: Trouble | None = None


class Answer(File, frozen=True, kw_only=True):
    """An upload is answered with the file in `file`, a look with the file itself."""

    file: File | None = None


_ANSWER = msgspec.json.Decoder(Answer)


class GeminiFiles(msgspec.Struct, frozen=True):
    """`max_bytes`: 2 GB a file."""

    types: tuple[str, ...] = ("image/", "audio/", "video/", "text/", "application/pdf")
    max_bytes: int = 2 * 10**9

    def begin(self, media: StoredFile, target: Target, _noise: str) -> HttpRequest:
        return announcement(len(media.data), own_type(media.content_type), target)

    def follow(self, answer: HttpResponse, media: StoredFile, target: Target) -> HttpRequest | RemoteFile:
        if answer.headers.get("x-goog-upload-status") == "active":
            return HttpRequest("POST", upload_url(answer, target), dict(FINALIZE), media.data)
        return self.found(answer, target)

    def look(self, file: RemoteFile, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{target.base_url}/v1beta/{file.name}", {})

    def found(self, answer: HttpResponse, target: Target) -> RemoteFile:
        file = file_in(answer, target.provider)
        failure = _failure(file, target.provider) if file.state == "FAILED" else None
        return RemoteFile(file.name, file.uri, file.state == "ACTIVE", failure)

    def delete(self, file: RemoteFile, target: Target) -> HttpRequest:
        return HttpRequest("DELETE", f"{target.base_url}/v1beta/{file.name}", {})

    def fail(self, answer: HttpResponse, target: Target) -> ProviderFailure:
        return without_model(failure_of(answer, target.provider))


def announcement(size_bytes: int, content_type: str, target: Target) -> HttpRequest:
    """The first request of the resumable protocol; the second goes to the `upload_url` of its answer."""
    headers = {
        "content-type": "application/json",
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": str(size_bytes),
        "x-goog-upload-header-content-type": content_type,
    }
    return HttpRequest("POST", f"{target.base_url}/upload/v1beta/files", headers, b'{"file":{"display_name":"media"}}')


def upload_url(answer: HttpResponse, target: Target) -> str:
    """Below the base URL or over TLS: it carries the permission to upload, and then the media."""
    url = answer.headers.get(UPLOAD_URL, "")
    if not url.startswith(("https://", f"{target.base_url}/")):
        raise ProviderError(f"{target.provider} gave no address to upload to")
    return url


def _failure(file: File, provider: str) -> ProviderRejected:
    """As for media inline that it can make nothing of: they were found, and calling again changes nothing."""
    said = f": {public_reason(file.error.message)}" if file.error and file.error.message else ""
    return ProviderRejected(f"{provider} could not process the media{said}", provider_code=file.state)


def file_in(answer: HttpResponse, provider: str) -> File:
    try:
        read = _ANSWER.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProviderError(f"{provider} answered an upload with what is not documented") from error
    file = read.file or read
    if _NAME.fullmatch(file.name) is None or not file.uri:
        raise ProviderError(f"{provider} answered an upload without a file")
    return file
