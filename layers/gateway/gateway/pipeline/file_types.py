"""Which media type a file gets: what its bytes look like, and only where they do not say, what was declared."""

from __future__ import annotations

from gateway.model.errors import InvalidRequest
from gateway.model.file import MAX_CHECKED_BYTES, File, NewFile, Purpose
from gateway.model.media_type import DOCX, PPTX, XLSX, is_text, sniff

UNKNOWN = "application/octet-stream"
_JSONL = "application/jsonl"
_LINES_OF_JSON: tuple[Purpose, ...] = ("batch", "evals", "fine-tune")
_PICTURES = {f"image/{kind}" for kind in ("jpeg", "png", "gif", "webp", "bmp", "tiff", "avif", "heic", "heif")}
_CANNOT_HIDE = {*_PICTURES, "application/pdf", DOCX, XLSX, PPTX}


def stored_type(new: NewFile, data: bytes) -> str:
    """Of a file whose bytes are all here: client libraries guess types by file names, so a wrong one is set right."""
    found = sniff(data)
    return _agreed(new.content_type, found, new.purpose) or found or UNKNOWN


def checked_type(file: File, start: bytes) -> str:
    """Of an announced file. Raises InvalidRequest (400) when the bytes are of another type than announced.

    `start`: the whole file, or of one larger than MAX_CHECKED_BYTES those first bytes.
    """
    is_whole = file.size_bytes <= MAX_CHECKED_BYTES
    found = sniff(start if is_whole else _whole_lines(start))
    if found is None and not is_whole:
        return file.content_type
    agreed = _agreed(file.content_type, found, file.purpose)
    if agreed is None:
        said = f"The bytes are not {file.content_type}" + (f" but {found}" if found else "")
        raise InvalidRequest(f"{said}. Upload the file again, or announce it anew.", param="content_type")
    return agreed


def _agreed(declared: str, found: str | None, purpose: Purpose) -> str | None:
    """None when the two contradict each other. Texts hardly differ by their bytes, so a declared kind stands."""
    if found is None:
        return None if declared in _CANNOT_HIDE else declared
    if declared == UNKNOWN:
        return _JSONL if is_text(found) and purpose in _LINES_OF_JSON else found
    if is_text(found):
        return declared if is_text(declared) else None
    return found if _family(declared) == _family(found) else None


def _family(media_type: str) -> str:
    """One container goes by many names, with and without pictures in it."""
    if media_type.startswith(("audio/", "video/")) or media_type in ("application/ogg", "application/mp4"):
        return "recording"
    return {"image/jpg": "image/jpeg", "image/heif": "image/heic"}.get(media_type, media_type)


def _whole_lines(start: bytes) -> bytes:
    """A text must not end within a character."""
    return start[: start.rfind(b"\n") + 1] or start
