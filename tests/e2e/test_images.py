"""Images through the unmodified OpenAI SDK, on every provider, stored for the tenant, governed like everything else."""

from __future__ import annotations

import os
import uuid
from base64 import b64decode
from typing import Any

import httpx
import openai
import pytest

from gateway.model.media_type import sniff
from gateway.model.money import usd_text
from local.simulators.pictures import size_of
from local.simulators.providers.images import image_of, size_of_shape
from tests.e2e.conftest import Gateway
from tests.e2e.simulated import posted
from tests.e2e.tenants import put_key, put_tenant
from tests.e2e.test_governance import number, settled

PROMPT = "A lighthouse at dusk"
MODELS = {
    "openai": "openai/gpt-image-1",
    "azure": "azure/gpt-image-1",
    "google": "google/gemini-3-pro-image",
    "vertex": "vertex/gemini-2.5-flash-image",
    "vertex-imagen": "vertex/imagen-4.0-generate-001",
    "xai": "xai/grok-imagine-image-2.0",
    "together": "together/black-forest-labs/FLUX.1-schnell",
    "bedrock": "bedrock/stability.stable-image-core-v1:1",
    "openrouter": "openrouter/google/gemini-3.1-flash-lite-image",
}
USUAL = {
    **dict.fromkeys(("openai", "azure", "google", "vertex", "vertex-imagen"), ((1024, 1024), "png")),
    **dict.fromkeys(("xai", "together", "openrouter"), ((1024, 1024), "jpeg")),
    "bedrock": ((1536, 1536), "png"),
}
"""What a simulator makes where nothing is asked for."""
COSTS_NANO_USD = {
    "openai": 4 * 5_000 + 4160 * 40_000,
    "azure": 4 * 5_000 + 4160 * 40_000,
    "google": 4 * 2_000 + 1120 * 120_000,
    "vertex": 4 * 300 + 1120 * 30_000,
    "vertex-imagen": 40_000_000,
    "xai": 20_000_000,
    "together": -(-1024 * 1024 * 27 // 10),
    "bedrock": 40_000_000,
    "openrouter": 4 * 250 + 4160 * 30_000,
}
"""One image of the usual kind, by the printed prices; the prompt is four tokens to every simulator."""
OWN = os.environ.get("SMOKE_IMAGES", ",".join(MODELS)).split(",")
pytestmark = pytest.mark.stack


def nano(made: Any) -> int:
    cost: float = made.usage.cost_estimate
    return round(cost * 1e9)


@pytest.mark.parametrize("provider", OWN)
def test_an_image_opens_at_the_url_and_is_what_the_provider_made(
    sdk: openai.OpenAI, gateway: Gateway, provider: str
) -> None:
    made = sdk.images.generate(model=MODELS[provider], prompt=PROMPT)
    assert made.data is not None
    (image,) = made.data
    assert image.url is not None
    opened = httpx.get(image.url)
    assert opened.status_code == 200
    assert image.content_type == opened.headers["content-type"] == sniff(opened.content)  # type: ignore[attr-defined]
    assert image.size_bytes == len(opened.content)  # type: ignore[attr-defined]  # ours
    assert "attachment" in opened.headers["content-disposition"]
    again = f"{gateway.http}/files/{image.file_id}/content"  # type: ignore[attr-defined]  # ours
    kept = httpx.get(again, headers={"authorization": f"Bearer {gateway.api_key}"}, follow_redirects=True)
    assert kept.content == opened.content
    assert made.model == MODELS[provider]  # type: ignore[attr-defined]  # ours
    if gateway.simulators:
        assert opened.content == image_of(PROMPT, 0, *USUAL[provider])
        assert nano(made) == COSTS_NANO_USD[provider]


@pytest.mark.parametrize("provider", OWN)
def test_images_in_the_answer(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    """More than the provider makes in one request, too."""
    made = sdk.images.generate(model=MODELS[provider], prompt=PROMPT, n=2, response_format="b64_json")
    assert made.data is not None
    images = [b64decode(image.b64_json or "") for image in made.data]
    assert len(images) == 2
    assert all((sniff(image) or "").startswith("image/") for image in images)
    assert not any(image.url for image in made.data)
    if gateway.simulators:
        assert images[0] == image_of(PROMPT, 0, *USUAL[provider])


@pytest.mark.parametrize(
    ("provider", "asked", "size", "kind"),
    [
        ("openai", {"size": "1536x1024", "output_format": "webp", "output_compression": 40}, (1536, 1024), "webp"),
        ("openai", {"size": "1024x1536", "output_format": "jpeg"}, (1024, 1536), "jpeg"),
        ("azure", {"size": "1024x1024", "output_format": "png"}, (1024, 1024), "png"),
        ("google", {"size": "16:9@2K"}, size_of_shape("16:9", 2048), "png"),
        ("google", {"size": "2048x2048"}, (2048, 2048), "png"),
        ("vertex", {"size": "3:4"}, size_of_shape("3:4"), "png"),
        ("vertex-imagen", {"size": "9:16@2k", "output_format": "jpeg"}, size_of_shape("9:16", 2048), "jpeg"),
        ("xai", {"size": "4:3@2k", "quality": "low"}, size_of_shape("4:3", 2048), "jpeg"),
        ("together", {"size": "512x768", "output_format": "png"}, (512, 768), "png"),
        ("bedrock", {"size": "21:9", "output_format": "jpeg"}, size_of_shape("21:9", 1536), "jpeg"),
        ("openrouter", {"size": "1:4"}, size_of_shape("1:4"), "jpeg"),
    ],
)
def test_an_image_is_as_it_was_asked_for(
    sdk: openai.OpenAI, local: Gateway, provider: str, asked: dict[str, Any], size: tuple[int, int], kind: str
) -> None:
    made = sdk.images.generate(model=MODELS[provider], prompt=PROMPT, response_format="b64_json", **asked)
    assert made.data is not None
    image = b64decode(made.data[0].b64_json or "")
    assert (size_of(image), sniff(image)) == (size, f"image/{kind}")
    assert image == image_of(PROMPT, 0, size, kind)
    assert made.output_format == kind


def test_a_background_can_be_left_out(sdk: openai.OpenAI, local: Gateway) -> None:
    made = sdk.images.generate(
        model=MODELS["openai"], prompt=PROMPT, background="transparent", quality="low", moderation="low"
    )
    assert made.data is not None
    opened = httpx.get(made.data[0].url or "").content
    assert opened == image_of(PROMPT, 0, (1024, 1024), "png", transparent=True)
    assert (made.background, made.quality) == ("transparent", "low")
    assert made.usage is not None
    assert (made.usage.output_tokens, made.usage.input_tokens_details.text_tokens) == (272, 4)


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("openai", {"size": "1000x1000"}, "size", "validation_error"),
    ("openai", {"size": "large"}, "size", "validation_error"),
    ("openai", {"size": "16:9"}, "size", "validation_error"),
    ("google", {"size": "1536x1024"}, "size", "validation_error"),
    ("google", {"size": "16:9@8K"}, "size", "validation_error"),
    ("together", {"size": "1000x1000"}, "size", "validation_error"),
    ("openai", {"n": 11}, "n", "validation_error"),
    ("openai", {"n": 0}, "n", "validation_error"),
    ("openai", {"quality": "hd"}, "quality", "validation_error"),
    ("google", {"quality": "high"}, "quality", "capability_not_supported"),
    ("openai", {"output_format": "gif"}, "output_format", "validation_error"),
    ("bedrock", {"output_format": "webp"}, "output_format", "validation_error"),
    ("google", {"output_format": "png"}, "output_format", "capability_not_supported"),
    ("openai", {"output_compression": 50}, "output_compression", "validation_error"),
    ("bedrock", {"output_compression": 50, "output_format": "jpeg"}, "output_compression", "capability_not_supported"),
    ("xai", {"background": "transparent"}, "background", "capability_not_supported"),
    ("openai", {"background": "transparent", "output_format": "jpeg"}, "background", "validation_error"),
    ("bedrock", {"prompt": "x" * 10_001}, "prompt", "validation_error"),
    ("openai", {"prompt": "x" * 32_001}, "prompt", "validation_error"),
    ("openai", {"prompt": ""}, "prompt", "validation_error"),
    ("openai", {"stream": True}, "stream", "capability_not_supported"),
    ("xai", {"moderation": "low"}, "moderation", "capability_not_supported"),
]


@pytest.mark.parametrize(("provider", "asked", "param", "code"), BAD)
def test_what_the_model_cannot_do_is_refused_by_name_and_unsent(
    sdk: openai.OpenAI, local: Gateway, provider: str, asked: dict[str, Any], param: str, code: str
) -> None:
    before = posted(local)
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.images.generate(**{"model": MODELS[provider], "prompt": PROMPT, **asked})
    assert (refused.value.code, refused.value.param) == (code, param)
    assert posted(local) == before


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("openai/gpt-4o-mini", 400, "capability_not_supported"),
        ("google/gemini-2.5-flash", 400, "capability_not_supported"),
        ("vertex/text-embedding-005", 400, "capability_not_supported"),
        ("openai/dall-e-3", 410, "model_deprecated"),
        ("bedrock/amazon.nova-canvas-v1:0", 410, "model_deprecated"),
        ("google/imagen-4.0-generate-001", 410, "model_deprecated"),
        ("openai/gpt-image-99", 404, "model_not_found"),
    ],
)
def test_models_that_make_no_images(sdk: openai.OpenAI, model: str, status: int, code: str) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.images.generate(model=model, prompt=PROMPT)
    assert (refused.value.status_code, refused.value.code) == (status, code)


@pytest.mark.parametrize("provider", ["openai", "google", "vertex-imagen", "bedrock"])
def test_what_a_filter_took_is_told_as_such(sdk: openai.OpenAI, local: Gateway, provider: str) -> None:
    """OpenAI refuses a prompt itself; that its list can be empty is what the simulator makes of the switch."""
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.images.generate(model=MODELS[provider], prompt=f"{PROMPT} [[finish=filter]]")
    wanted = (502, "provider_error") if provider == "openai" else (400, "validation_error")
    assert (refused.value.status_code, refused.value.code) == wanted
    if provider != "openai":
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["provider_code"] == "content_filter"


@pytest.mark.parametrize("provider", OWN)
def test_a_limited_provider_is_told_as_such(sdk: openai.OpenAI, local: Gateway, provider: str) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        sdk.images.generate(model=MODELS[provider], prompt="a [[status=429 retry_after=3]]")
    assert isinstance(limited.value.body, dict)
    assert (limited.value.code, limited.value.body["level"]) == ("rate_limited", "provider")


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        ("status=500", 502, "provider_error"),
        ("status=401", 502, "provider_error"),
        ("garbage", 502, "provider_error"),
        ("content_type=text/html", 502, "provider_error"),
        ("cut=before_headers", 502, "provider_error"),
        ("cut=mid_event", 502, "provider_error"),
        ("first_byte_s=5", 504, "provider_timeout"),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "bedrock"])
def test_faults(sdk: openai.OpenAI, local: Gateway, provider: str, switch: str, status: int, code: str) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        sdk.images.generate(
            model=MODELS[provider], prompt=f"a [[{switch}]]", n=2, extra_body={"timeouts": {"total_ms": 1500}}
        )
    assert (failed.value.status_code, failed.value.code) == (status, code)


@pytest.mark.parametrize("provider", ["xai", "together"])
def test_what_a_provider_only_links_is_read_by_the_guarded_fetcher(
    sdk: openai.OpenAI, local: Gateway, provider: str
) -> None:
    made = sdk.images.generate(model=MODELS[provider], prompt=f"{PROMPT} [[linked]]", n=2)
    assert made.data is not None
    assert not any(local.simulators in (image.url or "") for image in made.data)
    opened = [httpx.get(image.url or "").content for image in made.data]
    assert opened == [image_of(PROMPT, at, *USUAL[provider]) for at in range(2)]


# -- in a chat ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["openai", "xai", "vertex-imagen", "bedrock", "together"])
def test_an_image_model_answers_a_chat_with_an_image(sdk: openai.OpenAI, gateway: Gateway, provider: str) -> None:
    reply = sdk.chat.completions.create(model=MODELS[provider], messages=[{"role": "user", "content": PROMPT}])
    (image,) = reply.choices[0].message.media  # type: ignore[attr-defined]  # ours
    assert {"type", "url", "file_id", "content_type", "size_bytes", "expires_at"} <= image.keys()
    opened = httpx.get(image["url"]).content
    assert (image["type"], image["size_bytes"], image["content_type"]) == ("image", len(opened), sniff(opened))
    if gateway.simulators:
        assert opened == image_of(PROMPT, 0, *USUAL[provider])
        assert reply.usage is not None
        assert nano(reply) == COSTS_NANO_USD[provider]


def test_a_chat_with_an_image_model_takes_what_an_image_can_honour(sdk: openai.OpenAI, local: Gateway) -> None:
    two = sdk.chat.completions.create(model=MODELS["openai"], messages=[{"role": "user", "content": PROMPT}], n=2)
    assert [len(choice.message.media) for choice in two.choices] == [1, 1]  # type: ignore[attr-defined]  # ours
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(
            model=MODELS["openai"], messages=[{"role": "user", "content": PROMPT}], temperature=0
        )
    assert (refused.value.code, refused.value.param) == ("capability_not_supported", "temperature")


# -- governance ---------------------------------------------------------------------------------------------------


def test_the_books_say_what_the_replies_do(local: Gateway) -> None:
    name = f"images-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name)
    key = put_key(local.aws_endpoint_url, name, "alice")
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        by_tokens = client.images.generate(model=MODELS["openai"], prompt=PROMPT, n=3, quality="low")
        by_image = client.images.generate(model=MODELS["bedrock"], prompt=PROMPT, n=3)
        with pytest.raises(openai.BadRequestError):
            client.images.generate(model=MODELS["openai"], prompt=PROMPT, size="1x1")
    assert nano(by_tokens) == 4 * 5_000 + 3 * 272 * 40_000
    assert nano(by_image) == 3 * 40_000_000
    assert by_image.usage.units == {"images": 3}  # type: ignore[union-attr]  # ours
    books = settled(local, f"T#{name}#0")
    assert number(books, "s") == number(books, "c") == nano(by_tokens) + nano(by_image)


def test_a_budget_holds_the_most_that_images_can_cost(local: Gateway) -> None:
    """Three images at 0.04 USD fit into 0.1 USD twice, and once more does not."""
    name = f"images-{uuid.uuid4().hex[:8]}"
    budget = {"window": "month", "usd": usd_text(100_000_000)}
    put_tenant(local.aws_endpoint_url, name, allowance={"budgets": [budget]})
    key = put_key(local.aws_endpoint_url, name, "alice")
    codes: list[Any] = []
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        for images in (3, 2, 1):
            try:
                codes.append(nano(client.images.generate(model=MODELS["bedrock"], prompt=PROMPT, n=images)))
            except openai.APIStatusError as refused:
                codes.append(refused.code)
    assert codes == ["budget_exceeded", 80_000_000, "budget_exceeded"]
    assert number(settled(local, f"T#{name}#0"), "s") == 80_000_000


def test_the_tenants_hooks_are_asked_about_prompts(local: Gateway) -> None:
    name = f"images-{uuid.uuid4().hex[:8]}"
    no_towers = {"kind": "deny_list", "id": "no-towers", "phrases": ["lighthouse"]}
    put_tenant(local.aws_endpoint_url, name, hooks=[no_towers])
    key = put_key(local.aws_endpoint_url, name, "alice")
    before = posted(local)
    with openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError) as blocked:
            client.images.generate(model=MODELS["openai"], prompt=PROMPT)
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model=MODELS["openai"], messages=[{"role": "user", "content": PROMPT}])
        assert posted(local) == before
        assert client.images.generate(model=MODELS["openai"], prompt="A cat").data
    assert blocked.value.code == "request_blocked"


def test_another_tenant_sees_nothing_of_it(local: Gateway, sdk: openai.OpenAI) -> None:
    name = f"images-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name)
    key = put_key(local.aws_endpoint_url, name, "alice")
    made = sdk.images.generate(model=MODELS["together"], prompt=PROMPT)
    assert made.data is not None
    with (
        openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as other,
        pytest.raises(openai.NotFoundError),
    ):
        other.files.retrieve(made.data[0].file_id)  # type: ignore[attr-defined]  # ours


def test_a_key_for_chat_alone_makes_no_images(local: Gateway) -> None:
    name = f"images-{uuid.uuid4().hex[:8]}"
    put_tenant(local.aws_endpoint_url, name)
    key = put_key(local.aws_endpoint_url, name, "alice", scopes=["chat"])
    with (
        openai.OpenAI(base_url=local.http, api_key=key, max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError) as refused,
    ):
        client.images.generate(model=MODELS["openai"], prompt=PROMPT)
    assert refused.value.code == "scope_missing"


def test_models_say_what_can_be_asked_for(sdk: openai.OpenAI) -> None:
    facts = sdk.models.retrieve(MODELS["google"]).gateway  # type: ignore[attr-defined]  # ours
    assert "image_generation" in facts["capabilities"]
    assert facts["image"]["resolutions"] == ["1K", "2K", "4K"]
    assert facts["prices_usd_per_million"]["output_image"] == 120
    assert sdk.models.retrieve("openai/gpt-4o-mini").gateway["image"] is None  # type: ignore[attr-defined]  # ours
