"""Videos whose provider does not begin, made by another one: through the deployed stack, with the official client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from gateway.model.ledger import suffix
from local.simulators import mp4
from tests.e2e.customer import Customer, eventually
from tests.e2e.tenants import put_tenant
from tests.e2e.test_fallback import armed
from tests.e2e.test_videos import _check, create, finished
from tests.e2e.test_videos import customer as customer_of_videos

customer = customer_of_videos
FIRST, SECOND, THIRD = "runway/gen4.5", "xai/grok-imagine-video", "google/veo-3.1-lite-generate-preview"
PAID = {FIRST: 240_000_000, SECOND: 140_000_000}
"""For two seconds in 720p, in nano-USD."""
WAVES: dict[str, Any] = {"model": FIRST, "prompt": "waves", "seconds": "2", "size": "720x1280"}
pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]


@pytest.fixture
def sdk(customer: Customer) -> Iterator[openai.OpenAI]:
    with (
        httpx2.Client(timeout=90, event_hooks={"response": [_check]}, follow_redirects=True) as transport,
        openai.OpenAI(
            base_url=customer.local.http, api_key=customer.key, max_retries=0, http_client=transport
        ) as client,
    ):
        yield client


def asked(attempts: Any) -> list[tuple[str, str | None]]:
    return [(one["model"], one["code"]) for one in attempts]


def test_the_sdk_gets_its_video_from_another_provider(sdk: openai.OpenAI, customer: Customer) -> None:
    with armed(customer.local, FIRST, "status=500"):
        video = sdk.videos.create_and_poll(**WAVES, extra_body={"fallback": {"models": [THIRD, SECOND]}})
    assert (video.status, video.model) == ("completed", SECOND)
    report: dict[str, Any] = video.gateway  # type: ignore[attr-defined]  # a member of this gateway
    assert (report["model_requested"], report["fallback_used"]) == (FIRST, True)
    assert asked(report["attempts"]) == [(FIRST, "provider_error"), (SECOND, None)]
    assert [(one["model"], one["code"]) for one in report["left_out"]] == [(THIRD, "validation_error")]
    assert video.usage["cost_estimate"] == 0.14  # type: ignore[attr-defined]
    assert sdk.videos.download_content(video.id).read() == mp4.video(720, 1280, 2)
    assert customer.used(1)["cost_nano_usd"] == PAID[SECOND]
    request = customer.http.get(f"/usage/requests/{report['request_id']}").raise_for_status().json()
    assert asked(request["attempts"]) == [(FIRST, "provider_error"), (SECOND, None)]
    audit = eventually(lambda: found if len(found := customer.audit()) >= 3 else None)
    switches = [line["facts"] for line in audit if line["event"] == "fallback.triggered"]
    assert switches == [{"from": FIRST, "to": SECOND, "code": "provider_error"}]


def test_when_both_fail_nothing_is_paid(sdk: openai.OpenAI, customer: Customer) -> None:
    with (
        armed(customer.local, FIRST, "status=503"),
        armed(customer.local, SECOND, "status=429"),
        pytest.raises(openai.RateLimitError) as caught,
    ):
        sdk.videos.create(**WAVES, extra_body={"fallbacks": [SECOND]})
    error: Any = caught.value.body
    assert asked(error["attempts"]) == [(FIRST, "provider_error"), (SECOND, "rate_limited")]
    assert customer.used(1)["cost_nano_usd"] == 0
    assert customer.settled_nano_usd() in ({}, {"T": 0, "U": 0})


def test_a_tenants_rule_holds_for_jobs_too_and_budgets_have_their_own(customer: Customer) -> None:
    """The first one does not answer in time: it may have begun, and is paid."""
    rule = {"models": "runway/*", "fallback": [SECOND], "strategy": "parallel"}
    budgets = [{"models": models, "window": "month", "usd": "5"} for models in ("*", "runway/*", "xai/*")]
    allowance = {"budgets": budgets}
    put_tenant(customer.local.aws_endpoint_url, customer.tenant_id, fallbacks=[rule], allowance=allowance)
    with armed(customer.local, FIRST, "first_byte_s=20"):
        body = {**WAVES, "timeouts": {"total_ms": 3_000}, "async": True}
        answer = customer.http.post("/videos", json=body)
        assert answer.status_code == 202, answer.text
        video = finished(customer.http, answer.json()["id"])
    assert (video["status"], video["model"], video["usage"]["cost_estimate"]) == ("completed", SECOND, 0.38)
    assert [one["cost_estimate"] for one in video["gateway"]["attempts"]] == [0.24, 0.14]
    assert customer.used(1)["cost_nano_usd"] == sum(PAID.values())
    assert customer.settled_nano_usd() == {"T": sum(PAID.values()), "U": sum(PAID.values())}
    for models, paid in (("runway/*", PAID[FIRST]), ("xai/*", PAID[SECOND])):
        assert spent(customer, models) == paid


def spent(customer: Customer, models: str) -> int:
    rule = suffix(models)
    (tenant,) = [item for name, item in customer.accounts().items() if name.startswith("T#")]
    months = {name: value for name, value in tenant.items() if name.startswith("s") and name.endswith(rule)}
    return next(int(value) for name, value in months.items() if len(name) == len("s2026-11") + len(rule))


def test_one_that_is_waited_for(customer: Customer) -> None:
    with armed(customer.local, FIRST, "cut=before_headers", count=2):
        body: dict[str, Any] = {**WAVES, "fallbacks": [SECOND], "async": False}
        video = create(customer.http, **body)
    assert (video["status"], video["model"]) == ("completed", SECOND)


def test_a_race_is_refused(customer: Customer) -> None:
    body = {**WAVES, "fallback": {"models": [SECOND], "strategy": "parallel"}}
    error = customer.http.post("/videos", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("capability_not_supported", "fallback.strategy")
