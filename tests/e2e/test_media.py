"""Media through the deployed gateway: from the tenant's files, from the web, inline; and what is never read."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import openai
import pytest

from local.simulators.media import PAPER, PICTURE
from tests.e2e.conftest import Gateway

pytestmark = pytest.mark.stack
SEEING = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"]


def see(http: httpx.Client, model: str, *parts: dict[str, Any]) -> httpx.Response:
    content = [{"type": "text", "text": "Look"}, *parts]
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 500}
    return http.post("/chat/completions", json=body)


def said(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize("model", SEEING)
def test_three_pictures_from_three_places(local: Gateway, http: httpx.Client, sdk: openai.OpenAI, model: str) -> None:
    stored = sdk.files.create(file=("picture.png", PICTURE), purpose="vision")
    inline = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    reply = said(see(http, model, image(f"{local.simulators}/_media/picture.png"), image(stored.id), image(inline)))
    assert reply.count("image/png") == 3
    assert reply.count(str(len(PICTURE))) >= 3


@pytest.mark.parametrize("model", SEEING)
def test_a_document_from_the_web_and_from_files(local: Gateway, http: httpx.Client, model: str) -> None:
    reply = said(see(http, model, {"type": "document", "url": f"{local.simulators}/_media/paper.pdf"}))
    assert "application/pdf" in reply or "pdf" in reply.lower()
    assert str(len(PAPER)) in reply


def test_audio_and_video_reach_a_model_that_takes_them(local: Gateway, http: httpx.Client) -> None:
    site = f"{local.simulators}/_media"
    parts = {"type": "audio", "url": f"{site}/sound.wav"}, {"type": "video", "url": f"{site}/clip.mp4"}
    reply = said(see(http, "google/gemini-2.5-flash", *parts))
    assert "audio/wav" in reply
    assert "video/mp4" in reply


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
        "https://localhost/",
        "https://[::ffff:169.254.169.254]/",
        "https://0x7f000001/",
        "file:///etc/passwd",
        "ftp://example.org/a.png",
    ],
)
def test_addresses_that_are_never_read(http: httpx.Client, url: str) -> None:
    response = see(http, "openai/gpt-4o-mini", image(url))
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "validation_error", "messages[0].content[1]")


def test_a_redirect_to_the_inside_is_not_followed(local: Gateway, http: httpx.Client) -> None:
    inside = "http://169.254.169.254/latest/meta-data/"
    response = see(http, "openai/gpt-4o-mini", image(f"{local.simulators}/_media/redirect?to={inside}"))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_error")
    again = f"{local.simulators}/_media/redirect?to={local.simulators}/_media/picture.png"
    assert "image/png" in said(see(http, "openai/gpt-4o-mini", image(again)))


def test_what_is_not_there_or_not_what_it_says(local: Gateway, http: httpx.Client) -> None:
    missing = see(http, "openai/gpt-4o-mini", image(f"{local.simulators}/_media/nothing.png"))
    assert (missing.status_code, missing.json()["error"]["code"]) == (422, "media_not_found")
    lying = see(http, "openai/gpt-4o-mini", image(f"{local.simulators}/_media/picture-that-lies.jpg"))
    assert lying.json()["error"]["code"] == "validation_error"


def test_another_tenants_file_is_not_there(local: Gateway, http: httpx.Client) -> None:
    response = see(http, "openai/gpt-4o-mini", image("file_00000000000000000000000000"))
    assert response.status_code in (400, 422)


def test_a_model_that_does_not_see_is_not_asked(http: httpx.Client) -> None:
    response = see(http, "deepseek/deepseek-chat", image("data:image/png;base64,iVBORw0KGgo="))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "capability_not_supported")
    assert "deepseek/deepseek-chat" in error["message"]


def test_more_than_a_model_takes_is_refused_by_the_limit_of_the_catalog(http: httpx.Client) -> None:
    small = image(f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}")
    response = see(http, "groq/meta-llama/llama-4-scout-17b-16e-instruct", *[small] * 6)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "validation_error", "messages[0].content[6]")
    assert error["message"] == (
        "groq/meta-llama/llama-4-scout-17b-16e-instruct takes at most 5 images in a request; this one has 6."
    )
