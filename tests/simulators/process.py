"""The simulators as a child process, and their control API."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
KEY = "sim-test"


class Simulator:
    """`python -m local.simulators` on a free port; use as a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.simulators", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line.startswith("simulators listening on "), line
        self.url = line.split()[-1]
        self.http = httpx.Client(base_url=self.url, timeout=20)

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.http.close()
        self._process.terminate()
        self._process.wait(timeout=10)
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def control(self, method: str, path: str, **options: Any) -> Any:
        """Call the control API; anything but 200 fails the test."""
        answer = self.http.request(method, f"/_sim/{path}", **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def last(self, provider: str) -> Any:
        """The newest request of a provider, as received."""
        return self.control("GET", f"requests?provider={provider}&limit=1")["requests"][0]

    def timeline(self, key: str, wait: str = "end") -> list[tuple[str, float]]:
        """(kind, monotonic seconds) of one exchange, as soon as it has the awaited mark or is over."""
        events = self.control("GET", f"timeline/{key}?wait={wait}")["events"]
        return [(event["kind"], event["monotonic_s"]) for event in events]

    def chat(self, prefix: str, text: str, **fields: Any) -> httpx.Response:
        """POST a chat completion with one user message to a provider of the OpenAI family."""
        body = {"model": "sim-model", "messages": [{"role": "user", "content": text}]} | fields
        headers = {"authorization": f"Bearer {KEY}"}
        return self.http.post(f"{prefix}/chat/completions", json=body, headers=headers)
