"""A site with media on it, and with redirects that lead where no fetch may follow: `/_media/...`.

`/_media/painted?...` has the pictures that simulated providers only link.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from urllib.parse import parse_qs, urlencode

from local.simulators.pictures import picture

Headers = list[tuple[str, str]]


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _archive(*names: str) -> bytes:
    """A zip archive of empty files."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "")
    return body.getvalue()


PICTURE = (
    b"\x89PNG\r\n\x1a\n"
    + _png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _png_chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    + _png_chunk(b"IEND", b"")
)
SOUND = b"RIFF" + struct.pack("<I", 36 + 160) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
SOUND += b"data" + struct.pack("<I", 160) + b"\x80" * 160
PAPER = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)
NOTES = b'{"town": "Oslo"}'
WORD = _archive("[Content_Types].xml", "word/document.xml")
CLIP = struct.pack(">I", 24) + b"ftypisom" + struct.pack(">I", 512) + b"isommp41" + struct.pack(">I", 8) + b"mdat"

SITE = {
    "picture.png": ("image/png", PICTURE),
    "picture-that-lies.jpg": ("image/jpeg", PAPER),
    "sound.wav": ("audio/wav", SOUND),
    "paper.pdf": ("application/pdf", PAPER),
    "clip.mp4": ("video/mp4", CLIP),
}


def painted(text: str, size: tuple[int, int], kind: str) -> str:
    """Where a picture is, below the address of the simulators."""
    return f"/_media/painted?{urlencode({'text': text, 'width': size[0], 'height': size[1], 'kind': kind})}"


def answer(path: str, query: str) -> tuple[int, Headers, bytes]:
    """What stands at `/_media/<path>`; `redirect?to=URL` leads on to any URL."""
    if path == "redirect":
        return 302, [("location", parse_qs(query).get("to", [""])[0])], b""
    if path == "painted":
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        drawn = picture(asked["text"], int(asked["width"]), int(asked["height"]), asked["kind"])
        return 200, [("content-type", f"image/{asked['kind']}")], drawn
    if path not in SITE:
        return 404, [("content-type", "text/plain")], b"nothing here"
    content_type, body = SITE[path]
    return 200, [("content-type", content_type)], body
