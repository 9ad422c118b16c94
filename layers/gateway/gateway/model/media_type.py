"""What a body is, read from its bytes: no header, file name or other claim is believed.

`sniff` knows, by these names:

    image  png jpeg gif webp bmp tiff avif heic heif
    audio  wav mpeg aac flac ogg opus mp4 (m4a) webm x-matroska
    video  mp4 quicktime 3gpp 3gpp2 webm x-matroska x-msvideo (avi) mpeg
    application  pdf json, and Word, Excel and PowerPoint of the XML kind
    text   html csv plain (UTF-8)
"""

from __future__ import annotations

import codecs
import csv
import re
import struct
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

_OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX = f"{_OFFICE}wordprocessingml.document"
XLSX = f"{_OFFICE}spreadsheetml.sheet"
PPTX = f"{_OFFICE}presentationml.presentation"
_TEXTS = re.compile(
    r"text/.*|.*\+(xml|json|yaml)|application/(x-)?"
    r"(json|jsonl|jsonlines|ndjson|xml|yaml|toml|sql|javascript|typescript|sh|python|httpd-php|tex|latex)"
)


def is_text(media_type: str) -> bool:
    """Whether what has this type can be read as the text that it is."""
    return bool(_TEXTS.fullmatch(media_type))


def sniff(body: bytes) -> str | None:
    """The media type of a whole body, None when it is empty or of no known type.

    An Opus stream in an Ogg file is "audio/opus"; audio without pictures in an MP4, WebM or Matroska file is "audio/…".
    """
    for magic, media_type in _SIGNATURES:
        if body.startswith(magic):
            return media_type
    for offset, magic, look_inside in _CONTAINERS:
        if body.startswith(magic, offset) and (found := look_inside(body)):
            return found
    return _mpeg_audio(body[:8]) or _text(body)


_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"fLaC", "audio/flac"),
    (b"\0\0\1\xba", "video/mpeg"),  # program stream
    (b"\0\0\1\xb3", "video/mpeg"),  # bare video
    (b"%PDF-", "application/pdf"),
    (b"\xef\xbb\xbf%PDF-", "application/pdf"),
)


def _riff(body: bytes) -> str | None:
    return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(body[8:12])


_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)


def _bmp(body: bytes) -> str | None:
    """Text may begin with BM too; a bitmap says how long its second header is."""
    return "image/bmp" if int.from_bytes(body[14:18], "little") in _BMP_HEADER_SIZES else None


def _ogg(body: bytes) -> str | None:
    """The first packet lies behind 27 bytes and a table whose length is the last of them (RFC 3533 section 6)."""
    if len(body) < 28:
        return None
    packet = body[27 + body[26] :][:8]
    if packet == b"OpusHead":
        return "audio/opus"
    return "audio/ogg" if packet.startswith((b"\x01vorbis", b"\x7fFLAC", b"Speex   ")) else None


# The kind of document in the EBML header, and codec ids of video tracks: https://www.rfc-editor.org/rfc/rfc9559
_EBML_KIND = re.compile(rb"\x42\x82.{1,8}?(webm|matroska)", re.DOTALL)
_VIDEO_CODEC = re.compile(rb"\x86.{1,8}?V_(?:VP[89]|AV1|MPEG|MS/|THEORA|MJPEG|FFV1|PRORES|REAL|QUICKTIME)", re.DOTALL)
_TRACKS_WITHIN_BYTES = 1024 * 1024


def _matroska(body: bytes) -> str | None:
    kind = _EBML_KIND.search(body, 0, 4096)
    if kind is None:
        return None
    medium = "video" if _VIDEO_CODEC.search(body, 0, _TRACKS_WITHIN_BYTES) else "audio"
    return f"{medium}/webm" if kind[1] == b"webm" else f"{medium}/x-matroska"


# Brands: https://mp4ra.org/registered-types/brands
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_HEIF = {b"mif1", b"msf1", b"mif2"}
_M4A = {b"M4A ", b"M4B ", b"F4A ", b"F4B "}
_MP4 = re.compile(rb"iso[\dm]|mp4[12]|avc1|dash|M4V.|MSNV|f4v |cmf.")
_TRACK = re.compile(rb"hdlr.{8}(vide|soun)", re.DOTALL)
_MAX_FTYP_BYTES = 1024


def _iso_media(body: bytes) -> str | None:
    """The `ftyp` box: size, "ftyp", major brand, version, compatible brands (ISO/IEC 14496-12 section 4.3)."""
    listed = body[16 : min(int.from_bytes(body[:4], "big"), _MAX_FTYP_BYTES)]
    major, brands = body[8:12], {listed[i : i + 4] for i in range(0, len(listed), 4)} | {body[8:12]}
    if major in _AVIF | _HEIC | _HEIF:
        return _still_picture(major, brands)
    if major == b"qt  ":
        return "video/quicktime"
    if major.startswith((b"3gp", b"3g2")):
        return "video/3gpp" if major.startswith(b"3gp") else "video/3gpp2"
    if major not in _M4A and not any(_MP4.fullmatch(brand) for brand in brands):
        return None
    return "audio/mp4" if major in _M4A or _iso_tracks(body) == {b"soun"} else "video/mp4"


def _old_quicktime(body: bytes) -> str | None:
    """QuickTime files from before the `ftyp` box."""
    return "video/quicktime" if b"vide" in _iso_tracks(body) else None


def _still_picture(major: bytes, brands: set[bytes]) -> str:
    known = {major} if major not in _HEIF else brands
    if known & _AVIF:
        return "image/avif"
    return "image/heic" if known & _HEIC else "image/heif"


def _iso_tracks(body: bytes) -> set[bytes]:
    """Kinds of tracks, named by the handler boxes wherever they lie: `moov` may be last in the file."""
    return {match[1] for match in _TRACK.finditer(body)}


_FRAME_SYNC = 0xFFE0


def _id3(body: bytes) -> str | None:
    """The tag's size is in 7-bit bytes; FLAC and AAC may follow one too: https://id3.org/id3v2.4.0-structure"""
    if len(body) < 10 or body[3] not in (2, 3, 4):
        return None
    size = sum((byte & 0x7F) << shift for byte, shift in zip(body[6:10], (21, 14, 7, 0), strict=True))
    after = body[10 + size :][:8]
    if after.startswith(b"fLaC"):
        return "audio/flac"
    return _mpeg_audio(after) or "audio/mpeg"


def _mpeg_audio(head: bytes) -> str | None:
    """A frame header of MPEG layer III or of AAC in ADTS, with no reserved value in it."""
    if len(head) < 8 or int.from_bytes(head[:2], "big") & _FRAME_SYNC != _FRAME_SYNC:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if version == 1:
        return None
    if layer == 0:
        is_adts = head[1] & 0xF0 == 0xF0 and head[2] >> 2 & 15 < 13
        return "audio/aac" if is_adts else None
    is_layer_3 = layer == 1 and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3
    return "audio/mpeg" if is_layer_3 else None


_END_OF_DIRECTORY = struct.Struct("<4s4xHHII")
_DIRECTORY_ENTRY = struct.Struct("<4s24xHHH12x")
_MAX_COMMENT_BYTES = 65_535
_MAX_ENTRIES = 10_000


def _office(body: bytes) -> str | None:
    """A zip archive is an Office document by its main part; one with macros is not taken for one."""
    names = set(_zip_names(body))
    if "[Content_Types].xml" not in names or any(name.endswith("vbaProject.bin") for name in names):
        return None
    for folder, part, media_type in (
        ("word/", "document", DOCX),
        ("xl/", "workbook", XLSX),
        ("ppt/", "presentation", PPTX),
    ):
        # SharePoint writes word/document2.xml, so the part's name is only known to begin like this.
        if any(name.startswith(folder + part) and name.endswith(".xml") for name in names):
            return media_type
    return None


def _zip_names(body: bytes) -> Iterator[str]:
    """Names in the central directory. Nothing is decompressed, and at most 10,000 entries are read.

    Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT sections 4.3.12 and 4.3.16
    """
    end = body.rfind(b"PK\5\6", max(0, len(body) - _MAX_COMMENT_BYTES - 22))
    if end < 0 or len(body) - end < _END_OF_DIRECTORY.size:
        return
    _, _, entries, _, position = _END_OF_DIRECTORY.unpack_from(body, end)
    for _ in range(min(entries, _MAX_ENTRIES)):
        if position + 46 > len(body):
            return
        magic, name_bytes, extra_bytes, comment_bytes = _DIRECTORY_ENTRY.unpack_from(body, position)
        if magic != b"PK\1\2":
            return
        yield body[position + 46 : position + 46 + name_bytes].decode("utf-8", "replace")
        position += 46 + name_bytes + extra_bytes + comment_bytes


# Bytes that no text has, and the tags an HTML page begins with: https://mimesniff.spec.whatwg.org sections 3 and 7.1
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_HTML = re.compile(
    rb"<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[ \t\r\n>/]|<!--",
    re.IGNORECASE,
)
_HEAD_BYTES = 64 * 1024
_DECODED_AT_ONCE_BYTES = 1024 * 1024


def _text(body: bytes) -> str | None:
    head = body[:_HEAD_BYTES].removeprefix(codecs.BOM_UTF8).lstrip()
    if not head or _BINARY.search(body) or not _is_utf8(body):
        return None
    if _HTML.match(head) or (head.startswith(b"<?xml") and b"<html" in head[:1024].lower()):
        return "text/html"
    if head[:1] in (b"{", b"[") and _is_json(body):
        return "application/json"
    return "text/csv" if _is_csv(head, cut=len(body) > _HEAD_BYTES) else "text/plain"


def _is_utf8(body: bytes) -> bool:
    """Piece by piece: the text of a body can take four times its bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(body), _DECODED_AT_ONCE_BYTES):
            decoder.decode(body[start : start + _DECODED_AT_ONCE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8), type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _is_csv(head: bytes, *, cut: bool) -> bool:
    """Two rows or more of as many columns each, two or more; no empty one in the first row."""
    lines = head.decode("utf-8", "ignore").splitlines(keepends=True)
    if cut:
        lines.pop()
    for delimiter in ",;":
        try:
            rows = [row for row in islice(csv.reader(lines, delimiter=delimiter, strict=True), 100) if row]
        except csv.Error:
            continue
        if len(rows) > 1 and len(rows[0]) > 1 and all(rows[0]) and len({len(row) for row in rows}) == 1:
            return True
    return False


_CONTAINERS: tuple[tuple[int, bytes, Callable[[bytes], str | None]], ...] = (
    (0, b"RIFF", _riff),
    (0, b"OggS", _ogg),
    (0, b"\x1a\x45\xdf\xa3", _matroska),
    (0, b"PK\3\4", _office),
    (0, b"ID3", _id3),
    (0, b"BM", _bmp),
    (4, b"ftyp", _iso_media),
    (4, b"moov", _old_quicktime),
    (4, b"mdat", _old_quicktime),
    (4, b"wide", _old_quicktime),
    (4, b"free", _old_quicktime),
    (4, b"skip", _old_quicktime),
)
