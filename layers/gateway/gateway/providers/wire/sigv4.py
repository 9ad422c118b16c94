"""AWS Signature Version 4, a pure function of request, keys and time.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlsplit

from msgspec import Struct

from gateway.model.http import HttpRequest
from gateway.model.secret import AwsKeys

_ALGORITHM = "AWS4-HMAC-SHA256"
_PAYLOAD_HASH = "x-amz-content-sha256"


class Scope(Struct, frozen=True):
    """`service`: the signing name, such as "dynamodb"."""

    region: str
    service: str


def sign(request: HttpRequest, keys: AwsKeys, scope: Scope, now: datetime) -> HttpRequest:
    """The request with `host`, `x-amz-date`, the session token and `authorization`. `now` is UTC.

    S3 also wants the body's SHA-256 in `x-amz-content-sha256`; the caller sets it, and it is taken from there.
    """
    url = urlsplit(request.url)
    stamp = _stamp(now)
    headers = {**request.headers, "host": url.netloc, "x-amz-date": stamp}
    if keys.session_token:
        headers["x-amz-security-token"] = keys.session_token.reveal()
    payload_hash = headers.get(_PAYLOAD_HASH) or hashlib.sha256(request.body).hexdigest()
    query = parse_qsl(url.query, keep_blank_values=True) if url.query else []
    canonical, signed = _canonical(request.method, _path(url.path, scope), query, headers, payload_hash)
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key_id}/{_credential_scope(stamp, scope)}, "
        f"SignedHeaders={signed}, Signature={_signature(canonical, keys, scope, stamp)}"
    )
    return HttpRequest(request.method, request.url, headers, request.body)


def presign(request: HttpRequest, keys: AwsKeys, scope: Scope, now: datetime, lifetime_s: int) -> str:
    """A URL that allows this method, path, query and these headers for `lifetime_s` seconds, with any body.

    Whoever uses it sends the headers exactly as given here. It dies earlier when temporary keys do. `now` is UTC.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """
    url = urlsplit(request.url)
    stamp = _stamp(now)
    headers = {**request.headers, "host": url.netloc}
    query = [
        *parse_qsl(url.query, keep_blank_values=True),
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", f"{keys.access_key_id}/{_credential_scope(stamp, scope)}"),
        ("X-Amz-Date", stamp),
        ("X-Amz-Expires", str(lifetime_s)),
        ("X-Amz-SignedHeaders", ";".join(sorted(headers))),
    ]
    if keys.session_token:
        query.append(("X-Amz-Security-Token", keys.session_token.reveal()))
    canonical, _ = _canonical(request.method, _path(url.path, scope), query, headers, "UNSIGNED-PAYLOAD")
    signed = _encoded([*query, ("X-Amz-Signature", _signature(canonical, keys, scope, stamp))])
    return url._replace(query=signed).geturl()


def _canonical(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], payload_hash: str
) -> tuple[bytes, str]:
    """With the names of the headers that it covers."""
    names = sorted(headers)
    signed = ";".join(names)
    values = [f"{name}:{' '.join(headers[name].split())}" for name in names]
    return "\n".join((method, path, _encoded(query), *values, "", signed, payload_hash)).encode(), signed


def _path(path: str, scope: Scope) -> str:
    """Every service but S3 encodes the path once more than it stands in the URL."""
    if path in ("", "/"):
        return "/"
    return path or "/" if scope.service == "s3" else quote(path or "/", safe="/-_.~")


def _encoded(query: list[tuple[str, str]]) -> str:
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _stamp(now: datetime) -> str:
    return now.strftime("%Y%m%dT%H%M%SZ")


def _credential_scope(stamp: str, scope: Scope) -> str:
    return f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"


def _signature(canonical: bytes, keys: AwsKeys, scope: Scope, stamp: str) -> str:
    digest = hashlib.sha256(canonical).hexdigest()
    to_sign = f"{_ALGORITHM}\n{stamp}\n{_credential_scope(stamp, scope)}\n{digest}"
    key = _signing_key(keys.secret_access_key.reveal(), stamp[:8], scope.region, scope.service)
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


@lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """The same for all requests of a day."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
