"""Anthropic's Files API. Source: https://platform.claude.com/docs/en/build-with-claude/files (2026-11).

Since August 2026 it needs no beta header; this is the shape without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from msgspec import Struct

from gateway.model.errors import ProviderError
from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest, HttpResponse
from gateway.providers.contract import ProviderFile, Target
from gateway.providers.wire.multipart import multipart

INLINE_BYTES = 32_000_000
"""Of a Messages request: https://platform.claude.com/docs/en/api/errors#request-size-limits"""

EXPIRES_S = 3600
"""The shortest that the API takes, for what could not be deleted: files stay for ever otherwise."""


class FileMetadata(Struct, frozen=True):
    id: str


_FILE = msgspec.json.Decoder(FileMetadata)


@dataclass(frozen=True, slots=True)
class AnthropicFiles:
    inline_bytes: int = INLINE_BYTES
    version: str = "2023-06-01"

    def render(self, file: StoredFile, target: Target) -> HttpRequest:
        """The name stays here; messages say it as the document's title.

        All kinds of text are sent as plain text, the only kind that a message may refer to.
        """
        content_type = "text/plain" if file.content_type.startswith("text/") else file.content_type
        expiry = {"content-disposition": 'form-data; name="expires_in_seconds"'}
        media = {"content-disposition": 'form-data; name="file"; filename="media"', "content-type": content_type}
        form_type, body = multipart("form-data", [(expiry, str(EXPIRES_S).encode()), (media, file.data)])
        headers = {"content-type": form_type, "anthropic-version": self.version}
        return HttpRequest("POST", f"{target.base_url}/v1/files", headers, body)

    def poll(self, file: ProviderFile, target: Target) -> HttpRequest:
        return HttpRequest("GET", _url(file, target), {"anthropic-version": self.version})

    def parse(self, response: HttpResponse, target: Target) -> ProviderFile:
        """Files are ready at once."""
        try:
            metadata = _FILE.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ProviderError(f"{target.provider} did not name the uploaded file") from error
        return ProviderFile(metadata.id, metadata.id, is_ready=True)

    def delete(self, file: ProviderFile, target: Target) -> HttpRequest:
        return HttpRequest("DELETE", _url(file, target), {"anthropic-version": self.version})


def _url(file: ProviderFile, target: Target) -> str:
    return f"{target.base_url}/v1/files/{quote(file.id, safe='')}"
