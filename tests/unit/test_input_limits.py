"""What is more than a model takes is refused by name, limit and place, and nothing is asked or paid."""

from __future__ import annotations

import random
import struct
import zlib
from itertools import product
from typing import Any

import msgspec
import pytest

from gateway.health_ports import AllHealthy
from gateway.model.catalog import InputLimit, InputMeasure, ModelFacts
from gateway.model.file import StoredFile
from gateway.model.least_tokens import tokens_above
from gateway.model.pdf_pages import pdf_pages
from gateway.model.picture_size import picture_size
from gateway.model.wav import wav_header
from gateway.pipeline.list_models import describe
from tests.unit.conftest import FACTS, Gateway
from tests.unit.test_chat_function import HELLO, WHOLE
from tests.unit.test_media import WEB, data_url, image, on_the_web, store

SEEING = msgspec.structs.replace(
    FACTS, source="x", capabilities=("tools", "streaming"), input=("text", "image", "audio", "video", "document")
)


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(20)


def pdf(pages: int, *, packed: bool = False) -> bytes:
    catalog, tree = b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type /Pages /Kids [3 0 R] /Count %d>>" % pages
    if not packed:
        return b"%%PDF-1.4\n1 0 obj%s\nendobj\n2 0 obj\n%s\nendobj\ntrailer<</Root 1 0 R>>\n%%%%EOF" % (catalog, tree)
    places = b"1 0 2 %d " % len(catalog)
    stream = zlib.compress(places + catalog + tree)
    head = b"<</Type /ObjStm /N 2 /First %d /Length %d /Filter /FlateDecode>>" % (len(places), len(stream))
    xref = b"9 0 obj<</Type /XRef /Root 1 0 R>>stream\n\nendstream"
    return b"%PDF-1.5\n8 0 obj\n" + head + b"\nstream\r\n" + stream + b"\nendstream\nendobj\n" + xref


def wav(seconds: int) -> bytes:
    return wav_header(8000, bits=8, data_bytes=8000 * seconds) + bytes(8000 * seconds)


def limit(of: InputMeasure, most: int, above_images: int = 0) -> InputLimit:
    return InputLimit(of=of, most=most, above_images=above_images, source="https://example.com", as_of="2026-11-29")


def limited(gateway: Gateway, *limits: InputLimit, **facts: Any) -> None:
    gateway.answers(200, WHOLE)
    changed = msgspec.structs.replace(SEEING, limits=limits, **facts)
    gateway.world.catalog.held["openai"]["gpt-4o"] = changed  # type: ignore[attr-defined]


async def ask(gateway: Gateway, *parts: dict[str, Any], **members: Any) -> Any:
    """The error, or None; what is refused reaches no provider and costs nothing."""
    message = {"role": "user", "content": [{"type": "text", "text": "See:"}, *parts]}
    answer = await gateway.chat({**HELLO, "messages": [message], **members})
    if answer.status == 200:
        return None
    assert gateway.outbound.sent == []
    assert gateway.records.written[-1].cost_nano_usd == 0
    return answer.json["error"]


PICTURE, SOUND = image(data_url("image/png", png(10, 20))), {"type": "audio", "url": data_url("audio/wav", wav(2))}
PAPER = {"type": "document", "url": data_url("application/pdf", pdf(60))}


@pytest.mark.parametrize(
    ("part", "fits", "over", "param"),
    [
        (PICTURE, limit("images", 2), limit("images", 1), "messages[0].content[2]"),
        (PAPER, limit("documents", 2), limit("documents", 1), "messages[0].content[2]"),
        (PICTURE, limit("image_side_px", 20), limit("image_side_px", 19), "messages[0].content[1]"),
        (PICTURE, limit("image_side_px", 1, 2), limit("image_side_px", 1, 1), "messages[0].content[1]"),
        (PICTURE, limit("image_px", 200), limit("image_px", 199), "messages[0].content[1]"),
        (PAPER, limit("pages", 120), limit("pages", 119), "messages[0].content[2]"),
        (PAPER, limit("document_pages", 60), limit("document_pages", 59), "messages[0].content[1]"),
        (SOUND, limit("audio_s", 4), limit("audio_s", 3), "messages[0].content[2]"),
    ],
    ids=lambda given: f"{given.of}:{given.above_images}" if isinstance(given, InputLimit) else "",
)
async def test_up_to_a_limit_it_is_sent_and_above_it_is_refused(
    gateway: Gateway, part: dict[str, Any], fits: InputLimit, over: InputLimit, param: str
) -> None:
    limited(gateway, fits)
    assert await ask(gateway, part, part) is None
    gateway.outbound.sent.clear()
    limited(gateway, over)
    error = await ask(gateway, part, part)
    assert (error["code"], error["param"]) == ("validation_error", param)
    assert "openai/gpt-4o" in error["message"]
    assert str(over.most) in error["message"]


async def test_what_is_only_counted_is_refused_before_it_is_read(gateway: Gateway) -> None:
    fetcher = on_the_web(gateway, StoredFile(png(1, 1), "image/png", ""))
    limited(gateway, limit("images", 1))
    assert (await ask(gateway, image(WEB), image(WEB)))["param"] == "messages[0].content[2]"
    assert fetcher.fetched == []


async def test_videos_are_counted_too(gateway: Gateway) -> None:
    limited(gateway, limit("videos", 1))
    film = {"type": "video", "url": "https://example.org/film"}
    assert (await ask(gateway, film, film))["param"] == "messages[0].content[2]"


async def test_files_that_turn_out_to_be_pictures_are_no_documents(gateway: Gateway) -> None:
    limited(gateway, limit("documents", 1))
    pictures = [{"type": "file", "file": {"file_id": store(gateway, png(1, 1), "image/png")}} for _ in range(2)]
    assert await ask(gateway, *pictures) is None


async def test_what_a_file_does_not_tell_is_let_through(gateway: Gateway) -> None:
    limited(gateway, limit("pages", 1), limit("audio_s", 1), limit("image_side_px", 1))
    silent = {"type": "document", "url": data_url("application/pdf", b"%PDF-1.7\n" + bytes(20))}
    broken = {"type": "audio", "url": data_url("audio/wav", b"RIFF\x24\0\0\0WAVEfmt " + bytes(20))}
    assert await ask(gateway, silent, broken, image(data_url("image/jpeg", b"\xff\xd8\xff\xe0" + bytes(20)))) is None


WORDS = "one two three four "


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "user", "content": WORDS * 26}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": WORDS * 13}] * 2}]},
        {"tools": [{"type": "function", "function": {"name": "f", "description": WORDS * 26}}]},
        {
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "title": WORDS * 26}}}
            ]
        },
    ],
)
async def test_text_that_cannot_fit_is_refused_wherever_it_stands(gateway: Gateway, members: dict[str, Any]) -> None:
    limited(gateway, context_tokens=100)
    error = await ask(gateway, **members)
    assert (error["code"], error["param"]) == ("validation_error", "messages")
    assert "openai/gpt-4o holds 100 tokens" in error["message"]
    assert await ask(gateway, **members, provider_options={"openai": {"truncation": "auto"}}) is None


async def test_a_document_that_is_text_counts(gateway: Gateway) -> None:
    limited(gateway, context_tokens=100)
    paper = {"type": "document", "url": data_url("text/plain", (WORDS * 26).encode())}
    assert (await ask(gateway, paper))["param"] == "messages"


LONGEST_TOKENS = [
    " " * 128,
    "=" * 64,
    "-" * 100,
    "-=" * 32,
    "\n\n\n\n",
    " internationalization",
    "ответственности",
    "あ",
]


@pytest.mark.parametrize("token", LONGEST_TOKENS)
def test_text_that_fits_is_never_said_not_to(token: str) -> None:
    """Each of these is one token of a tokenizer in use, so a thousand of them fit a thousand."""
    assert tokens_above([token * 1000], 1000) is None


def test_text_without_words_is_counted_by_its_characters() -> None:
    noise = "".join(random.Random(1).choices("0123456789abcdef", k=20_000))  # noqa: S311 - no secret
    assert (tokens_above([noise], 1_000) or 0) > 1_000
    assert tokens_above([noise], 10_000) is None


def test_a_word_across_two_pieces_is_one() -> None:
    text = " ".join(["w" * 15] * 40_000)
    assert tokens_above([text], 39_990) in range(39_991, 40_001)


@pytest.mark.parametrize("packed", [False, True])
def test_a_pdf_tells_its_pages(packed: bool) -> None:
    assert pdf_pages(pdf(612, packed=packed)) == 612


@pytest.mark.parametrize(
    "body",
    [
        b"%PDF-1.4",
        pdf(5)[:-40],
        pdf(5) + b"trailer<</Root 7 0 R>>",
        pdf(5).replace(b"trailer<<", b"trailer<</Encrypt 5 0 R"),
        pdf(5) + pdf(5, packed=True),
        pdf(5).replace(b"/Count 5", b"/Count 5 0 R"),
        pdf(5, packed=True).replace(b"\r\nx", b"\r\ny"),
    ],
)
def test_a_pdf_that_does_not_tell_is_not_guessed_at(body: bytes) -> None:
    assert pdf_pages(body) is None


def test_the_last_change_of_a_pdf_counts() -> None:
    shorter = b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj trailer<</Root 1 0 R>>"
    assert pdf_pages(pdf(500) + shorter) == 1


WEBP = b"RIFF\0\0\0\0WEBP"
SIZES = {
    "image/png": png(640, 480),
    "image/gif": b"GIF89a" + struct.pack("<HH", 640, 480),
    "image/bmp": b"BM" + bytes(12) + struct.pack("<Iii", 40, 640, -480),
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x06abcd\xff\xff\xc0\0\x11\x08" + struct.pack(">HH", 480, 640) + bytes(9),
}


@pytest.mark.parametrize(("content_type", "body"), SIZES.items())
def test_a_picture_tells_its_size(content_type: str, body: bytes) -> None:
    assert picture_size(body, content_type) == (640, 480)


@pytest.mark.parametrize(
    "chunk",
    [
        b"VP8 \0\0\0\0\x30\x01\0\x9d\x01\x2a" + struct.pack("<HH", 640 | 1 << 14, 480),
        b"VP8L\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14),
        b"VP8X\0\0\0\0" + bytes(4) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little"),
    ],
)
def test_so_does_each_kind_of_webp(chunk: bytes) -> None:
    assert picture_size(WEBP + chunk, "image/webp") == (640, 480)


@pytest.mark.parametrize(("content_type", "cut"), [*product([*SIZES, "image/webp", "image/tiff"], range(0, 24, 4))])
def test_a_header_that_is_broken_off_tells_nothing(content_type: str, cut: int) -> None:
    size = picture_size(SIZES.get(content_type, WEBP)[:cut], content_type)
    assert size is None or size == (640, 480)


def test_limits_are_shown_with_their_sources() -> None:
    facts: ModelFacts = msgspec.structs.replace(SEEING, limits=(limit("images", 5), limit("image_side_px", 2000, 20)))
    assert describe("openai", facts, AllHealthy())["gateway"]["limits"] == [
        {"of": "images", "most": 5, "above_images": 0, "source": "https://example.com", "as_of": "2026-11-29"},
        {
            "of": "image_side_px",
            "most": 2000,
            "above_images": 20,
            "source": "https://example.com",
            "as_of": "2026-11-29",
        },
    ]
