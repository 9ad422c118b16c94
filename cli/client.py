"""The administration over HTTP. What may be done once only carries an Idempotency-Key, so it can be tried again."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

from .settings import BadSetting

TIMEOUT_S = 35.0  # the function behind it has 29
TRIES = 3
PAGE = 100
Answer = dict[str, Any]


class Refused(Exception):
    """What the gateway said instead of doing it. `error`: the object of its answer."""

    def __init__(self, status: int, error: Answer) -> None:
        super().__init__(error.get("message"))
        self.status, self.error = status, error

    def lines(self) -> list[str]:
        """For a person: what is wrong, where, and what to quote when asking about it."""
        error = self.error
        places = [f"  {detail['pointer'] or '/'}: {detail['reason']}" for detail in error.get("details", ())]
        request = f"  ({error.get('code')}, {self.status}, request {error.get('request_id')})"
        return [str(error.get("message")), *places, request]


class Unreachable(Exception):
    """There was no answer, or none of a gateway."""


class Gateway:
    """Answers have the version of what they show as `etag`; sent back with it, they change that version or nothing."""

    def __init__(self, url: str, key: str, transport: httpx.BaseTransport | None = None) -> None:
        """`url`: with or without the /v1 of its clients."""
        base = f"{url.rstrip('/').removesuffix('/v1')}/admin"
        headers = {"authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=base, headers=headers, timeout=TIMEOUT_S, transport=transport)

    def get(self, path: str, **query: Any) -> Answer:
        return self._ask("GET", path, None, {name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: Answer | None = None) -> Answer:
        return self._ask("POST", path, body)

    def put(self, path: str, body: Answer) -> Answer:
        return self._ask("PUT", path, body)

    def patch(self, path: str, body: Answer) -> Answer:
        return self._ask("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self._ask("DELETE", path, None)

    def all(self, path: str, **query: Any) -> Iterator[Answer]:
        """Of every page."""
        after: str | None = None
        while True:
            page = self.get(path, limit=PAGE, after=after, **query)
            yield from page["data"]
            if not page["has_more"]:
                return
            after = page["last_id"]

    def _ask(self, method: str, path: str, body: Answer | None, query: dict[str, Any] | None = None) -> Answer:
        """Raises Refused, Unreachable."""
        headers = {} if method in ("GET", "DELETE") else {"idempotency-key": uuid.uuid4().hex}
        body = body and dict(body)
        if body and (etag := body.pop("etag", None)) is not None:
            headers["if-match"] = str(etag)
        response = self._answered(method, path, {"json": body, "params": query, "headers": headers})
        try:
            answer: Answer = response.json()
        except ValueError:
            raise Unreachable(
                f"{response.url.host} answered {response.status_code}, and not as a gateway does."
            ) from None
        if response.is_success:
            etag = response.headers.get("etag")
            return answer if etag is None else {**answer, "etag": etag}
        raise Refused(response.status_code, answer.get("error", {}))

    def _answered(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        for remaining in reversed(range(TRIES)):
            try:
                response = self._client.request(method, path, **request)
            except httpx.HTTPError as error:
                if not remaining:
                    said = str(error) or type(error).__name__
                    raise Unreachable(f"{self._client.base_url} cannot be reached: {said}") from error
                continue
            if response.status_code < 500 or not remaining:
                return response
        raise AssertionError("the last try either returned or raised")


def connect() -> Gateway:
    """The gateway that the environment names. Raises BadSetting."""
    missing = [name for name in ("GATEWAY_URL", "GATEWAY_ADMIN_KEY") if not os.environ.get(name)]
    if missing:
        raise BadSetting(f"Set {' and '.join(missing)}: where the gateway is, and its administrator's key.")
    return Gateway(os.environ["GATEWAY_URL"], os.environ["GATEWAY_ADMIN_KEY"])


def place(*parts: str) -> str:
    """A path of these parts, whatever characters they have."""
    return "".join(f"/{quote(part, safe='@')}" for part in parts)
