"""Where the answer to an order says that its job is, and which header may order one."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest

from gateway.entry.http import cors_headers
from gateway.pipeline.form import read_form
from gateway.pipeline.form_as_job import form_as_job
from gateway.pipeline.job_endpoints import ENDPOINTS
from gateway.pipeline.job_respond import place_headers
from tests.ports.test_jobs import job
from tests.unit.test_transcriptions_function import form


@pytest.mark.parametrize(
    "base", ["https://a.execute-api.example/live", "https://api.example", "http://localhost:8080/x/y"]
)
@pytest.mark.parametrize("path", ["/v1/jobs", *ENDPOINTS])
def test_the_place_is_below_whatever_the_client_calls(base: str, path: str) -> None:
    made = job()
    location = place_headers(made, path, is_preferred=False)["location"]
    assert urljoin(f"{base}{path}", location) == f"{base}/v1/jobs/{made.id}"


def test_browsers_may_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_ALLOWED_ORIGIN", "https://app.example")
    cors_headers.cache_clear()
    exposed = cors_headers()["access-control-expose-headers"].split(", ")
    cors_headers.cache_clear()
    assert {"location", "preference-applied", "retry-after"} <= set(exposed)


def test_a_form_may_be_ordered_by_the_header() -> None:
    body, content_type = form(model="openai/whisper", file=b"sound")
    ordered = read_form(content_type, form_as_job(content_type, body))
    assert (ordered.members, ordered.files["file"].data) == ({"async": "true", "model": "openai/whisper"}, b"sound")


@pytest.mark.parametrize("field", [{"async": "false"}, {"async": "true"}, {"stream": "true"}])
def test_a_form_that_says_itself_what_it_wants_is_left_as_it_is(field: dict[str, str]) -> None:
    body, content_type = form(model="openai/whisper", file=b"sound", **field)
    assert form_as_job(content_type, body) == body


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=other", "text/plain", ""]
)
def test_what_is_no_form_is_left_to_who_reads_it(content_type: str) -> None:
    assert form_as_job(content_type, b"--mark") == b"--mark"


def test_json_is_ordered_as_everywhere() -> None:
    assert form_as_job("application/json", b'{"model":"a"}') == b'{"model":"a","async":true}'
