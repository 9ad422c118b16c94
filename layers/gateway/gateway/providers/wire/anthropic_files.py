"""Anthropic's files: one form, and the file is there. Generally available since 2026-08-19, so no beta is asked for.

Sources: https://platform.claude.com/docs/en/build-with-claude/files,
https://platform.claude.com/docs/en/api/files-create (2026-11). A file is kept until it is deleted, unless it was
uploaded with an expiry, which is an hour at least.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest, HttpResponse
from gateway.model.provider_errors import ProviderError, ProviderFailure
from gateway.providers.contract import RemoteFile, Target
from gateway.providers.wire.anthropic_parse import fail_message
from gateway.providers.wire.failures import without_model

EXPIRES_S = 3600
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class File(Struct, frozen=True):
    id: str


_FILE = msgspec.json.Decoder(File)


class AnthropicFiles(msgspec.Struct, frozen=True):
    """`max_bytes`: 500 MB a file. Any text is uploaded as what the API calls it, `text/plain`."""

    version: str
    types: tuple[str, ...] = ("image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf", "text/")
    max_bytes: int = 500 * 10**6

    def begin(self, media: StoredFile, target: Target, noise: str) -> HttpRequest:
        boundary = f"media-{noise}"
        body = _form(media, boundary)
        headers = {"content-type": f"multipart/form-data; boundary={boundary}", "anthropic-version": self.version}
        return HttpRequest("POST", f"{target.base_url}/v1/files", headers, body)

    def follow(self, answer: HttpResponse, _media: StoredFile, target: Target) -> RemoteFile:
        return self.found(answer, target)

    def look(self, file: RemoteFile, target: Target) -> HttpRequest:
        return HttpRequest("GET", f"{target.base_url}/v1/files/{file.name}", {"anthropic-version": self.version})

    def found(self, answer: HttpResponse, target: Target) -> RemoteFile:
        try:
            file = _FILE.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ProviderError(f"{target.provider} answered an upload with what is not documented") from error
        if _ID.fullmatch(file.id) is None:
            raise ProviderError(f"{target.provider} answered an upload without a file")
        return RemoteFile(file.id, file.id)

    def delete(self, file: RemoteFile, target: Target) -> HttpRequest:
        return HttpRequest("DELETE", f"{target.base_url}/v1/files/{file.name}", {"anthropic-version": self.version})

    def fail(self, answer: HttpResponse, target: Target) -> ProviderFailure:
        return without_model(fail_message(answer, target.provider))


def _form(media: StoredFile, boundary: str) -> bytes:
    content_type = "text/plain" if media.content_type.startswith("text/") else media.content_type
    before = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="expires_in_seconds"\r\n\r\n{EXPIRES_S}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="media"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return b"".join((before.encode(), media.data, f"\r\n--{boundary}--\r\n".encode()))
