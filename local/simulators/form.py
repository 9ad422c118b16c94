"""multipart/form-data, as it is sent."""

import re

from local.simulators.http1 import Request
from local.simulators.wire import Refused

_BOUNDARY = re.compile(r'boundary="?([^";]{1,70})"?')


def form_fields(request: Request) -> list[tuple[str, bytes]]:
    """Head and content of each field. Raises Refused."""
    kind = request.headers.get("content-type", "")
    boundary = _BOUNDARY.search(kind)
    if not kind.startswith("multipart/form-data") or boundary is None:
        raise Refused("wrong_type", "The request has to be multipart/form-data.")
    mark = b"\r\n--" + boundary[1].encode()
    fields = (b"\r\n" + request.body).split(mark)
    if len(fields) < 3 or fields[0] or not fields[-1].startswith(b"--"):
        raise Refused("wrong_type", "The form is broken.")
    parsed = []
    for field in fields[1:-1]:
        head, blank, data = field.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not blank:
            raise Refused("wrong_type", "The form is broken.")
        parsed.append((head.decode("utf-8", "replace"), data))
    return parsed
