"""Workers of a native group die at any moment: no provider has an item twice, and each line ends and is paid once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.model.errors import AdmissionUnavailable, StorageUnavailable
from gateway.model.provider_errors import ProviderError
from tests.batch_stage import chat
from tests.dying import Fate, Meets, Moment
from tests.shipping_stage import NativeStage

PACK, MAKE_UP, GIVE, WAIT, COLLECT, MERGE = (
    "Pack the part",
    "Make up shipments",
    "Give it to the provider",
    "Wait for the provider",
    "Collect the results",
    "Merge the results",
)


def requests(provider: str) -> list[dict[str, Any]]:
    model = f"{provider}/gpt"
    lines = [chat(f"c-{number}", model, f"text {number}") for number in range(3)]
    return [*lines, chat("refused", model, "[[status=400]] no")]


async def check_ended(stage: NativeStage, batch_id: str) -> dict[str, Any]:
    """With every line once, given to a provider once at most, paid as the records say."""
    shown = await stage.shown(batch_id)
    assert shown["status"] in ("completed", "cancelled", "failed"), shown
    assert max(stage.providers.given().values(), default=0) <= 1, stage.providers.given()
    cost = await stage.check_books()
    job = await stage.job(batch_id)
    assert (job.held, job.owed, job.cost_nano_usd) == (None, None, cost)
    output = await stage.lines_of(shown["output_file_id"])
    errors = await stage.lines_of(shown["error_file_id"])
    ids = [line["custom_id"] for line in (*output, *errors)]
    if shown["in_progress_at"] is not None:
        assert sorted(ids) == ["c-0", "c-1", "c-2", "refused"], ids
    page = await stage.send("GET", f"/v1/batches/{batch_id}/results")
    assert sorted(json.loads(line)["custom_id"] for line in page.body.splitlines()) == sorted(ids)
    assert all(one.is_collected for one in await stage.world.shipments.all("acme", batch_id))
    return shown


async def check_every_moment(
    state: str, provider: str, meets: Meets = None, *, dies_whole: bool = False
) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for at in range(2_000):
        fate, stage = Fate(at, meets), NativeStage.native()
        stage.fates[state], stage.dies_whole = fate, dies_whole
        batch_id = await stage.ordered(requests(provider))
        await stage.carried_on(batch_id)
        if fate.struck is None:
            break
        await stage.swept_to_the_end()
        try:
            shown.append(await check_ended(stage, batch_id))
        except AssertionError as error:
            raise AssertionError(f"{fate.struck}, {at}: {error}") from error
    assert at >= 2, fate.passed
    return shown


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("dies_whole", [False, True], ids=["worker", "execution"])
@pytest.mark.parametrize("state", [PACK, MAKE_UP, GIVE, WAIT, COLLECT, MERGE])
async def test_wherever_a_worker_is_killed_each_line_is_given_and_paid_once(
    state: str, dies_whole: bool, provider: str
) -> None:
    shown = await check_every_moment(state, provider, dies_whole=dies_whole)
    if not dies_whole:
        answered = {one["counts"]["completed"] for one in shown}
        assert answered == ({0, 3} if state == GIVE else {3})  # what may have been asked for, and is not there, is lost


async def _fails(moment: Moment) -> None:
    """The call is not answered, whether it had its effect or not."""
    port = moment.call.partition(".")[0]
    if port in ("access", "ledger"):
        raise AdmissionUnavailable("not now")
    if port in ("outbound", "carriers", "credentials"):
        raise ProviderError("not now")
    if port != "events":  # never raises
        raise StorageUnavailable("not now")


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("state", [PACK, MAKE_UP, GIVE, WAIT, COLLECT, MERGE])
async def test_whichever_call_is_not_answered_each_line_ends_once(state: str, provider: str) -> None:
    for one in await check_every_moment(state, provider, _fails):
        assert one["status"] == "completed"
