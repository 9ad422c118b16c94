"""The front port's own calls (local/front_control.py), as the run makes them."""

from __future__ import annotations

import http.client
import json
from typing import Any

from local.console import Problem
from local.ports import HOST

_TIMEOUT_S = 60


class FrontClient:
    def __init__(self, port: int) -> None:
        self._port = port

    def is_healthy(self) -> bool:
        try:
            return self._call("GET", "/_front/health") == 200
        except OSError:
            return False

    def set_routes(self, routes: dict[str, Any]) -> None:
        """Raises Problem."""
        self._post("/_front/routes", routes)

    def save(self) -> None:
        """Write the stack's state to disk now, so that a crash does not cost the deployment. Raises Problem."""
        self._post("/_front/save", {})

    def _post(self, path: str, body: dict[str, Any]) -> None:
        status = self._call("POST", path, json.dumps(body))
        if status != 200:
            raise Problem(f"POST {path} on port {self._port} was answered with {status}.")

    def _call(self, method: str, path: str, body: str | None = None) -> int:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()
