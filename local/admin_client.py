"""The gateway's administration over HTTP, as far as a fresh gateway needs it before its first request."""

from __future__ import annotations

import http.client
import json
from collections.abc import Collection
from typing import Any

from local.console import Problem
from local.ports import HOST

_TIMEOUT_S = 60


class AdminClient:
    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key

    def get(self, path: str, expected: Collection[int] = (200,)) -> tuple[int, dict[str, Any]]:
        """Status and answer. Raises Problem for another status."""
        return self._call("GET", path, None, expected)

    def post(self, path: str, body: dict[str, Any], expected: Collection[int] = (201,)) -> tuple[int, dict[str, Any]]:
        """As `get`."""
        return self._call("POST", path, json.dumps(body), expected)

    def _call(self, method: str, path: str, body: str | None, expected: Collection[int]) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_TIMEOUT_S)
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        try:
            connection.request(method, f"/admin{path}", body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        except OSError as error:
            raise Problem(f"{method} /admin{path} was not answered: {error}") from error
        finally:
            connection.close()
        if response.status not in expected:
            raise Problem(f"{method} /admin{path} was answered with {response.status}: {text[:500]}")
        answer: dict[str, Any] = json.loads(text)
        return response.status, answer
