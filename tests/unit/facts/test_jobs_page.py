"""The page of jobs against the state machine that it describes."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from gateway.model.errors import AdmissionUnavailable, StorageUnavailable
from gateway.model.job import LONGEST_S
from gateway.model.provider_errors import ProviderBusy
from gateway.pipeline.job_record import WORK_S, JobBusy
from gateway.pipeline.job_tell import ToDo
from gateway.pipeline.job_work import JobPending
from scripts.draw_machine import MACHINE, PAGE, page

STEPS = {"ask", "wait", "look", "settle", "tell", "give_up"}
MOMENTARY = {
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    StorageUnavailable.__name__,
    AdmissionUnavailable.__name__,
}
MAX_EVENTS, EVENTS_A_TRY = 25_000, 4
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""


def test_the_picture_is_of_the_machine() -> None:
    """`python scripts/draw_machine.py` draws it."""
    text = PAGE.read_text()
    assert page(text, json.loads(MACHINE.read_text())) == text


def test_the_machine_asks_for_steps_that_there_are_and_knows_the_errors_by_name() -> None:
    states = json.loads(MACHINE.read_text())["States"]
    tasks = {name: state for name, state in states.items() if state["Type"] == "Task"}
    assert {task["Parameters"]["Payload"]["step"] for task in tasks.values()} == STEPS
    named = {error for task in tasks.values() for retry in task["Retry"] for error in retry["ErrorEquals"]}
    assert named == {"States.ALL", JobBusy.__name__, JobPending.__name__, ProviderBusy.__name__, *MOMENTARY}
    assert all(f"| {name} |" in PAGE.read_text() for name in tasks)


@pytest.mark.parametrize(
    "state", ["Ask the provider", "Wait for the provider", "Settle the bill", "Give up", "Tell the caller"]
)
def test_a_step_outlasts_what_passes_and_its_history_has_room_for_it(state: str) -> None:
    """A function that is throttled for as long as a job may take fails none before its time."""
    retries = json.loads(MACHINE.read_text())["States"][state]["Retry"]
    assert all(retry["JitterStrategy"] == "FULL" for retry in retries)
    [passing] = [retry for retry in retries if set(retry["ErrorEquals"]) == MOMENTARY]
    assert passing["MaxAttempts"] * passing["MaxDelaySeconds"] / 2 > 1.5 * LONGEST_S
    assert retries.index(passing) < len(retries) - 1
    assert sum(retry["MaxAttempts"] for retry in retries) * EVENTS_A_TRY < MAX_EVENTS


def test_asking_takes_no_place_from_what_ends_a_job() -> None:
    """As many are asked at once as the operator allows; what has been asked is settled however many wait."""
    states = json.loads(MACHINE.read_text())["States"]
    tasks = {name: state["Parameters"]["FunctionName"] for name, state in states.items() if state["Type"] == "Task"}
    assert {name for name, function in tasks.items() if function == "${JobAskFunction}"} == {"Ask the provider"}
    assert set(tasks.values()) == {"${JobAskFunction}", "${JobTaskFunction}"}


def test_what_waiting_costs_is_what_the_page_says() -> None:
    """A try that is throttled is a transition: https://aws.amazon.com/step-functions/pricing/"""
    [passing] = [
        retry
        for retry in json.loads(MACHINE.read_text())["States"]["Ask the provider"]["Retry"]
        if set(retry["ErrorEquals"]) == MOMENTARY
    ]
    tries_an_hour = 3_600 / (passing["MaxDelaySeconds"] / 2)
    assert f"{tries_an_hour:.0f} tries an hour, {tries_an_hour * 25e-6:.4f} USD" in PAGE.read_text()


def test_nobody_gives_up_on_a_worker_before_it_must_have_ended() -> None:
    states = json.loads(MACHINE.read_text())["States"]
    for state in ("Ask the provider", "Give up"):
        [busy] = [retry for retry in states[state]["Retry"] if retry["ErrorEquals"] == [JobBusy.__name__]]
        assert busy["MaxAttempts"] * busy["IntervalSeconds"] / 2 > 2 * WORK_S


def test_nothing_but_names_goes_through_the_machine() -> None:
    for state in json.loads(MACHINE.read_text())["States"].values():
        assert set(state.get("Parameters", {}).get("Payload", {})) - {"task_token.$"} <= {
            "step",
            "tenant_id.$",
            "job_id.$",
        }
        assert set(state.get("ResultSelector", {})) <= {"status.$", "waiting.$", "callback_s.$", "to_do.$", "wait_s.$"}


def test_whoever_is_not_called_back_asks() -> None:
    states = json.loads(MACHINE.read_text())["States"]
    waiting = states["Wait to be called back"]
    [caught] = waiting["Catch"]
    assert (caught["ErrorEquals"], caught["Next"], waiting["Next"]) == (["States.ALL"], *["Wait for the provider"] * 2)
    [retry] = waiting["Retry"]
    assert set(retry["ErrorEquals"]) == MOMENTARY  # a time-out is none of them, and is waited for once
    assert waiting["TimeoutSecondsPath"] == states["Has it ended?"]["Choices"][0]["Variable"] == "$.job.callback_s"
    with_tokens = [name for name, state in states.items() if "$$.Task.Token" in json.dumps(state)]
    assert with_tokens == ["Wait to be called back"]


def test_whoever_cannot_be_told_keeps_no_job_from_its_end() -> None:
    """What is to be told is told after the bill, and what fails there leads to no other state than the end."""
    states = json.loads(MACHINE.read_text())["States"]
    assert states["Settle the bill"]["Next"] == states["Give up"]["Next"] == "How did it end?"
    told = {choice["StringEquals"] for choice in states["How did it end?"]["Choices"]}
    assert set(get_args(ToDo)) - {"nothing"} == told & set(get_args(ToDo))
    [caught] = states["Tell the caller"]["Catch"]
    left = states[caught["Next"]]
    assert (caught["ErrorEquals"], left["Result"], left["ResultPath"]) == (["States.ALL"], "nothing", "$.job.to_do")
    assert left["Next"] == states["Tell the caller"]["Next"] == "How did it end?"
