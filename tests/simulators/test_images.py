"""Simulated images: real files of the size that is asked for, in every provider's words and with its checks."""

from __future__ import annotations

import zlib
from base64 import b64decode
from typing import Any

import httpx
import openai
import pytest

from gateway.model.media_type import sniff
from local.simulators.pictures import picture, size_of
from local.simulators.providers.images import image_of, size_of_shape
from tests.simulators.process import KEY, Simulator

GEMINI, VERTEX = "/google/v1beta/models", "/vertex/v1beta1/projects/p/locations/l/publishers/google/models"
STABILITY = "/bedrock/model/stability.stable-image-core-v1:1/invoke"
SMALL = (512, 256)


def post(simulator: Simulator, path: str, body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {KEY}", "x-goog-api-key": KEY}
    return simulator.http.post(path, json=body, headers=headers)


def gemini(text: str, **config: Any) -> dict[str, Any]:
    parts = [{"role": "user", "parts": [{"text": text}]}]
    return {"contents": parts, "generationConfig": {"responseModalities": ["IMAGE"], **config}}


def openai_body(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-image-1", "prompt": "A cat", **more}


ASKED: dict[str, tuple[str, dict[str, Any], tuple[int, int], str]] = {
    "openai": ("/openai/v1/images/generations", openai_body(size="512x256", output_format="webp"), SMALL, "webp"),
    "azure": ("/azure/openai/v1/images/generations", openai_body(size="512x256"), SMALL, "png"),
    "xai": (
        "/xai/v1/images/generations",
        openai_body(aspect_ratio="2:1", resolution="2k", response_format="b64_json"),
        (2048, 1024),
        "jpeg",
    ),
    "together": (
        "/together/v1/images/generations",
        openai_body(width=512, height=256, response_format="base64", output_format="png"),
        SMALL,
        "png",
    ),
    "openrouter": ("/openrouter/api/v1/images", openai_body(aspect_ratio="2:1"), (1024, 512), "jpeg"),
    "google": (
        f"{GEMINI}/gemini-3-pro-image:generateContent",
        gemini("A cat", imageConfig={"aspectRatio": "16:9", "imageSize": "2K"}),
        size_of_shape("16:9", 2048),
        "png",
    ),
    "imagen": (
        f"{GEMINI}/imagen-4.0-generate-001:predict",
        {"instances": [{"prompt": "A cat"}], "parameters": {"outputOptions": {"mimeType": "image/jpeg"}}},
        (1024, 1024),
        "jpeg",
    ),
    "vertex": (f"{VERTEX}/gemini-2.5-flash-image:generateContent", gemini("A cat"), (1024, 1024), "png"),
    "vertex imagen": (
        f"{VERTEX}/imagen-4.0-generate-001:predict",
        {"instances": [{"prompt": "A cat"}]},
        (1024, 1024),
        "png",
    ),
    "stability": (STABILITY, {"prompt": "A cat", "aspect_ratio": "3:2"}, size_of_shape("3:2", 1536), "png"),
}


def first_image(reply: dict[str, Any]) -> bytes:
    if "data" in reply:
        return b64decode(reply["data"][0]["b64_json"])
    if "predictions" in reply:
        return b64decode(reply["predictions"][0]["bytesBase64Encoded"])
    if "candidates" in reply:
        return b64decode(reply["candidates"][0]["content"]["parts"][0]["inlineData"]["data"])
    return b64decode(reply["images"][0])


@pytest.mark.parametrize("provider", ASKED)
def test_every_provider_makes_the_same_picture_in_its_words(simulator: Simulator, provider: str) -> None:
    path, body, size, kind = ASKED[provider]
    answer = post(simulator, path, body)
    assert answer.status_code == 200, answer.text
    assert first_image(answer.json()) == image_of("A cat", 0, size, kind)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(1, 1), (17, 9), (1536, 1024)])
def test_a_picture_is_of_its_kind_and_size(kind: str, size: tuple[int, int]) -> None:
    made = picture("text", *size, kind)
    assert (sniff(made), size_of(made)) == (f"image/{kind}", size)
    assert made != picture("another", *size, kind)


def test_the_rows_of_a_png_are_all_there() -> None:
    made = picture("text", 5, 3, transparent=True)
    at = made.index(b"IDAT")
    rows = zlib.decompress(made[at + 4 : at + 4 + int.from_bytes(made[at - 4 : at], "big")])
    assert (len(rows), rows[4]) == (3 * (1 + 5 * 4), 0)


def test_the_official_sdk(simulator: Simulator) -> None:
    with openai.OpenAI(base_url=f"{simulator.url}/openai/v1", api_key=KEY, max_retries=0) as client:
        made = client.images.generate(model="gpt-image-1", prompt="A cat", n=2, quality="low")
    assert made.data is not None
    assert [b64decode(image.b64_json or "") for image in made.data] == [
        image_of("A cat", at, (1024, 1024), "png") for at in (0, 1)
    ]
    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens) == (2, 2 * 272)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/openai/v1/images/generations", openai_body(style="vivid"), 400, "style"),
        ("/openai/v1/images/generations", openai_body(response_format="url"), 400, "response_format"),
        ("/openai/v1/images/generations", openai_body(n=11), 400, "n"),
        ("/openai/v1/images/generations", openai_body(background="transparent", output_format="jpeg"), 400, "JPEG"),
        ("/openai/v1/images/generations", openai_body(model="does-not-exist"), 404, "does not exist"),
        ("/together/v1/images/generations", openai_body(n=5, response_format="base64"), 400, "n"),
        ("/xai/v1/images/generations", openai_body(), 400, "answer"),
        (f"{GEMINI}/gemini-2.5-flash:generateContent", gemini("A cat"), 400, "not available"),
        (f"{GEMINI}/imagen-4.0-generate-001:predict", {"instances": [{}]}, 400, "text"),
        (STABILITY, {"prompt": "A cat", "output_format": "webp"}, 400, "enum"),
        (STABILITY, {"prompt": ""}, 400, "maxLength"),
    ],
)
def test_checks(simulator: Simulator, path: str, body: Any, status: int, said: str) -> None:
    answer = post(simulator, path, body)
    assert answer.status_code == status, answer.text
    assert said in answer.text


@pytest.mark.parametrize("provider", ["google", "vertex imagen", "stability", "openai"])
def test_a_filter_leaves_nothing(simulator: Simulator, provider: str) -> None:
    path, body, _, _ = ASKED[provider]
    filtered = post(simulator, path, _with_switch(body, "finish=filter")).json()
    assert "iVBORw0" not in str(filtered)


def test_a_fault_is_the_services_own(simulator: Simulator) -> None:
    path, body, _, _ = ASKED["openai"]
    assert post(simulator, path, _with_switch(body, "status=429")).status_code == 429


def _with_switch(body: Any, switch: str) -> Any:
    if isinstance(body, dict):
        return {name: _with_switch(value, switch) for name, value in body.items()}
    if isinstance(body, list):
        return [_with_switch(value, switch) for value in body]
    return f"{body} [[{switch}]]" if body == "A cat" else body
