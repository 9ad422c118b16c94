"""API Gateway REST proxy events (payload version 1.0) and the streaming proxy's answer, to and from ASGI.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlencode

from gateway.entry.runtime.client import Invocation

_SEPARATOR = b"\0" * 8
_ASGI = {"version": "3.0", "spec_version": "2.4"}


class NotHttp(Exception):
    """The event is not an API Gateway request."""


def http_request(event: Any, invocation: Invocation, state: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The ASGI scope of an event, and its body.

    `scope["extensions"]["aws"]` has `request_id`, `deadline_s` (epoch seconds), `function_arn`, `trace_id` and `event`
    (without its body). Raises NotHttp, and ValueError when the body is not the base64 it claims to be.
    """
    if not isinstance(event, dict) or not event.get("httpMethod"):
        raise NotHttp
    body = _body(event)
    event["body"] = None  # up to 6 MB that would live as long as the request
    context = event.get("requestContext") or {}
    headers = _headers(event)
    path = _path(event, context)
    scope = {
        "type": "http",
        "asgi": _ASGI,
        "http_version": str(context.get("protocol") or "HTTP/1.1").rpartition("/")[2],
        "method": event["httpMethod"],
        "scheme": "http" if (b"x-forwarded-proto", b"http") in headers else "https",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": _query(event),
        "root_path": "",
        "headers": headers,
        "client": ((context.get("identity") or {}).get("sourceIp") or "", 0),
        "server": (context.get("domainName") or "", 443),
        "state": state.copy(),
        "extensions": {
            "aws": {
                "request_id": invocation.request_id,
                "deadline_s": invocation.deadline_s,
                "function_arn": invocation.function_arn,
                "trace_id": invocation.trace_id,
                "event": event,
            }
        },
    }
    return scope, body


def prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The start of a streamed proxy response: status and headers as JSON, then eight NUL bytes; the body follows.

    API Gateway takes at most 16 KiB up to and with the NULs.
    """
    single: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name in repeated:
            repeated[name].append(value)
        elif name in single:
            repeated[name] = [single.pop(name), value]
        else:
            single[name] = value
    answer: dict[str, Any] = {"statusCode": status, "headers": single}
    if repeated:
        answer["multiValueHeaders"] = repeated
    if cookies:
        answer["cookies"] = cookies
    return json.dumps(answer, separators=(",", ":")).encode() + _SEPARATOR


def _body(event: dict[str, Any]) -> bytes:
    body: str = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return base64.b64decode(body, validate=True)
    return body.encode("utf-8", "surrogatepass")  # a lone surrogate is the app's to refuse, not a crash here


def _headers(event: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    repeated: dict[str, list[str]] | None = event.get("multiValueHeaders")
    if not repeated:
        repeated = {name: [value] for name, value in (event.get("headers") or {}).items()}
    return [(name.lower().encode(), value.encode()) for name, values in repeated.items() for value in values]


def _query(event: dict[str, Any]) -> bytes:
    repeated: dict[str, list[str]] | None = event.get("multiValueQueryStringParameters")
    return urlencode(repeated, doseq=True).encode() if repeated else b""


def _path(event: dict[str, Any], context: dict[str, Any]) -> str:
    """The path below the API's root, as the template's routes spell it.

    API Gateway leaves a custom domain's base path in `path` (https://github.com/localstack/localstack/pull/12296);
    the literal start of the matched route (`resource`) shows where the API's own path begins.
    A stage called v1 is the version segment itself.
    """
    path: str = event.get("path") or "/"
    literal = (event.get("resource") or "/").partition("{")[0]
    begin = path.find(literal)
    if begin > 0 and literal != "/":
        path = path[begin:]
    return "/v1" + path if context.get("stage") == "v1" and not path.startswith("/v1/") else path
