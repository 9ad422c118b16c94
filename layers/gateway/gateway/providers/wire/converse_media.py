"""Images, documents, video and audio as blocks of Converse.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html, ..._DocumentBlock.html,
..._VideoBlock.html, ..._AudioBlock.html (2026-11).
"""

from __future__ import annotations

import re
from typing import TypeAlias

from gateway.model.chat import (
    AudioPart,
    DocumentPart,
    FilePart,
    ImagePart,
    ImageUrlPart,
    InputAudioPart,
    Json,
    VideoPart,
)
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.media_type import is_text

MediaPart: TypeAlias = ImageUrlPart | InputAudioPart | FilePart | ImagePart | AudioPart | VideoPart | DocumentPart

FORMATS = {
    "image": ("png", "jpeg", "gif", "webp"),
    "document": ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"),
    "video": ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"),
    "audio": ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "m4a", "mpeg", "mpga", "pcm", "webm"),
}
FORMAT_OF = {
    "jpg": "jpeg",
    "htm": "html",
    "json": "txt",
    "xml": "txt",
    "text": "txt",
    "markdown": "md",
    "3gp": "three_gp",
    "3gpp": "three_gp",
    "quicktime": "mov",
    "x-matroska": "mkv",
    "x-flv": "flv",
    "x-ms-wmv": "wmv",
    "x-wav": "wav",
    "wave": "wav",
    "x-m4a": "m4a",
    "msword": "doc",
    "vnd.ms-excel": "xls",
    "vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
"""By file ending or second half of a media type, where these are not the format's own name."""

MP3_TYPES = ("audio/mpeg", "audio/mp3")

MAX_NAME_CHARS = 200
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_()\[\]-]+")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")


class DocumentNames:
    """Names of documents as Bedrock takes them: of few characters, and each only once in a request.

    The underscore is not in the documented list, but is accepted: https://github.com/vercel/ai/pull/20366
    """

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, wanted: str | None) -> str:
        bare = _NOT_IN_NAMES.sub(" ", _ENDING.sub("", wanted or "")).strip() or "document"
        name, number = bare[:MAX_NAME_CHARS].rstrip(), 1
        while name.lower() in self._used:
            number += 1
            suffix = f" {number}"
            name = bare[: MAX_NAME_CHARS - len(suffix)].rstrip() + suffix
        self._used.add(name.lower())
        return name


def media_block(part: MediaPart, where: str, names: DocumentNames) -> Json:
    """Raises CapabilityNotSupported for what Bedrock cannot be given, InvalidRequest for a broken `data:` URL."""
    if isinstance(part, InputAudioPart):
        audio = part.input_audio
        return _block("audio", _known_format("audio", audio.format, where), {"bytes": audio.data})
    if isinstance(part, ImageUrlPart):
        if part.image_url.detail == "low":
            raise CapabilityNotSupported(
                "Bedrock sees every image in its own detail", param=f"{where}.image_url.detail"
            )
        return _located("image", part.image_url.url, f"{where}.image_url.url")
    if isinstance(part, FilePart):
        return _file(part, where, names)
    if isinstance(part, DocumentPart):
        return _document(part.url, part.name, f"{where}.url", names)
    kind = "image" if isinstance(part, ImagePart) else "audio" if isinstance(part, AudioPart) else "video"
    return _located(kind, part.url, f"{where}.url")


def _file(part: FilePart, where: str, names: DocumentNames) -> Json:
    """A document or, because a file part may hold one, an image, audio or video."""
    data = part.file.file_data
    if data is None:
        raise CapabilityNotSupported("Only a file's content can be sent to Bedrock", param=f"{where}.file")
    where = f"{where}.file.file_data"
    kind = data.removeprefix("data:").partition("/")[0]
    if kind in ("image", "audio", "video"):
        return _located(kind, data, where)
    return _document(data, part.file.filename, where, names)


def _document(url: str, name: str | None, where: str, names: DocumentNames) -> Json:
    block = _located("document", url, where)
    block["document"]["name"] = names.unique(name)
    return block


def _located(kind: str, url: str, where: str) -> Json:
    if url.startswith("s3://"):
        ending = url.rpartition("/")[2].rpartition(".")[2].lower()
        return _block(kind, _known_format(kind, ending, where), {"s3Location": {"uri": url}})
    if url.startswith(("https://", "http://")):
        raise CapabilityNotSupported("Bedrock takes data: and s3: URLs", param=where)
    head, _, data = url.partition(",")
    media_type, *parameters = head.removeprefix("data:").lower().split(";")
    if not head.startswith("data:") or "base64" not in parameters or not media_type:
        raise InvalidRequest(f"{where} has neither an s3: URL nor a data: URL with a type and base64", param=where)
    return _block(kind, _format_of_type(kind, media_type, where), {"bytes": data})


def _format_of_type(kind: str, media_type: str, where: str) -> str:
    if media_type in MP3_TYPES:
        return _known_format(kind, "mp3", where)
    subtype = media_type.partition("/")[2]
    if kind == "document" and is_text(media_type) and FORMAT_OF.get(subtype, subtype) not in FORMATS[kind]:
        return "txt"  # any text is one
    return _known_format(kind, subtype, where)


def _known_format(kind: str, name: str, where: str) -> str:
    known = FORMAT_OF.get(name, name)
    if known not in FORMATS[kind]:
        raise CapabilityNotSupported(f"Bedrock reads no {kind} of type {name or 'unknown'}", param=where)
    return known


def _block(kind: str, form: str, source: Json) -> Json:
    return {kind: {"format": form, "source": source}}
