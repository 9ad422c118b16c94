"""`Prefer: respond-async` with a form, which then says in a field what a body of JSON says in a member."""

from __future__ import annotations

import pytest

from gateway.pipeline.form import read_form
from gateway.pipeline.inbound import as_job

SOUND = b"RIFF\x00\xff\r\n--not the end\r\n"


def form(boundary: str = "b-1", **fields: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    return "".join(parts).encode() + head.encode() + SOUND + f"\r\n--{boundary}--\r\n".encode()


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=b-1", 'Multipart/Form-Data; boundary="b-1"'])
def test_it_becomes_a_job(content_type: str) -> None:
    read = read_form(content_type, as_job(content_type, form(model="openai/whisper-1")))
    assert read.members == {"model": "openai/whisper-1", "async": "true"}
    assert read.files["file"].data == SOUND


@pytest.mark.parametrize("said", [{"async": "false"}, {"stream": "true"}])
def test_what_says_itself_whether_it_wants_to_stays_as_it_is(said: dict[str, str]) -> None:
    body = form(model="openai/whisper-1", **said)
    assert as_job("multipart/form-data; boundary=b-1", body) == body


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=other", "text/plain"])
def test_what_is_no_form_is_left_to_whoever_reads_it(content_type: str) -> None:
    assert as_job(content_type, form()) == form()
