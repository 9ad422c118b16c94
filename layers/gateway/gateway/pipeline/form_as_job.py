"""A form that may run as a job, where a header says that it is to. Functions that take no forms do without."""

from __future__ import annotations

from python_multipart.multipart import parse_options_header

from gateway.model.errors import GatewayError
from gateway.pipeline.form import read_form
from gateway.pipeline.inbound import as_job

_FORM = "multipart/form-data"


def form_as_job(content_type: str, body: bytes) -> bytes:
    """As `as_job` does with JSON: with one more field before all others.

    https://www.rfc-editor.org/rfc/rfc7578#section-4.1
    """
    media_type, options = parse_options_header(content_type)
    if media_type != _FORM.encode():
        return as_job(content_type, body)
    try:
        members = read_form(content_type, body).members
    except GatewayError:
        return body  # whoever reads it says what is wrong with it
    if members.get("async", "") != "" or members.get("stream") == "true":
        return body
    return b'--%b\r\nContent-Disposition: form-data; name="async"\r\n\r\ntrue\r\n%b' % (options[b"boundary"], body)
