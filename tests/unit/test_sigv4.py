"""Our signature equals botocore's for the same request, keys and time."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.model.http import HttpRequest
from gateway.model.secret import AwsKeys, Secret
from gateway.providers.wire.sigv4 import Scope, presign, sign

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    [
        "https://dynamodb.eu-west-1.amazonaws.com/",
        "http://127.0.0.1:4566/",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-v2%3A1/converse",
        "https://example.amazonaws.com/?b=2&a=1&a=0&c=x%20y&empty=",
    ],
)
@pytest.mark.parametrize("token", [None, "a-session-token"])
def test_the_signature_equals_botocores(url: str, token: str | None) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.GetItem"}
    ours = sign(
        HttpRequest("POST", url, headers, b'{"a": "\xc3\xa9"}'),
        AwsKeys("AKID", Secret("secret"), Secret(token) if token else None),
        Scope("eu-west-1", "dynamodb"),
        NOW,
    )
    theirs = AWSRequest("POST", url, headers=headers, data=b'{"a": "\xc3\xa9"}')
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        SigV4Auth(Credentials("AKID", "secret", token), "dynamodb", "eu-west-1").add_auth(theirs)
    assert ours.headers["authorization"] == theirs.headers["Authorization"]


OBJECT = "https://b.s3.eu-west-1.amazonaws.com/files/a%252Fb/file_1%20%C3%A9"


@pytest.mark.parametrize("url", [OBJECT, "http://127.0.0.1:4566/bucket?list-type=2&prefix=files%2Fa%2F&start-after="])
@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_s3_takes_the_path_as_it_is_and_the_bodys_hash(url: str, token: str | None) -> None:
    body = b"content"
    headers = {"x-amz-content-sha256": hashlib.sha256(body).hexdigest(), "x-amz-meta-filename": "a%20b"}
    keys, scope = AwsKeys("AKID", Secret("secret"), Secret(token) if token else None), Scope("eu-west-1", "s3")
    ours = sign(HttpRequest("PUT", url, headers, body), keys, scope, NOW)
    theirs = AWSRequest("PUT", url, headers=headers, data=body)
    theirs.context["payload_signing_enabled"] = True
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        S3SigV4Auth(Credentials("AKID", "secret", token), "s3", "eu-west-1").add_auth(theirs)
    assert ours.headers["authorization"] == theirs.headers["Authorization"]


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("GET", OBJECT, {}),
        ("GET", f"{OBJECT}?response-content-disposition=attachment%3B%20filename%2A%3DUTF-8%27%27a%2520b", {}),
        ("PUT", OBJECT, {"content-length": "123"}),
        ("PUT", "http://127.0.0.1:4566/bucket/key", {"content-type": "image/png", "x-amz-meta-a": "b"}),
    ],
)
@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_a_presigned_url_equals_botocores(method: str, url: str, headers: dict[str, str], token: str | None) -> None:
    keys, scope = AwsKeys("AKID", Secret("secret"), Secret(token) if token else None), Scope("eu-west-1", "s3")
    ours = presign(HttpRequest(method, url, headers), keys, scope, NOW, 600)
    theirs = AWSRequest(method, url, headers=headers)
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        S3SigV4QueryAuth(Credentials("AKID", "secret", token), "s3", "eu-west-1", expires=600).add_auth(theirs)
    assert urlsplit(ours)._replace(query="") == urlsplit(theirs.url)._replace(query="")
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs.url).query)
