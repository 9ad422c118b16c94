"""Bodies as small as their formats allow, written by hand, and bodies that only look like them."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from gateway.model.media_type import DOCX, PPTX, XLSX, sniff


def box(kind: bytes, content: bytes = b"") -> bytes:
    """Of an ISO media file."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(compatible))


def track(handler: bytes) -> bytes:
    return box(b"moov", box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + handler + bytes(12)))))


def ebml(kind: bytes, *codecs: bytes) -> bytes:
    head = b"\x42\x82" + bytes([0x80 | len(kind)]) + kind
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(head)]) + head + b"".join(
        b"\x86" + bytes([0x80 | len(codec)]) + codec for codec in codecs
    )  # fmt: skip


def ogg(packet: bytes) -> bytes:
    return b"OggS" + bytes(22) + b"\x01" + bytes([len(packet)]) + packet


def archive(*names: str, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.comment = comment
        for name in names:
            opened.writestr(name, "<x/>")
    return file.getvalue()


def bmp(header_bytes: int) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<I", header_bytes) + bytes(36)


def id3(after: bytes, tag_bytes: int = 200) -> bytes:
    size = bytes([0, 0, tag_bytes >> 7, tag_bytes & 0x7F])
    return b"ID3\x04\x00\x00" + size + bytes(tag_bytes) + after


ADTS = b"\xff\xf1\x50\x80\x02\x1f\xfc\x00"
LAYER_3, LAYER_2 = b"\xff\xfb\x90\x64" + bytes(4), b"\xff\xfd\x90\x64" + bytes(4)
TYPES = "[Content_Types].xml"
RECOGNISED = [
    ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
    ("image/jpeg", b"\xff\xd8\xff\xdb"),
    ("image/gif", b"GIF89a\x01\0\x01\0"),
    ("image/gif", b"GIF87a\x01\0\x01\0"),
    ("image/webp", b"RIFF\x1a\0\0\0WEBPVP8L"),
    ("image/bmp", bmp(40)),
    ("image/bmp", bmp(124)),
    ("image/tiff", b"II*\0\x08\0\0\0"),
    ("image/tiff", b"MM\0*\0\0\0\x08"),
    ("image/avif", ftyp(b"avif", b"avif", b"mif1", b"miaf")),
    ("image/avif", ftyp(b"mif1", b"mif1", b"avif")),
    ("image/avif", ftyp(b"avis")),
    ("image/heic", ftyp(b"heic", b"mif1", b"heic")),
    ("image/heic", ftyp(b"mif1", b"mif1", b"heic")),
    ("image/heif", ftyp(b"mif1", b"mif1", b"miaf")),
    ("audio/wav", b"RIFF\x24\0\0\0WAVEfmt "),
    ("audio/mpeg", LAYER_3),
    ("audio/mpeg", b"\xff\xf3\x40\xc0" + bytes(4)),  # MPEG-2
    ("audio/mpeg", id3(LAYER_3)),
    ("audio/mpeg", id3(bytes(100))),  # padding before the first frame
    ("audio/flac", b"fLaC\0\0\0\x22"),
    ("audio/flac", id3(b"fLaC\0\0\0\x22")),
    ("audio/aac", ADTS),
    ("audio/aac", id3(ADTS)),
    ("audio/ogg", ogg(b"\x01vorbis" + bytes(23))),
    ("audio/ogg", ogg(b"\x7fFLAC\x01\0")),
    ("audio/ogg", ogg(b"Speex   1.2")),
    ("audio/opus", ogg(b"OpusHead\x01\x02")),
    ("audio/mp4", ftyp(b"M4A ", b"M4A ", b"mp42", b"isom") + track(b"soun")),
    ("audio/mp4", ftyp(b"isom", b"isom", b"mp41") + box(b"mdat", bytes(9)) + track(b"soun")),
    ("audio/webm", ebml(b"webm", b"A_OPUS")),
    ("audio/x-matroska", ebml(b"matroska", b"A_AAC")),
    ("video/mp4", ftyp(b"isom", b"isom", b"avc1") + track(b"vide")),
    ("video/mp4", ftyp(b"isom", b"isom") + track(b"soun") + track(b"vide")),
    ("video/mp4", ftyp(b"mp42", b"isom")),
    ("video/mp4", ftyp(b"XYZ ", b"isom", b"mp42") + track(b"vide")),
    ("video/quicktime", ftyp(b"qt  ", b"qt  ")),
    ("video/quicktime", box(b"wide") + box(b"mdat", bytes(9)) + track(b"vide")),
    ("video/quicktime", track(b"vide")),
    ("video/3gpp", ftyp(b"3gp4", b"isom", b"3gp4")),
    ("video/3gpp2", ftyp(b"3g2a", b"3g2a")),
    ("video/webm", ebml(b"webm", b"A_OPUS", b"V_VP9")),
    ("video/webm", ebml(b"webm", b"V_AV1")),
    ("video/x-matroska", ebml(b"matroska", b"V_MPEG4/ISO/AVC", b"A_AAC")),
    ("video/x-msvideo", b"RIFF\x24\0\0\0AVI LIST"),
    ("video/mpeg", b"\0\0\x01\xba\x44\0\x04"),
    ("video/mpeg", b"\0\0\x01\xb3\x0b\0\x90"),
    ("application/pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    (DOCX, archive(TYPES, "_rels/.rels", "word/document.xml")),
    (DOCX, archive("word/document2.xml", TYPES, comment=b"PK")),
    (XLSX, archive(TYPES, "xl/workbook.xml", "xl/worksheets/sheet1.xml")),
    (PPTX, archive(TYPES, "ppt/presentation.xml")),
    ("text/html", b"<!DOCTYPE html><p>Hi"),
    ("text/html", b"\xef\xbb\xbf \r\n<HTML lang=en>"),
    ("text/html", b"<!-- saved --><body>"),
    ("text/html", b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">'),
    ("application/json", b'{"a": [1, 2.5, null]}'),
    ("application/json", b'\xef\xbb\xbf\n[1, "\xc3\xa4"]\n'),
    ("text/csv", b"name,size\r\na,1\r\nb,2\r\n"),
    ("text/csv", b'name;note\na;"one;two\nthree"\n'),
    ("text/csv", b"a,b\n,\n"),
    ("text/csv", b"a,b,c\n" + b"1,2,3\n" * 100_000),
    ("text/plain", b"Hello, world"),
    ("text/plain", b"Dear Bob,\nThanks,\n"),
    ("text/plain", b"One, two and three.\nFour.\n"),
    ("text/plain", b"\xef\xbb\xbfna\xc3\xafve \xf0\x9f\x98\x80\x1b[0m\t\x0c"),
    ("text/plain", b'{"a": 1}\n{"a": 2}\n'),
    ("text/plain", b"[see below] and so on"),
    ("text/plain", b"[" * 100_000),
    ("text/plain", b"<note>xml</note>"),
    ("text/plain", b"<abbr>"),
    ("text/plain", b"BMW is a car"),
    ("text/plain", b"ID3 is a tag"),
    ("text/plain", b"RIFF-RAFF and so on"),
    ("text/plain", b"OggS without an end"),
    ("text/plain", b"the ftyp box"),
    ("text/plain", b"The free one"),
    ("text/plain", "ÿû".encode()),
    ("text/plain", b"a" * (1024 * 1024 - 1) + "é".encode() + b"z"),
]
UNKNOWN = [
    b"",
    b" \r\n\t",
    b"\xef\xbb\xbf",
    b"\0",
    b"\x89PNG\r\n\x1a",
    b"\xff\xfe" + "Hello".encode("utf-16-le"),
    "Hello".encode("utf-16-be"),
    "na\u00efve".encode("latin-1"),
    b"cut in a letter \xc3",
    b"\xed\xa0\x80",
    b"text with a \0 in it",
    b"\x7fELF\x02\x01\x01\0",
    b"MZ\x90\0\x03",
    b"\x1f\x8b\x08\0",
    b"7z\xbc\xaf\x27\x1c",
    LAYER_2,
    b"\xff\xfb\xf0\x64" + bytes(4),
    b"\xff\xfb\x9c\x64" + bytes(4),
    b"\xff\xf1\x7c\x80" + bytes(4),
    b"\xff\xeb\x90\x64" + bytes(4),
    bmp(41),
    ogg(b"\x80theora\x03"),
    b"OggS\0\x02",
    b"RIFF\x24\0\0\0ACON",
    ftyp(b"crx ", b"crx "),
    ftyp(b"jp2 "),
    box(b"mdat", bytes(40)),
    ebml(b"other", b"V_VP9"),
    b"ID3\x04\0",
    archive("a.txt"),
    archive("word/document.xml"),
    archive(TYPES, "word/other.xml"),
    archive(TYPES, "nested/word/document.xml"),
    archive(TYPES, "word/document.xml", "word/vbaProject.bin"),
    archive(TYPES, "word/document.xml")[:-10],
    archive(TYPES, "word/document.xml")[:40],
    b"PK\x03\x04" + b"PK\x05\x06" + bytes(4) + struct.pack("<HHIIH", 9, 9, 400, 2**32 - 1, 0),
    b"PK\x03\x04" + b"PK\x05\x06" + bytes(4) + struct.pack("<HHIIH", 9, 9, 400, 0, 0),
]


@pytest.mark.parametrize(("media_type", "body"), RECOGNISED, ids=lambda value: ascii(value)[:40])
def test_it_is_what_its_bytes_are(media_type: str, body: bytes) -> None:
    assert sniff(body) == media_type


@pytest.mark.parametrize("body", UNKNOWN, ids=lambda value: ascii(value)[:40])
def test_it_is_nothing_that_is_known(body: bytes) -> None:
    assert sniff(body) is None


@pytest.mark.parametrize(
    "body", [body for _, body in RECOGNISED if len(body) < 2000], ids=lambda value: ascii(value)[:40]
)
def test_every_beginning_of_a_body_has_an_answer(body: bytes) -> None:
    for length in range(len(body)):
        sniff(body[:length])


def test_an_archive_is_not_read_without_end() -> None:
    """65,535 entries that each take 46 bytes are announced; the part that matters lies behind the 10,000th."""
    entry = b"PK\1\2" + bytes(42)
    named = b"PK\1\2" + bytes(24) + struct.pack("<HHH", len(TYPES), 0, 0) + bytes(12) + TYPES.encode()
    directory = entry * 10_000 + named
    end = b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", 65_535, 65_535, len(directory), 4, 0)
    assert sniff(b"PK\3\4" + directory + end) is None
