"""Our signature equals botocore's for the same request, keys and time."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.model.http import HttpRequest
from gateway.model.secret import AwsKeys, Secret
from gateway.providers.wire.sigv4 import Scope, sign

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
        AwsKeys("AKID", Secret("secret"), token),
        Scope("eu-west-1", "dynamodb"),
        NOW,
    )
    theirs = AWSRequest("POST", url, headers=headers, data=b'{"a": "\xc3\xa9"}')
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        SigV4Auth(Credentials("AKID", "secret", token), "dynamodb", "eu-west-1").add_auth(theirs)
    assert ours.headers["authorization"] == theirs.headers["Authorization"]
