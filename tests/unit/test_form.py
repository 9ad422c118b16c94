"""Forms as official clients send them, and broken ones."""

from __future__ import annotations

import pytest

from gateway.model.errors import GatewayError
from gateway.pipeline.form import MAX_MEMBERS, FormFile, read_form

TYPE = "multipart/form-data; boundary=mark"


def form(*parts: tuple[str, bytes]) -> bytes:
    """Each: what follows `form-data; `, and the content."""
    said = (f"--mark\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data for head, data in parts)
    return b"\r\n".join(said) + b"\r\n--mark--\r\n"


def test_fields_lists_and_members() -> None:
    body = form(
        ('name="model"', b"openai/whisper-1"),
        ('name="include[]"', b"logprobs"),
        ('name="timestamp_granularities[]"', b"word"),
        ('name="timestamp_granularities[]"', b"segment"),
        ('name="timeouts[total_ms]"', b"100"),
        ('name="provider_options[deepgram][numerals]"', b"true"),
        ('name="provider_options[deepgram][replace][]"', b"a:b"),
        ('name="file"; filename="a.wav"', b"RIFF\r\n--marked\0"),
    )
    read = read_form(TYPE, body)
    assert read.members == {
        "model": "openai/whisper-1",
        "include": ["logprobs"],
        "timestamp_granularities": ["word", "segment"],
        "timeouts": {"total_ms": "100"},
        "provider_options": {"deepgram": {"numerals": "true", "replace": ["a:b"]}},
    }
    assert read.files == {"file": FormFile("a.wav", b"RIFF\r\n--marked\0")}


def test_a_quoted_boundary_and_no_file() -> None:
    read = read_form('multipart/form-data; boundary="mark"', form(('name="file"', b"file_1")))
    assert (read.members, read.files) == ({"file": "file_1"}, {})


@pytest.mark.parametrize(
    ("content_type", "body", "param"),
    [
        ("multipart/form-data", form(('name="a"', b"b")), None),
        (TYPE, b"", None),
        (TYPE, b"{}", None),
        (TYPE, form(('name="a"', b"b"))[:-10], None),
        (TYPE, form(('name="a"', b"\xff")), None),
        (TYPE, form(('name="file"; filename="x"', b"b"), ('name="file"; filename="y"', b"c")), "file"),
        (TYPE, form(('name="a[]"', b"1"), ('name="a[b]"', b"2")), "a"),
        (TYPE, form(('name="a[b]"', b"1"), ('name="a[]"', b"2")), "a"),
        (TYPE, form(('name="a[b]"', b"1"), ('name="a[b][c]"', b"2")), "a"),
        (TYPE, form(*((f'name="f{at}"', b"x") for at in range(MAX_MEMBERS + 1))), None),
    ],
)
def test_what_is_no_form(content_type: str, body: bytes, param: str | None) -> None:
    with pytest.raises(GatewayError) as refused:
        read_form(content_type, body)
    assert (refused.value.status, refused.value.param) == (400, param)
