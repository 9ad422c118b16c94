"""Pictures of one colour, which depends on a text alone: real PNG, JPEG and WebP files of any size."""

from __future__ import annotations

import hashlib
import struct
import zlib

MAX_SIDE = 16_384


def picture(text: str, width: int, height: int, kind: str = "png", *, transparent: bool = False) -> bytes:
    """`kind`: png, jpeg or webp. Two texts have the same picture only by chance; a JPEG is grey."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ValueError(f"no picture is {width} x {height}")
    digest = hashlib.sha256(f"{text} {width} {height}".encode()).digest()
    colour = digest[:3]
    if kind == "jpeg":
        return _jpeg(colour[0], width, height, digest)
    if kind == "webp":
        return _webp(colour, width, height, 0 if transparent else 255)
    return _png(colour, width, height, digest, 0 if transparent else None)


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that was made here."""
    if data.startswith(b"\x89PNG"):
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data.startswith(b"RIFF"):
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    at = data.index(b"\xff\xc0") + 5
    height, width = struct.unpack(">HH", data[at : at + 4])
    return width, height


def _png(colour: bytes, width: int, height: int, digest: bytes, alpha: int | None) -> bytes:
    pixel = colour if alpha is None else colour + bytes([alpha])
    packed = zlib.compressobj(6)
    row = b"\0" + pixel * width
    rows = b"".join(packed.compress(row) for _ in range(height)) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if alpha is None else 6, 0, 0, 0)
    told = b"Comment\0" + digest.hex().encode()
    chunks = ((b"IHDR", header), (b"tEXt", told), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(name, data) for name, data in chunks)


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _jpeg(level: int, width: int, height: int, digest: bytes) -> bytes:
    """Baseline, one component: the first block says the grey, all others that nothing changes (ITU-T T.81, annex F)."""
    difference = level - 128
    category = abs(difference).bit_length()
    symbols = bytes([0, category]) if category else bytes([0])
    lengths = bytes([1, 1 if category else 0, *[0] * 14])
    shown = difference if difference >= 0 else difference + (1 << category) - 1
    first = f"10{shown:0{category}b}0" if category else "00"
    blocks = -(-width // 8) * -(-height // 8)
    bits = first + "00" * (blocks - 1)
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xFE, digest.hex().encode()),
            _segment(0xDB, b"\0" + bytes([8] * 64)),
            _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"),
            _segment(0xC4, b"\0" + lengths + symbols),
            _segment(0xC4, b"\x10" + bytes([1, *[0] * 15]) + b"\0"),
            _segment(0xDA, b"\1\1\0\0\x3f\0"),
            data,
            b"\xff\xd9",
        )
    )


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def _webp(colour: bytes, width: int, height: int, alpha: int) -> bytes:
    """Lossless: five codes of one symbol each, so no pixel takes a bit (RFC 9649 section 3)."""
    red, green, blue = colour
    bits = [(width - 1, 14), (height - 1, 14), (int(alpha != 255), 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    for symbol in (green, red, blue, alpha):
        bits += [(1, 1), (0, 1), (1, 1), (symbol, 8)]
    bits += [(1, 1), (0, 1), (0, 1), (0, 1)]
    whole = at = 0
    for value, length in bits:
        whole |= value << at
        at += length
    data = b"\x2f" + whole.to_bytes(-(-at // 8), "little")
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk
