"""The Gemini API's files. Sources: https://ai.google.dev/api/files, https://ai.google.dev/gemini-api/docs/files.

What is not deleted is gone after 48 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from msgspec import Struct

from gateway.model.errors import ProviderError, ProviderRejected
from gateway.model.file import StoredFile
from gateway.model.http import HttpRequest, HttpResponse
from gateway.providers.contract import ProviderFile, Target
from gateway.providers.wire.failures import public_reason
from gateway.providers.wire.multipart import multipart

INLINE_BYTES = 20_000_000
"""What requests of every kind have always been allowed. Google has since raised it to 100 MB for some kinds of data:
https://blog.google/innovation-and-ai/technology/developers-tools/gemini-api-new-file-limits
"""


class Status(Struct, frozen=True):
    message: str | None = None


class File(Struct, frozen=True):
    """`state`: PROCESSING, for video above all, then ACTIVE or FAILED."""

    name: str = ""
    uri: str = ""
    state: str = ""
    error: Status | None = None


class Answer(File, frozen=True):
    """An upload is answered with `file`, a poll with the file itself."""

    file: File | None = None


_ANSWER = msgspec.json.Decoder(Answer)


@dataclass(frozen=True, slots=True)
class GeminiFiles:
    inline_bytes: int = INLINE_BYTES
    prefix: str = "/v1beta"

    def render(self, file: StoredFile, target: Target) -> HttpRequest:
        """In one request. The resumable protocol of the guides needs two, the second to an address from an answer.

        Source of this one: https://github.com/google-gemini/generative-ai-js/blob/main/packages/main/src/server/file-manager.ts
        """
        metadata = msgspec.json.encode({"file": {"mimeType": file.content_type}})
        parts = [({"content-type": "application/json"}, metadata), ({"content-type": file.content_type}, file.data)]
        content_type, body = multipart("related", parts)
        headers = {"content-type": content_type, "x-goog-upload-protocol": "multipart"}
        return HttpRequest("POST", f"{target.base_url}/upload{self.prefix}/files", headers, body)

    def poll(self, file: ProviderFile, target: Target) -> HttpRequest:
        return HttpRequest("GET", self._url(file, target), {})

    def parse(self, response: HttpResponse, target: Target) -> ProviderFile:
        try:
            answer = _ANSWER.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ProviderError(f"{target.provider} sent a file that is not documented") from error
        file = answer.file or answer
        collection, _, name = file.name.partition("/")
        if file.state == "FAILED":
            reason = f": {public_reason(file.error.message)}" if file.error and file.error.message else ""
            raise ProviderRejected(f"{target.provider} cannot use this file{reason}", provider_code="FAILED")
        if collection != "files" or not name or not file.uri:
            raise ProviderError(f"{target.provider} did not name the uploaded file")
        return ProviderFile(name, file.uri, is_ready=file.state != "PROCESSING")

    def delete(self, file: ProviderFile, target: Target) -> HttpRequest:
        return HttpRequest("DELETE", self._url(file, target), {})

    def _url(self, file: ProviderFile, target: Target) -> str:
        """Made of our own base URL, for it is sent the key."""
        return f"{target.base_url}{self.prefix}/files/{quote(file.id, safe='')}"
