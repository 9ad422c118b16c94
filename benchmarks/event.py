"""The event that API Gateway makes of a client's request, with all the members a real one has."""

from __future__ import annotations

import json

_HOST = "abc123defg.execute-api.us-east-1.amazonaws.com"
_STAGE = "prod"
_AGENT = "OpenAI/Python 3.54.0"


def proxy_event(path: str, body: bytes, api_key: str, method: str = "POST") -> bytes:
    """A REST proxy event, payload version 1.0, as JSON; `path` as the client asked for it, "/v1/chat/completions".

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Authorization": f"Bearer {api_key}",
        "Content-Type": "application/json",
        "Host": _HOST,
        "User-Agent": _AGENT,
        "X-Amzn-Trace-Id": "Root=1-69230a1b-1c2d3e4f5a6b7c8d9e0f1a2b",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        "x-stainless-arch": "x64",
        "x-stainless-async": "false",
        "x-stainless-lang": "python",
        "x-stainless-os": "Linux",
        "x-stainless-package-version": "3.54.0",
        "x-stainless-retry-count": "0",
        "x-stainless-runtime": "CPython",
        "x-stainless-runtime-version": "3.13.1",
    }
    event = {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": _context(path),
        "body": body.decode(),
        "isBase64Encoded": False,
    }
    return json.dumps(event, separators=(",", ":")).encode()


def _context(path: str) -> dict[str, object]:
    identity = dict.fromkeys(
        ("accessKey", "accountId", "caller", "cognitoIdentityId", "cognitoIdentityPoolId", "user", "userArn")
    )
    return {
        "accountId": "123456789012",
        "apiId": "abc123defg",
        "domainName": _HOST,
        "domainPrefix": "abc123defg",
        "extendedRequestId": "U1Qh1FmYIAMEfXg=",
        "httpMethod": "POST",
        "identity": {**identity, "sourceIp": "203.0.113.9", "userAgent": _AGENT},
        "path": f"/{_STAGE}{path}",
        "protocol": "HTTP/1.1",
        "requestId": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "requestTime": "23/Nov/2026:09:00:00 +0000",
        "requestTimeEpoch": 1795424400000,
        "resourceId": "q1w2e3",
        "resourcePath": path,
        "stage": _STAGE,
    }
