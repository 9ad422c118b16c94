"""The simulated batches, driven by the unmodified official SDKs: items are answered, fail, expire and are cancelled."""

from __future__ import annotations

import io
import json
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types.messages.batch_create_params import Request
from google import genai
from google.genai import errors, types

from tests.simulators.process import Simulator

Members = dict[str, Any]
PATIENCE = 10
"""Looks, of which none of these batches takes so many."""


@pytest.fixture
def gate(simulator: Simulator) -> str:
    """A gate that is closed."""
    simulator.control("DELETE", "gates/batch")
    return "batch"


# -- OpenAI ---------------------------------------------------------------------------------------------------------


def openai_lines(*texts: str, url: str = "/v1/chat/completions", model: str = "gpt-4o-mini") -> list[Members]:
    return [
        {
            "custom_id": f"item-{place}",
            "method": "POST",
            "url": url,
            "body": {"model": model, "messages": [{"role": "user", "content": text}]},
        }
        for place, text in enumerate(texts)
    ]


def begin(client: openai.OpenAI, lines: list[Members], endpoint: Any = "/v1/chat/completions") -> openai.types.Batch:
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    file = client.files.create(
        file=("in.jsonl", data), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert (file.bytes, file.purpose, file.status) == (len(data), "batch", "processed")
    return client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata={"label": "a"}
    )


def ended(client: openai.OpenAI, batch: openai.types.Batch) -> openai.types.Batch:
    for _ in range(PATIENCE):
        batch = client.batches.retrieve(batch.id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
    raise AssertionError(batch.status)


def read(client: openai.OpenAI, file_id: str | None) -> dict[str, Members]:
    if file_id is None:
        return {}
    lines = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    return {line["custom_id"]: line for line in lines}


def test_openais_sdk_makes_a_batch_of_a_file_and_reads_both_files(openai_client: openai.OpenAI) -> None:
    begun = begin(openai_client, openai_lines("Hello [[looks=2]]", "No [[status=429]]", "Bye"))
    assert (begun.status, begun.metadata, begun.output_file_id) == ("validating", {"label": "a"}, None)
    looks = [openai_client.batches.retrieve(begun.id) for _ in range(3)]
    assert [look.status for look in looks] == ["in_progress", "in_progress", "completed"]
    counts = [look.request_counts for look in looks if look.request_counts]
    assert [(count.completed, count.failed, count.total) for count in counts] == [(1, 0, 3), (1, 1, 3), (2, 1, 3)]
    good, bad = read(openai_client, looks[2].output_file_id), read(openai_client, looks[2].error_file_id)
    assert list(good) == ["item-2", "item-0"]
    said = good["item-0"]["response"]
    assert (said["status_code"], said["body"]["choices"][0]["message"]["content"]) == (200, "You said: Hello")
    assert bad["item-1"]["response"]["status_code"] == 429
    assert "error" in bad["item-1"]["response"]["body"]
    assert openai_client.batches.list(limit=1).data[0].id == begun.id
    assert openai_client.files.delete(begun.input_file_id).deleted
    with pytest.raises(openai.NotFoundError):
        openai_client.files.content(begun.input_file_id)


def test_openais_batch_is_cancelled_in_the_middle(openai_client: openai.OpenAI, gate: str) -> None:
    begun = begin(openai_client, openai_lines("Hello", f"Wait [[gate={gate} looks=0]]"))
    running = openai_client.batches.retrieve(begun.id)
    assert (running.status, running.request_counts and running.request_counts.completed) == ("in_progress", 1)
    assert openai_client.batches.cancel(begun.id).status == "cancelling"
    over = ended(openai_client, begun)
    assert over.status == "cancelled"
    assert list(read(openai_client, over.output_file_id)) == ["item-0"]
    assert read(openai_client, over.error_file_id)["item-1"]["error"]["code"] == "batch_cancelled"
    assert openai_client.batches.cancel(begun.id).status == "cancelled"


def test_a_gate_holds_a_batch_until_it_opens(openai_client: openai.OpenAI, simulator: Simulator, gate: str) -> None:
    begun = begin(openai_client, openai_lines("Hello", f"Wait [[gate={gate} looks=0]]"))
    assert {openai_client.batches.retrieve(begun.id).status for _ in range(4)} == {"in_progress"}
    simulator.control("POST", f"gates/{gate}")
    over = openai_client.batches.retrieve(begun.id)
    assert (over.status, over.error_file_id) == ("completed", None)


def test_openais_batch_expires_with_what_was_done(openai_client: openai.OpenAI) -> None:
    over = ended(openai_client, begin(openai_client, openai_lines("a", "b [[batch=expired looks=1]]")))
    assert over.status == "expired"
    assert list(read(openai_client, over.output_file_id)) == ["item-1"]
    assert read(openai_client, over.error_file_id)["item-0"]["error"]["code"] == "batch_expired"


@pytest.mark.parametrize(
    ("lines", "code", "line"),
    [
        ([*openai_lines("a"), *openai_lines("b")], "duplicate_custom_id", 2),
        (openai_lines("a", url="/v1/embeddings"), "mismatched_endpoint", 1),
        ([{"custom_id": "x"}], "missing_required_parameter", 1),
        ([*openai_lines("a"), {**openai_lines("a", model="gpt-5")[0], "custom_id": "y"}], "mismatched_model", None),
        ([], "invalid_request_count", None),
    ],
)
def test_openai_refuses_an_input_as_a_whole(
    openai_client: openai.OpenAI, lines: list[Members], code: str, line: int | None
) -> None:
    over = ended(openai_client, begin(openai_client, lines))
    assert over.status == "failed"
    assert over.errors
    assert over.errors.data
    assert (over.errors.data[0].code, over.errors.data[0].line) == (code, line)
    assert over.output_file_id is None


def test_openais_other_endpoints(openai_client: openai.OpenAI) -> None:
    vectors: Members = {
        "model": "text-embedding-3-small",
        "input": ["one", "two"],
        "dimensions": 4,
        "encoding_format": "float",
    }
    line = {"custom_id": "v", "method": "POST", "url": "/v1/embeddings", "body": vectors}
    over = ended(openai_client, begin(openai_client, [line], "/v1/embeddings"))
    body = read(openai_client, over.output_file_id)["v"]["response"]["body"]
    alone = openai_client.embeddings.create(**vectors)
    assert [one["embedding"] for one in body["data"]] == [one.embedding for one in alone.data]
    line = {"custom_id": "r", "method": "POST", "url": "/v1/responses", "body": {"model": "o3-pro", "input": "Hi"}}
    over = ended(openai_client, begin(openai_client, [line], "/v1/responses"))
    assert read(openai_client, over.output_file_id)["r"]["response"]["body"]["status"] == "completed"


def test_an_armed_fault_takes_hold_of_a_batch(openai_client: openai.OpenAI, simulator: Simulator) -> None:
    begun = begin(openai_client, openai_lines("Hello"))
    simulator.control("POST", "faults", json={"provider": "openai", "model": "files", "fault": "status=503"})
    with pytest.raises(openai.InternalServerError):
        openai_client.batches.retrieve(begun.id)
    assert ended(openai_client, begun).status == "completed"


# -- Anthropic ------------------------------------------------------------------------------------------------------


def messages(*texts: str) -> list[Request]:
    return [
        {
            "custom_id": f"item-{place}",
            "params": {
                "model": "claude-haiku-4-5",
                "max_tokens": 50,
                "messages": [{"role": "user", "content": text}],
            },
        }
        for place, text in enumerate(texts)
    ]


def outcomes(client: anthropic.Anthropic, batch_id: str) -> dict[str, str]:
    return {one.custom_id: one.result.type for one in client.messages.batches.results(batch_id)}


def test_anthropics_sdk_makes_a_batch_and_reads_its_results(anthropic_client: anthropic.Anthropic) -> None:
    batches = anthropic_client.messages.batches
    begun = batches.create(requests=messages("Hello", "No [[status=529]]"))
    assert (begun.processing_status, begun.request_counts.processing, begun.results_url) == ("in_progress", 2, None)
    with pytest.raises(anthropic.AnthropicError):
        batches.results(begun.id)  # the SDK looks first, which is the look that finds it unfinished
    over = batches.retrieve(begun.id)
    assert (over.processing_status, over.request_counts.succeeded, over.request_counts.errored) == ("ended", 1, 1)
    found = {one.custom_id: one.result for one in batches.results(begun.id)}
    good, bad = found["item-0"], found["item-1"]
    assert good.type == "succeeded"
    block = good.message.content[0]
    assert block.type == "text"
    assert (block.text, good.message.usage.service_tier) == ("You said: Hello", "batch")
    assert bad.type == "errored"
    assert bad.error.error.type == "overloaded_error"
    assert batches.list(limit=5).data[0].id == begun.id
    assert batches.delete(begun.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(begun.id)


def test_anthropics_batch_is_cancelled_in_the_middle(anthropic_client: anthropic.Anthropic, gate: str) -> None:
    batches = anthropic_client.messages.batches
    begun = batches.create(requests=messages("Hello", f"Wait [[gate={gate} looks=0]]"))
    assert batches.retrieve(begun.id).processing_status == "in_progress"
    cancelled = batches.cancel(begun.id)
    assert cancelled.processing_status == "canceling"
    assert cancelled.cancel_initiated_at
    with pytest.raises(anthropic.BadRequestError):
        batches.delete(begun.id)
    over = batches.retrieve(begun.id)
    assert (over.request_counts.succeeded, over.request_counts.canceled) == (1, 1)
    assert outcomes(anthropic_client, begun.id) == {"item-0": "succeeded", "item-1": "canceled"}


def test_anthropics_batch_expires_and_may_be_refused(anthropic_client: anthropic.Anthropic) -> None:
    batches = anthropic_client.messages.batches
    begun = batches.create(requests=messages("a", "b [[batch=expired looks=1]]"))
    for _ in range(2):
        batches.retrieve(begun.id)
    assert outcomes(anthropic_client, begun.id) == {"item-1": "succeeded", "item-0": "expired"}
    odd: Any = [{**messages("a")[0], "custom_id": "a b"}]
    for refused in ([], [*messages("a"), *messages("b")], odd):
        with pytest.raises(anthropic.BadRequestError):
            batches.create(requests=refused)
    streamed: Any = {**messages("a")[0]["params"], "stream": True}
    begun = batches.create(requests=[{"custom_id": "s", "params": streamed}])
    for _ in range(2):
        batches.retrieve(begun.id)
    assert outcomes(anthropic_client, begun.id) == {"s": "errored"}


# -- Google ---------------------------------------------------------------------------------------------------------


def send(client: genai.Client, lines: list[Members]) -> str:
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    file = client.files.upload(file=io.BytesIO(data), config={"mime_type": "application/jsonl"})
    assert file.name
    return file.name


def asks(*texts: str) -> list[Members]:
    return [
        {"key": f"item-{place}", "request": {"contents": [{"role": "user", "parts": [{"text": text}]}]}}
        for place, text in enumerate(texts)
    ]


def state(client: genai.Client, job: types.BatchJob) -> types.BatchJob:
    return client.batches.get(name=job.name or "")


def downloaded(client: genai.Client, job: types.BatchJob) -> dict[str, Members]:
    assert job.dest
    data = client.files.download(file=job.dest.file_name or "")
    return {line["key"]: line for line in map(json.loads, data.splitlines())}


def test_googles_sdk_makes_a_batch_of_a_file_and_downloads_another(google_client: genai.Client) -> None:
    source = send(google_client, asks("Hello", "No [[status=429]]"))
    job = google_client.batches.create(model="gemini-2.5-flash", src=source, config={"display_name": "a"})
    assert (job.state, job.display_name) == (types.JobState.JOB_STATE_PENDING, "a")
    assert state(google_client, job).state == types.JobState.JOB_STATE_RUNNING
    over = state(google_client, job)
    assert over.state == types.JobState.JOB_STATE_SUCCEEDED
    found = downloaded(google_client, over)
    assert found["item-0"]["response"]["candidates"][0]["content"]["parts"] == [{"text": "You said: Hello"}]
    assert found["item-1"]["error"]["code"] == 429
    google_client.batches.delete(name=job.name or "")
    with pytest.raises(errors.ClientError):
        state(google_client, job)


def test_googles_batch_of_the_requests_themselves(google_client: genai.Client) -> None:
    inline: Any = [{"contents": [{"role": "user", "parts": [{"text": text}]}]} for text in ("Hello [[looks=0]]", "Bye")]
    job = google_client.batches.create(model="gemini-2.5-flash", src=inline)
    over = state(google_client, job)
    assert over.dest
    said = [one.response.text for one in over.dest.inlined_responses or () if one.response]
    assert said == ["You said: Hello", "You said: Bye"]


def test_googles_batch_is_cancelled_in_the_middle_or_expires(google_client: genai.Client, gate: str) -> None:
    source = send(google_client, asks("Hello", f"Wait [[gate={gate} looks=0]]"))
    job = google_client.batches.create(model="gemini-2.5-flash", src=source)
    assert state(google_client, job).state == types.JobState.JOB_STATE_RUNNING
    google_client.batches.cancel(name=job.name or "")
    over = state(google_client, job)
    assert over.state == types.JobState.JOB_STATE_CANCELLED
    assert list(downloaded(google_client, over)) == ["item-0"]
    source = send(google_client, asks("Hello", "b [[batch=expired looks=0]]"))
    job = google_client.batches.create(model="gemini-2.5-flash", src=source)
    over = state(google_client, job)
    assert (over.state, over.dest) == (types.JobState.JOB_STATE_EXPIRED, None)


def test_googles_batch_of_what_is_no_input_fails(google_client: genai.Client) -> None:
    for lines in ([{"no": "key"}], asks("a [[batch=failed]]"), []):
        job = google_client.batches.create(model="gemini-2.5-flash", src=send(google_client, lines))
        assert state(google_client, job).state == types.JobState.JOB_STATE_FAILED
    with pytest.raises(errors.ClientError):
        google_client.batches.create(model="gemini-2.5-flash", src="files/none")


def test_googles_batch_of_embeddings(google_client: genai.Client) -> None:
    request = {"content": {"parts": [{"text": "one"}]}, "output_dimensionality": 4}
    source = send(google_client, [{"key": "v", "request": request}])
    with pytest.warns(Warning, match="experimental"):
        job = google_client.batches.create_embeddings(model="gemini-embedding-001", src={"file_name": source})
    for _ in range(2):
        job = state(google_client, job)
    said = downloaded(google_client, job)["v"]["response"]
    assert (len(said["embedding"]["values"]), said["tokenCount"]) == (4, "1")
