"""multipart/form-data with one file. Source: https://www.rfc-editor.org/rfc/rfc7578"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from gateway.model.chat import Json
from gateway.model.http import HttpRequest
from gateway.model.transcription import Sound

ENDINGS = {
    "audio/mpeg": "mp3",
    "video/mpeg": "mpeg",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "audio/wav": "wav",
    "audio/webm": "webm",
    "video/webm": "webm",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "video/quicktime": "mov",
    "audio/x-matroska": "mka",
}
"""Providers tell formats by the names of files."""


def form_request(url: str, fields: Sequence[tuple[str, str]], sound: Sound) -> HttpRequest:
    """The boundary is of the contents, which therefore cannot have it in them but by design of their author, who would
    have to know it before.
    """
    mark = hashlib.sha256(sound.data + repr(fields).encode()).hexdigest().encode()
    name = f"audio.{ENDINGS.get(sound.content_type, 'bin')}"
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (mark, field.encode(), value.encode())
        for field, value in fields
    ]
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {sound.content_type}'
    parts += [b"--", mark, b"\r\n", head.encode(), b"\r\n\r\n", sound.data, b"\r\n--", mark, b"--\r\n"]
    content_type = f"multipart/form-data; boundary={mark.decode()}"
    return HttpRequest("POST", url, {"content-type": content_type, "accept": "*/*"}, b"".join(parts))


def fields_of(options: Json) -> list[tuple[str, str]]:
    """Of options, as forms have them: a list is a field for each item, an object one for each member."""
    found: list[tuple[str, str]] = []
    for name, value in options.items():
        if isinstance(value, list):
            found += [(f"{name}[]", _text(item)) for item in value]
        elif isinstance(value, dict):
            found += [(f"{name}[{member}]", _text(item)) for member, item in value.items()]
        else:
            found.append((name, _text(value)))
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
