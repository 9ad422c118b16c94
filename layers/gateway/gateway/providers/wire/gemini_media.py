"""Images, audio, video and documents as Gemini's `inlineData` and `fileData`.

Source: https://ai.google.dev/gemini-api/docs/file-input-methods (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from gateway.model.chat import (
    AudioPart,
    DocumentPart,
    FilePart,
    ImagePart,
    ImageUrlPart,
    InputAudioPart,
    Json,
    LargePart,
    Medium,
    VideoPart,
)
from gateway.model.errors import CapabilityNotSupported, InvalidRequest
from gateway.model.media_type import is_text
from gateway.providers.contract import PDF, TEXT

MediaPart: TypeAlias = ImageUrlPart | InputAudioPart | FilePart | ImagePart | AudioPart | VideoPart | DocumentPart

MIME_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aiff": "audio/aiff",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "mov": "video/mov",
    "avi": "video/avi",
    "webm": "video/webm",
    "wmv": "video/wmv",
    "3gp": "video/3gpp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "html": "text/html",
    "css": "text/css",
    "md": "text/md",
    "csv": "text/csv",
    "xml": "text/xml",
    "json": "application/json",
}
"""By ending. Sources: https://ai.google.dev/gemini-api/docs/image-understanding, /audio, /video-understanding,
/document-processing."""

OWN_TYPES = {"audio/mpeg": "audio/mp3", "audio/opus": "audio/ogg"}
"""Google's word for a type that has another one. Source: https://ai.google.dev/gemini-api/docs/audio#supported-formats."""

TEXTS = ("text/plain", "text/html", "text/css", "text/md", "text/csv", "text/xml")
"""Among them is no JSON: "a mimeType parameter with value application/json, which is not supported".

Sources: https://ai.google.dev/gemini-api/docs/document-processing, https://github.com/agno-agi/agno/issues/3964
"""

READS: Mapping[Medium, tuple[str, ...]] = {
    "image": ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"),
    "video": ("video/mp4", "video/mpeg", "video/quicktime", "video/x-msvideo", "video/webm", "video/3gpp"),
    "document": (PDF, TEXT),
}
"""As in `InlineLimits`. Sources: https://ai.google.dev/gemini-api/docs/image-understanding#supported-formats,
/video-understanding, /document-processing; "Unsupported MIME type" for Word:
https://github.com/googleapis/python-genai/issues/829
"""

REFERENCES = ("https://", "gs://")
# Google reads public videos itself: https://ai.google.dev/gemini-api/docs/video-understanding#youtube
YOUTUBE = ("https://www.youtube.com/", "https://m.youtube.com/", "https://youtube.com/", "https://youtu.be/")
YOUTUBE_TYPE = "video/mp4"


def media_part(part: MediaPart, where: str, files_root: str) -> Json:
    """Raises CapabilityNotSupported for what Gemini cannot be given, InvalidRequest for a broken `data:` URL."""
    if not isinstance(part, ImagePart | AudioPart | VideoPart | DocumentPart) and part.cache_control is not None:
        raise CapabilityNotSupported("Gemini takes no cache marks", param=f"{where}.cache_control")
    if isinstance(part, InputAudioPart):
        audio = part.input_audio
        mime_type = MIME_TYPES.get(audio.format, f"audio/{audio.format}")
        return {"inlineData": {"mimeType": mime_type, "data": audio.data}}
    if isinstance(part, ImageUrlPart):
        _one_detail(part.image_url.detail, where)
        return _image(part.image_url.url, f"{where}.image_url.url")
    if isinstance(part, ImagePart):
        return _image(part.url, f"{where}.url")
    if isinstance(part, FilePart):
        return _file(part, where, files_root)
    return _located(part.url, f"{where}.url")


def own_type(content_type: str) -> str:
    """Of texts few types are known: any is text/plain."""
    if is_text(content_type) and content_type not in TEXTS:
        return "text/plain"
    return OWN_TYPES.get(content_type, content_type)


def media_entry(entry: Json, where: str) -> Json:
    """An entry of an earlier reply's `media`, with its bytes in `data`: no address in it has been looked at."""
    data, mime_type = entry.get("data"), entry.get("content_type")
    if isinstance(data, str) and isinstance(mime_type, str):
        return {"inlineData": {"mimeType": mime_type, "data": data}}
    raise CapabilityNotSupported("Gemini needs the data of earlier media", param=where)


def _one_detail(detail: str | None, where: str) -> None:
    if detail in ("low", "original"):
        raise CapabilityNotSupported(
            "Gemini sees all images in one detail: generationConfig.mediaResolution", param=f"{where}.image_url.detail"
        )


def _file(part: FilePart, where: str, files_root: str) -> Json:
    file = part.file
    if isinstance(part, LargePart):
        _one_detail(part.detail, where)
        return {"fileData": {"mimeType": own_type(part.content_type), "fileUri": file.file_id or ""}}
    if file.file_data is not None:
        return _located(file.file_data, f"{where}.file.file_data")
    file_id = file.file_id or ""
    if file_id.startswith("files/"):
        file_id = f"{files_root}/{file_id}"
    if not file_id.startswith(REFERENCES) and not file_id.startswith(f"{files_root}/files/"):
        raise CapabilityNotSupported("Gemini does not know this file", param=f"{where}.file.file_id")
    return _reference(file_id)


def _image(url: str, where: str) -> Json:
    """One that Google reads itself is known by its ending: another medium would be neither allowed nor paid as that."""
    part = _located(url, where)
    unsaid = "" if url.startswith("gs://") else "image/*"
    if "fileData" in part and not part["fileData"].get("mimeType", unsaid).startswith("image/"):
        raise InvalidRequest(f"{where} is not an image by its ending", param=where)
    return part


def _located(url: str, where: str) -> Json:
    """Gemini fetches public and presigned https links, YouTube videos, Cloud Storage objects and its own files."""
    if url.startswith("data:"):
        return _inline(url, where)
    if url.startswith(REFERENCES):
        return _reference(url)
    raise CapabilityNotSupported("Gemini takes https: and data: URLs", param=where)


def _inline(url: str, where: str) -> Json:
    head, _, data = url.partition(",")
    mime_type, *parameters = head.removeprefix("data:").split(";")
    if "base64" not in parameters or not mime_type:
        raise InvalidRequest(f"{where} is not a data: URL with a type and base64", param=where)
    return {"inlineData": {"mimeType": own_type(mime_type), "data": data}}


def _reference(url: str) -> Json:
    """`mimeType` is told where the URL tells it. The Gemini API can do without, Vertex AI cannot."""
    ending = url.partition("?")[0].partition("#")[0].rpartition("/")[2].rpartition(".")[2].lower()
    mime_type = MIME_TYPES.get(ending) or (YOUTUBE_TYPE if url.startswith(YOUTUBE) else None)
    return {"fileData": {"mimeType": mime_type, "fileUri": url} if mime_type else {"fileUri": url}}
