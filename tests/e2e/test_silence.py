"""Prompts, replies and keys are nowhere in what the stack logs."""

from __future__ import annotations

import uuid

import boto3
import httpx
import pytest

from local.simulators.sounds import recording
from tests.e2e.conftest import Gateway
from tests.e2e.tenants import put_key

pytestmark = pytest.mark.stack


def function_logs(local: Gateway) -> bytes:
    """Everything every function has written, as CloudWatch Logs has it."""
    logs = boto3.client(
        "logs",
        endpoint_url=local.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the local stack takes any
    )
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    pages = [page for group in groups for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)]
    return "\n".join(event["message"] for page in pages for event in page["events"]).encode()


def test_no_prompt_reply_or_key_is_logged(local: Gateway, http: httpx.Client) -> None:
    assert local.folder is not None
    secret = f"secret{uuid.uuid4().hex}"
    for switch in ("", "[[status=500]]", "[[garbage]]", "[[cut_after=2]]"):
        for stream in (False, True):
            body = {
                "model": "openai/gpt-4o-mini",
                "messages": [{"role": "user", "content": f"{switch} {secret}"}],
                "stream": stream,
            }
            http.post("/chat/completions", json=body)
            http.post("/chat/completions", json={**body, "user": secret})
    http.post("/chat/completions", json={"model": secret, "messages": secret, secret: 1})
    for switch in ("", "[[status=500]]", "[[finish=filter]]", "[[linked]]"):
        http.post("/images/generations", json={"model": "xai/grok-imagine-image", "prompt": f"{switch} {secret}"})
    for switch in ("", "[[status=500]]", "[[cut=reset cut_after=1]]"):
        spoken = {"model": "openai/tts-1", "voice": "alloy", "input": f"{switch} {secret}"}
        for accept in ("application/json", "text/event-stream"):
            http.post("/audio/speech", json={**spoken, "stream_format": "sse"}, headers={"accept": accept})
        fields = {"model": (None, "openai/whisper-1"), "prompt": (None, f"{switch} {secret}")}
        http.post("/audio/transcriptions", files={**fields, "file": ("a.wav", recording(secret, "wav"))})
    issued = put_key(local.aws_endpoint_url, "demo", "alice", label=secret)
    http.get("/models", headers={"authorization": f"Bearer {issued}"})
    logs = function_logs(local) + b"".join(path.read_bytes() for path in (local.folder / "logs").iterdir())
    assert b"request.completed" in logs
    assert b"request.failed" in logs
    for content in (secret, local.api_key, local.admin_key, issued, "sim-openai"):
        assert content.encode() not in logs
