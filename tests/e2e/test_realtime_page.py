"""The page to try sessions of voice on, in a browser with a microphone that plays a file, against the local stack."""

from __future__ import annotations

import asyncio
import math
import re
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.model.money import NANO_PER_USD
from tests.e2e.chromium import BINARY, Page, page_in_chromium
from tests.e2e.conftest import Gateway
from tests.e2e.customer import Customer, customer_of

MODEL = "openai/gpt-realtime-2.1"
LONG = (
    "This is a long answer that takes its time to be said and is not of much use to anybody who has heard enough of it"
)
pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(BINARY is None, reason="there is no Chromium here (Debian's package chromium)"),
]


RATE_HZ = 48_000
BEGINS_S = 4
"""Silence while the session begins."""


def voice(seconds: float, hz: int) -> bytes:
    """Something like one."""
    tone = (12_000 * math.sin(math.tau * hz * at / RATE_HZ) for at in range(int(seconds * RATE_HZ)))
    swelling = (round(one * (0.6 + 0.4 * math.sin(math.tau * 5 * at / RATE_HZ))) for at, one in enumerate(tone))
    return array("h", swelling).tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * int(seconds * RATE_HZ))


def recorded(folder: Path, *sounds: bytes) -> Path:
    """What the microphone hears once the page asks for it."""
    path = folder / "spoken.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(b"".join([silence(BEGINS_S), *sounds, silence(60)]))
    return path


@asynccontextmanager
async def opened(gateway: Gateway, folder: Path, key: str, microphone: Path | None = None) -> AsyncIterator[Page]:
    """With the link that `make run` prints, and the models of that key; the page has to be content with itself."""
    async with page_in_chromium(folder, microphone=microphone) as page:
        await page.open(f"{gateway.origin}/realtime-page#key={key}&model={MODEL}")
        yield page
        assert page.complaints == []


async def typing_only(page: Page) -> None:
    await page.until("document.querySelector('#model option:checked').model")
    await page.click("#microphone")
    await page.click("#start")
    await page.until("!document.querySelector('#text').disabled")


async def says(page: Page, text: str) -> None:
    await page.write("#text", text)
    await page.press("Enter")


async def said(page: Page, text: str) -> None:
    await page.until(f"[...document.querySelectorAll('#talk .model span')].some(it => it.textContent === {text!r})")


async def ended(page: Page) -> dict[str, str]:
    """The summary, as the page shows it."""
    await page.click("#end")
    await page.until("document.querySelector('#state').textContent === 'Ended'")
    names = ("cost", "seconds", "total", "request")
    return {name: await page.text(f"#{name}") for name in names}


async def number(page: Page, name: str) -> float:
    return float(await page.text(f"#{name}"))


async def refused(page: Page) -> str:
    await page.until("document.querySelector('#problem').textContent")
    assert not await page.js("document.querySelector('#start').disabled")
    return await page.text("#problem")


@pytest.fixture
def customer(local: Gateway) -> Any:
    with customer_of(local, "page") as found:
        yield found


async def test_a_spoken_turn(customer: Customer, tmp_path: Path) -> None:
    async with opened(customer.local, tmp_path, customer.key, recorded(tmp_path, voice(1, 220))) as page:
        assert await page.js("location.hash") == ""
        await page.until("document.querySelector('#model option:checked').model")
        assert await page.js("document.querySelector('#model').value") == MODEL
        await page.click("#start")
        await page.until("document.querySelector('#talk .model span')?.textContent.endsWith('sound]')")
        heard = await page.text("#talk .user span")
        found = re.fullmatch(r"\[(\d+) ms of sound\]", heard)
        assert found and 600 <= int(found[1]) <= 2_000  # the second, and the silence that ends a turn
        assert await page.text("#talk .model span") == f"You said: {heard}"
        await page.until(f"+document.querySelector('#played').textContent >= {int(found[1]) / 1000 - 0.1:.1f}")
        assert await number(page, "in-audio") == int(found[1]) / 100
        assert await number(page, "out-audio") == int(found[1]) / 50
        assert (await page.text("#wait")).endswith(" ms")
        summary = await ended(page)
        ours = (customer.local.origin, customer.local.origin.replace("http", "ws", 1))
        assert [url for url in page.asked if not url.startswith(ours)] == []
    total = await asyncio.to_thread(customer.used, 2)  # the secret and the session
    assert float(summary["cost"].removeprefix("$")) == pytest.approx(total["cost_nano_usd"] / NANO_PER_USD, abs=1e-6)
    assert customer.http.get(f"/usage/requests/{summary['request']}").json()["status"] == "completed"


async def test_who_has_no_microphone_types(local: Gateway, tmp_path: Path) -> None:
    async with opened(local, tmp_path, local.api_key) as page:
        await page.until("document.querySelector('#model option:checked').model")
        await page.click("#start")
        assert "There is no microphone" in await refused(page)
        await typing_only(page)
        await says(page, "Hello")
        await said(page, "You said: Hello")
        assert int((await ended(page))["total"]) > 0


async def test_who_has_heard_enough_interrupts(local: Gateway, tmp_path: Path) -> None:
    """While the model speaks, and while what it said is still played: it is told how much of that was heard."""
    async with opened(local, tmp_path, local.api_key) as page:
        await typing_only(page)
        await says(page, LONG)
        await said(page, f"You said: {LONG}")
        await page.until("+document.querySelector('#played').textContent > 0.2")
        await page.press("Escape")
        heard = await page.until("document.querySelector('#talk .model')?.dataset.heard")
        assert 0 < float(heard.split()[2]) < len(LONG) * 0.04
        played = await number(page, "played")
        await says(page, f"Wait [[gate=page-{id(page)} gate_at=2]]")
        await page.until("document.querySelectorAll('#talk .model').length === 2")
        await page.click("#interrupt")
        await page.until("document.querySelector('#answers').textContent === '2'")
        assert await number(page, "played") < played + 3
        await says(page, "Go on")
        await said(page, "You said: Go on")
        await ended(page)
        assert await page.text("#problem") == ""


async def test_who_speaks_interrupts(local: Gateway, tmp_path: Path) -> None:
    """The model gives back more than three seconds; two of them are over when there is somebody speaking again."""
    microphone = recorded(tmp_path, voice(3, 220), silence(2), voice(1, 610))
    async with opened(local, tmp_path, local.api_key, microphone) as page:
        await page.until("document.querySelector('#model option:checked').model")
        await page.click("#start")
        heard = await page.until("document.querySelector('#talk .model')?.dataset.heard")
        assert 0 < float(heard.split()[2]) < 3
        await page.until("document.querySelectorAll('#talk .model').length === 2")
        await page.until("document.querySelector('#answers').textContent === '2'")
        await ended(page)
        assert await page.text("#problem") == ""


async def test_a_client_secret_will_do(local: Gateway, sdk: openai.OpenAI, tmp_path: Path) -> None:
    made = sdk.realtime.client_secrets.create(session={"type": "realtime", "model": MODEL})
    async with opened(local, tmp_path, made.value) as page:
        await page.until("document.querySelector('#model option').textContent.includes('own')")
        await page.click("#microphone")
        await page.click("#start")
        await page.until(f"document.querySelector('#state').textContent === 'Connected to {MODEL}'")
        await ended(page)


async def test_who_is_refused_reads_why(local: Gateway, tmp_path: Path) -> None:
    async with page_in_chromium(tmp_path, microphone=None) as page:
        await page.open(f"{local.origin}/realtime-page#key=gwk_wrong&model={MODEL}")
        assert "invalid_api_key" in await refused(page)
        with customer_of(local, "page", allowance={"budgets": [{"window": "day", "usd": "0.000001"}]}) as poor:
            await page.write("#key", poor.key)
            await page.press("Tab")
            await typing_only_refused(page)
            assert "the budget be spent" in await refused(page)
        await page.js(
            "document.querySelector('#http').value = document.querySelector('#http').value.replace('/v1', '/v2')"
        )
        await page.click("#start")
        assert "not_found" in await refused(page)


async def typing_only_refused(page: Page) -> None:
    await page.until("document.querySelector('#model option:checked').model")
    await page.click("#microphone")
    await page.click("#start")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_has_a_name_and_can_be_read(local: Gateway, tmp_path: Path, scheme: str) -> None:
    """Contrast as WCAG 2.2 wants it of text, 4.5 : 1."""
    async with opened(local, tmp_path, local.api_key) as page:
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await page.call("Accessibility.enable")
        nodes = (await page.call("Accessibility.getFullAXTree"))["nodes"]
        controls = [
            node
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in ("button", "textbox", "combobox", "checkbox", "meter")
        ]
        assert len(controls) >= 12
        assert [node["role"]["value"] for node in controls if not node["name"]["value"]] == []
        faint = await page.js(CONTRASTS)
        assert {who: ratio for who, ratio in faint.items() if ratio < 4.5} == {}
        assert len(faint) > 30


CONTRASTS = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = colour => {
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(value => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = it => {
    const own = getComputedStyle(it).backgroundColor;
    return own === "rgba(0, 0, 0, 0)" ? ground(it.parentElement) : own;
  };
  const hasText = it => [...it.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const found = {};
  for (const it of document.querySelectorAll("main *")) {
    if (!hasText(it) || it.disabled || !it.checkVisibility()) continue;
    const pair = [light(getComputedStyle(it).color), light(ground(it))].sort((a, b) => b - a);
    found[`${it.tagName} ${it.id} ${it.textContent.trim().slice(0, 30)}`] = (pair[0] + 0.05) / (pair[1] + 0.05);
  }
  return found;
})()"""


async def test_it_is_served_as_what_it_is(local: Gateway) -> None:
    async with httpx.AsyncClient(base_url=local.origin) as client:
        page, head = await client.get("/realtime-page"), await client.head("/realtime-page")
        assert (page.status_code, head.status_code, head.content) == (200, 200, b"")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert (await client.post("/realtime-page")).status_code == 404
