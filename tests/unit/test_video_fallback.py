"""Videos fall back: while one is being begun the next model is asked, and what each has cost is told and settled."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.health_ports import AllHealthy
from gateway.model.errors import StorageUnavailable
from gateway.model.group import ModelGroup
from gateway.model.job import Job
from gateway.model.ledger import suffix
from gateway.model.limits import Allowance, Budget
from gateway.model.reliability import FallbackRule, Health
from tests.unit.several_videos import BEGUN, BOTH, COST, DOWN, SILENT, Several, several
from tests.unit.videos_gateway import PNG, UNREACHED, Whole, form, said


@pytest.fixture
def gateway() -> Several:
    made = several()
    made.begins(xai=DOWN)
    return made


def shown(attempts: Any) -> list[tuple[str, str, Any]]:
    return [(one["model"], one["status"], one["cost_estimate"]) for one in attempts]


async def test_another_model_makes_it(gateway: Several) -> None:
    video = (await gateway.create(**BOTH)).json
    report = video["gateway"]
    assert (video["status"], video["model"], report["provider"]) == ("queued", "runway/clip", "runway")
    assert (report["model_requested"], report["model_used"]) == ("xai/film", "runway/clip")
    assert report["fallback_used"] is True and "left_out" not in report
    assert shown(report["attempts"]) == [("xai/film", "error", 0), ("runway/clip", "ok", None)]

    done = await gateway.finished(video["id"])
    assert shown(done["gateway"]["attempts"]) == [("xai/film", "error", 0), ("runway/clip", "ok", 0.56)]
    assert done["usage"] == {"units": {"video_ms:720p": 4000}, "cost_estimate": 0.56}
    assert gateway.providers.paths == [("xai", "POST"), ("runway", "POST"), ("runway", "GET")]
    assert (await gateway.get(f"/{video['id']}/content")).status == 302


async def test_the_next_member_of_a_group_makes_it(gateway: Several) -> None:
    gateway.allow(aliases={"film": ModelGroup(models=("xai/film", "runway/clip"))})
    video_id = await gateway.begun(model="film")
    report = (await gateway.finished(video_id))["gateway"]
    assert (report["model_requested"], report["model_used"], report["fallback_used"]) == ("film", "runway/clip", True)
    assert gateway.costs == [("xai/film", "provider_error", 0), ("runway/clip", None, COST["runway/clip"])]


async def test_what_happened_is_told_and_settled_once(gateway: Several) -> None:
    video_id = await gateway.begun(**BOTH)
    assert await gateway.held() == (1, COST["runway/clip"], 0)
    await gateway.finished(video_id)
    assert gateway.costs == [("xai/film", "provider_error", 0), ("runway/clip", None, COST["runway/clip"])]
    assert gateway.switches == [{"from": "xai/film", "to": "runway/clip", "code": "provider_error"}]
    assert gateway.audit == ["request.started", "fallback.triggered", "request.completed"]
    assert await gateway.held() == (0, COST["runway/clip"], COST["runway/clip"])
    lines = gateway.world.records.written  # type: ignore[attr-defined]
    ends = [(line.request_model, line.attempts, line.cost_nano_usd) for line in lines if line.attempts]
    assert ends == [("clip", 2, COST["runway/clip"])]


@pytest.mark.parametrize("failure", [*(said(status) for status in (401, 403, 404, 408, 429, 503)), UNREACHED])
async def test_what_makes_it_anothers_turn(gateway: Several, failure: Any) -> None:
    gateway.begins(xai=failure)
    assert (await gateway.create(**BOTH)).json["model"] == "runway/clip"
    assert gateway.providers.asked == ["xai", "runway"]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_wrong_is_nobody_elses(gateway: Several, status: int) -> None:
    gateway.begins(xai=said(status))
    assert (await gateway.create(**BOTH)).status >= 400
    assert gateway.providers.asked == ["xai"]
    assert await gateway.held() == (0, 0, 0)


@pytest.mark.parametrize("failure", [SILENT, Whole(200, b"{")])
async def test_one_that_may_have_been_begun_is_paid_beside_the_other(gateway: Several, failure: Any) -> None:
    gateway.begins(xai=failure)
    video_id = await gateway.begun(**BOTH)
    whole = COST["xai/film"] + COST["runway/clip"]
    assert await gateway.held() == (1, whole, 0)
    done = await gateway.finished(video_id)
    assert [cost for _, _, cost in gateway.costs] == [COST["xai/film"], COST["runway/clip"]]
    assert done["usage"]["cost_estimate"] == 0.84
    assert shown(done["gateway"]["attempts"]) == [("xai/film", "error", 0.28), ("runway/clip", "ok", 0.56)]
    assert await gateway.held() == (0, whole, whole)


async def test_when_all_fail_the_error_is_the_last_ones(gateway: Several) -> None:
    gateway.begins(runway=said(429))
    answer = await gateway.create(**BOTH)
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (429, "rate_limited")
    assert shown(error["attempts"]) == [("xai/film", "error", 0), ("runway/clip", "error", 0)]
    assert await gateway.held() == (0, 0, 0)
    assert gateway.costs == [("xai/film", "provider_error", 0), ("runway/clip", "rate_limited", 0)]
    (video,) = (await gateway.get()).json["data"]
    assert (video["status"], video["error"]["code"], video["usage"]["cost_estimate"]) == ("failed", "rate_limited", 0)
    assert shown(video["gateway"]["attempts"]) == shown(error["attempts"])


async def test_who_cannot_make_it_is_left_out_and_why(gateway: Several) -> None:
    gateway.allow(approvals=("xai/*", "runway/*"))
    others = ["runway/needy", "google/veo", "runway/clip"]
    video = (await gateway.create(fallback={"models": others})).json
    left_out = [(one["model"], one["code"]) for one in video["gateway"]["left_out"]]
    assert left_out == [("runway/needy", "validation_error"), ("google/veo", "model_not_approved")]
    done = await gateway.finished(video["id"])
    assert [(one["model"], one["code"]) for one in done["gateway"]["left_out"]] == left_out
    assert done["model"] == "runway/clip"


async def test_a_picture_goes_to_whoever_is_asked(gateway: Several) -> None:
    fields = {"model": "xai/film", "prompt": "waves", "fallbacks[]": "xai/mute"}
    body = form(fields, input_reference=PNG).replace(b"--b--", b"")
    body += b'--b\r\ncontent-disposition: form-data; name="fallbacks[]"\r\n\r\nrunway/clip\r\n--b--\r\n'
    video = (await gateway.post(body, "multipart/form-data; boundary=b")).json
    assert [(one["model"], one["code"]) for one in video["gateway"]["left_out"]] == [
        ("xai/mute", "capability_not_supported")
    ]
    assert json.loads(gateway.provider.sent[-1].body)["promptImage"].startswith("data:image/png;base64,iVBOR")


async def test_a_name_that_is_none_is_named(gateway: Several) -> None:
    answer = await gateway.create(fallback={"models": ["runway/clip", "nobody"]})
    assert (answer.status, answer.json["error"]["param"]) == (404, "fallback.models[1]")
    assert gateway.providers.asked == []


async def test_a_race_is_refused(gateway: Several) -> None:
    answer = await gateway.create(fallback={"models": ["runway/clip"], "strategy": "parallel"})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "capability_not_supported", "fallback.strategy")


@pytest.mark.parametrize("strategy", ["sequential", "parallel"])
async def test_a_tenants_rule_holds_one_after_the_other(gateway: Several, strategy: Any) -> None:
    rule = FallbackRule(models="xai/*", fallback=("runway/clip", "google/veo"), strategy=strategy)
    gateway.allow(fallbacks=(rule,))
    assert (await gateway.create()).json["model"] == "runway/clip"
    assert await gateway.held() == (1, COST["runway/clip"], 0)
    assert gateway.providers.asked == ["xai", "runway"]
    assert (await gateway.create(fallbacks=[])).status == 502


async def test_models_that_are_not_well_are_asked_last(gateway: Several) -> None:
    class Reading(AllHealthy):
        def of(self, provider: str, _model: str) -> Health:
            return "unhealthy" if provider == "xai" else "healthy"

    gateway.world = replace(gateway.world, health=Reading())
    video = (await gateway.create(**BOTH)).json
    assert (gateway.providers.asked, video["gateway"]["fallback_used"]) == (["runway"], True)
    await gateway.finished(video["id"])
    assert gateway.switches == [{"from": "xai/film", "to": "runway/clip", "code": "unhealthy"}]


async def test_budgets_of_some_models_have_what_those_cost(gateway: Several) -> None:
    rules = [Budget(models=models, window="month", usd=Decimal(2)) for models in ("*", "xai/*", "runway/*")]
    gateway.allow(allowance=Allowance(budgets=tuple(rules)))
    gateway.begins(xai=SILENT)
    await gateway.finished(await gateway.begun(**BOTH))
    for models, cost in (("xai/*", COST["xai/film"]), ("runway/*", COST["runway/clip"])):
        for kind in "cs":
            assert await gateway.number(f"{kind}2026-09{suffix(models)}") == cost
    assert await gateway.number("s2026-09") == COST["xai/film"] + COST["runway/clip"]
    assert await gateway.number(f"j{suffix('runway/*')}") == 0


async def test_one_for_which_nothing_is_left_is_left_out(gateway: Several) -> None:
    """After the first one was paid."""
    gateway.allow(allowance=Allowance(budgets=(Budget(models="*", window="month", usd=Decimal("0.6")),)))
    gateway.begins(xai=SILENT)
    answer = await gateway.create(**BOTH)
    assert (answer.status, answer.json["error"]["code"]) == (504, "provider_timeout")
    assert gateway.providers.asked == ["xai"]
    assert await gateway.held() == (0, COST["xai/film"], COST["xai/film"])


async def test_a_video_that_fails_once_it_was_begun_is_nobody_elses(gateway: Several) -> None:
    gateway.begins(xai=BEGUN["xai"])
    gateway.provider.looks = [said(200, status="failed", error="overloaded")]
    failed = await gateway.finished(await gateway.begun(**BOTH))
    assert (failed["status"], failed["error"]["code"]) == ("failed", "provider_error")
    assert shown(failed["gateway"]["attempts"]) == [("xai/film", "error", 0)]
    assert gateway.providers.asked == ["xai"]


async def test_one_that_is_waited_for_is_made_by_another_too(gateway: Several) -> None:
    video = (await gateway.create(**BOTH, **{"async": False})).json
    assert (video["status"], video["model"]) == ("completed", "runway/clip")
    assert await gateway.held() == (0, COST["runway/clip"], COST["runway/clip"])


async def test_one_that_does_not_begin_in_time_is_left_for_the_next(gateway: Several) -> None:
    gateway.begins(xai=asyncio.Event().wait)
    report = (await gateway.create(**BOTH, timeouts={"total_ms": 20})).json["gateway"]
    assert [one["code"] for one in report["attempts"]] == ["provider_timeout", None]


@pytest.mark.parametrize("spent_s", [284, 286])
async def test_nobody_is_asked_when_the_time_for_an_answer_is_over(gateway: Several, spent_s: int) -> None:
    async def late() -> Any:
        await gateway.clock.sleep(spent_s)
        return DOWN

    gateway.begins(xai=late)
    await gateway.create(**BOTH, timeouts={"total_ms": 285_000})
    assert gateway.providers.asked == (["xai", "runway"] if spent_s < 285 else ["xai"])


@pytest.mark.parametrize("how", ["deleted", "unwritable"])
async def test_nobody_is_asked_of_whom_the_record_does_not_say_it(gateway: Several, how: str) -> None:
    change = gateway.jobs.change

    async def fails(job: Job, due_at_s: int | None = None) -> bool:
        raise StorageUnavailable("not now")

    async def meanwhile() -> Any:
        (video,) = (await gateway.get()).json["data"]
        if how == "deleted":
            assert (await gateway.get(f"/{video['id']}", method="DELETE")).status == 200
        else:
            gateway.jobs.change = fails  # type: ignore[method-assign]
        return DOWN

    gateway.begins(xai=meanwhile)
    answer = await gateway.create(**BOTH)
    gateway.jobs.change = change  # type: ignore[method-assign]
    expected = {"deleted": (409, "job_cancelled"), "unwritable": (503, "storage_unavailable")}
    assert (answer.status, answer.json["error"]["code"]) == expected[how]
    assert gateway.providers.asked == ["xai"]
    assert await gateway.held() == (0, 0, 0)


async def test_one_that_is_deleted_is_stopped_where_it_is_made_and_all_is_paid(gateway: Several) -> None:
    gateway.begins(xai=SILENT)
    video_id = await gateway.begun(**BOTH)
    assert (await gateway.get(f"/{video_id}", method="DELETE")).status == 200
    assert gateway.providers.paths[-1] == ("runway", "DELETE")
    whole = COST["xai/film"] + COST["runway/clip"]
    assert gateway.costs == [
        ("xai/film", "provider_timeout", COST["xai/film"]),
        ("runway/clip", "job_cancelled", COST["runway/clip"]),
    ]
    assert await gateway.held() == (0, whole, whole)
