"""A failure that a client sees is in the log, also where the job goes on that its request was."""

from __future__ import annotations

import pytest

from gateway.model.telemetry import RequestLine
from tests.fakes import ListRecords
from tests.unit.test_background import COST, DONE, WORKING, Gateway
from tests.unit.test_background_left import SHORT, _failing, _not_handed_over, gateway

__all__ = ["gateway"]


def lines(gateway: Gateway) -> list[RequestLine]:
    assert isinstance(gateway.world.records, ListRecords)
    return gateway.world.records.written


@pytest.mark.parametrize(("answering", "status"), [(_not_handed_over, 503), (_failing, 500)])
async def test_what_was_answered_has_a_line_and_what_it_cost_is_in_the_job_s(
    gateway: Gateway, answering: object, status: int
) -> None:
    assert callable(answering)
    assert (await answering(gateway)).status == status
    (line,) = lines(gateway)
    assert (line.event, line.status, line.outcome, line.cost_nano_usd) == (
        "request.failed",
        status,
        "gateway_error",
        None,
    )
    assert (line.input_tokens, line.output_tokens, line.units) == (None, None, {})


async def test_who_is_handed_over_has_one_line_when_the_job_has_ended(gateway: Gateway) -> None:
    gateway.remote.looks = [WORKING]
    job_id = (await gateway.post(**SHORT)).json["id"]
    assert lines(gateway) == []
    gateway.remote.looks = [DONE]
    await gateway.finished(job_id)
    assert [(line.event, line.cost_nano_usd) for line in lines(gateway)] == [("request.completed", COST)]
