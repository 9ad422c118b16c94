"""How to reach a running gateway: `endpoints.json` for programs, a few lines for people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

CURL_MODEL = "openai/gpt-4o-mini"


@dataclass(frozen=True)
class Endpoints:
    """`http` ends in /v1, an OpenAI client's base URL; `websocket` is its websocket_base_url, without /realtime.

    Of a gateway that runs elsewhere only the first three are known, and the others are empty.
    """

    http: str
    websocket: str
    api_key: str
    second_api_key: str = ""
    admin_key: str = ""
    aws_endpoint_url: str = ""
    simulators: str = ""

    @property
    def origin(self) -> str:
        return self.http.removesuffix("/v1")

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text()))

    @classmethod
    def deployed(cls, base_url: str, api_key: str) -> Self:
        """A gateway at `base_url` (.../v1), on AWS or anywhere."""
        http = base_url.rstrip("/")
        return cls(http=http, websocket=http.replace("http", "ws", 1), api_key=api_key)

    def write(self, path: Path) -> None:
        """Replace the file in one move; only its owner can read it, for it holds keys."""
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n")
        draft.replace(path)


def announcement(endpoints: Endpoints, real: Mapping[str, object]) -> str:
    """What to try first, with a curl line that works as it is."""
    providers = (
        f"real: {', '.join(sorted(real))}; all others simulated" if real else "all simulated, no provider key is set"
    )
    return f"""
  base URL   {endpoints.http}
  API key    {endpoints.api_key}
  AWS        {endpoints.aws_endpoint_url}
  voice      {endpoints.origin}/realtime-page#key={endpoints.api_key}
  providers  {providers}

  curl {endpoints.http}/chat/completions \\
    -H 'Authorization: Bearer {endpoints.api_key}' -H 'Content-Type: application/json' \\
    -d '{{"model": "{CURL_MODEL}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  To administer it: pip install . and then, as it is,

  export GATEWAY_URL={endpoints.origin} GATEWAY_ADMIN_KEY={shlex.quote(endpoints.admin_key)}
  gateway tenant list

  Ctrl-C stops everything and keeps the state."""
