"""AWS Signature Version 4, a pure function of request, keys and time.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

from gateway.model.http import HttpRequest
from gateway.model.secret import AwsKeys

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Scope:
    """`service`: the signing name, such as "dynamodb"."""

    region: str
    service: str


def sign(request: HttpRequest, keys: AwsKeys, scope: Scope, now: datetime) -> HttpRequest:
    """The request with `host`, `x-amz-date`, the session token and `authorization`. `now` is UTC."""
    url = urlsplit(request.url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {**request.headers, "host": url.netloc, "x-amz-date": stamp}
    if keys.session_token:
        headers["x-amz-security-token"] = keys.session_token
    names = sorted(headers)
    signed_names = ";".join(names)
    canonical = "\n".join(
        (
            request.method,
            quote(url.path or "/", safe="/-_.~"),
            _canonical_query(url.query),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            signed_names,
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    credential_scope = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{stamp}\n{credential_scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(_signing_key(keys, stamp[:8], scope), to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key_id}/{credential_scope}, "
        f"SignedHeaders={signed_names}, Signature={signature}"
    )
    return HttpRequest(request.method, request.url, headers, request.body)


def _canonical_query(query: str) -> str:
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in parse_qsl(query, keep_blank_values=True))
    return "&".join(f"{name}={value}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _signing_key(keys: AwsKeys, day: str, scope: Scope) -> bytes:
    key = f"AWS4{keys.secret_access_key.reveal()}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
