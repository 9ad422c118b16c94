"""A page in headless Chromium with a microphone that plays a file, driven by the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

BINARY = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
OPTIONS = (
    *("--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--remote-debugging-port=0", "--use-fake-ui-for-media-stream"),
)
_LISTENS = re.compile(rb"DevTools listening on ws://([\d.]+:\d+)/")


@dataclass
class Page:
    """`complaints`: exceptions, console errors and broken rules of the page. `asked`: URLs that it has asked for."""

    connection: ClientConnection
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        with suppress(ConnectionClosed):
            async for message in self.connection:
                said = json.loads(message)
                if "id" in said:
                    self._answers.pop(said["id"]).set_result(said)
                else:
                    self._note(said["method"], said["params"])

    def _note(self, method: str, of: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.complaints.append(str(of["exceptionDetails"]))
            case "Log.entryAdded" if of["entry"]["level"] == "error":
                self.complaints.append(f"{of['entry']['text']} {of['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.asked.append(of["request"]["url"])
            case "Network.webSocketCreated":
                self.asked.append(of["url"])
            case "Page.loadEventFired":
                self._loaded.set()

    async def call(self, method: str, **arguments: Any) -> Any:
        number = next(self._numbers)
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        await self.connection.send(json.dumps({"id": number, "method": method, "params": arguments}))
        said = await asyncio.wait_for(answer, 60)
        assert "error" not in said, (method, said)
        return said["result"]

    async def open(self, url: str) -> None:
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def js(self, expression: str) -> Any:
        """What it gives, once that is there."""
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, condition: str, timeout_s: float = 30.0) -> Any:
        """Looked at before each frame that the browser paints."""
        promise = (
            "new Promise((found, late) => { const by = performance.now() + %d; (function look() {"
            " const it = (%s); if (it) found(it);"
            " else if (performance.now() > by) late(new Error(document.body.innerText));"
            " else requestAnimationFrame(look); })(); })"
        )
        return await self.js(promise % (timeout_s * 1000, condition))

    async def text(self, selector: str) -> str:
        found: str = await self.js(f"document.querySelector({selector!r}).innerText")
        return found

    async def click(self, selector: str) -> None:
        """As a person does, which lets the page make sound."""
        middle = (
            f"(() => {{ const it = document.querySelector({selector!r}); it.scrollIntoView({{block: 'center'}});"
            " const at = it.getBoundingClientRect(); return [at.x + at.width / 2, at.y + at.height / 2]; })()"
        )
        x, y = await self.js(middle)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def write(self, selector: str, text: str) -> None:
        """In place of what is there."""
        await self.js(f"document.querySelector({selector!r}).focus(), document.querySelector({selector!r}).select()")
        await self.call("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        code = {"Enter": 13, "Escape": 27, "Tab": 9}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)


@asynccontextmanager
async def page_in_chromium(folder: Path, *, microphone: Path | None) -> AsyncIterator[Page]:
    """`folder`: for the browser's own files. `microphone`: a WAV file that it hears once; None: there is none."""
    assert BINARY is not None
    sound = [] if microphone is None else ["--use-fake-device-for-media-stream"]
    sound += [] if microphone is None else [f"--use-file-for-fake-audio-capture={microphone}%noloop"]
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        BINARY,
        *OPTIONS,
        *sound,
        *sandbox,
        f"--user-data-dir={folder / 'chromium'}",
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while (found := _LISTENS.search(await process.stderr.readline())) is None:
                assert process.returncode is None, "Chromium did not start"
        reading = asyncio.create_task(_drain(process.stderr))
        async with httpx.AsyncClient() as http:
            targets = (await http.get(f"http://{found[1].decode()}/json/list")).json()
        [url] = [one["webSocketDebuggerUrl"] for one in targets if one["type"] == "page"]
        async with connect(url, max_size=None) as connection:
            page = Page(connection)
            listening = asyncio.create_task(page.listen())
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.call(f"{domain}.enable")
            yield page
            listening.cancel()
        reading.cancel()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _drain(stream: asyncio.StreamReader) -> None:
    """A browser whose complaints nobody reads would stop."""
    while await stream.readline():
        pass
