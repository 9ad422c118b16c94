"""Prompts, replies, keys and presigned queries are nowhere in what the stack logs and archives.

These run after everything else here (`conftest.py`), so that what all the other tests made it log is read too.
"""

from __future__ import annotations

import gzip
import json
import re
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from gateway.hooks.signature import read_secrets, signed_headers
from gateway.model.secret import Secret
from local.seed import CALLBACK_SECRETS
from local.simulators.sounds import recording
from tests.e2e.conftest import Gateway
from tests.e2e.customer import aws, eventually, waiting
from tests.e2e.hooked import SECRET as WEBHOOK_SECRET
from tests.e2e.hooked import Receiver, tenant_with
from tests.e2e.tenants import put_key
from tests.e2e.test_job_histories import history
from tests.e2e.test_jobs import MACHINE

pytestmark = pytest.mark.stack
FUNCTIONS = {
    *("chat", "embeddings", "images", "videos", "speech", "transcriptions", "models", "files", "media-fetch", "types"),
    *("jobs", "job-ask", "job-task", "webhook-send", "provider-webhooks"),
    *("records", "sweep", "usage", "admin", "realtime", "realtime-session", "realtime-secrets"),
}
SIGNED = re.compile(r"X-Amz-Signature=([0-9a-f]{64})")
NEVER = {
    "a key of a tenant": rb"gwk_[A-Za-z0-9_-]{20,}",
    "a client secret": rb"ek_[A-Za-z0-9_-]{40,}",
    "a webhook's secret": rb"whsec_[A-Za-z0-9+/=]{16,}",
    "a presigned query": rb"X-Amz-(?:Signature|Credential|Security-Token)=",
    "a signature": rb"AWS4-HMAC-SHA256",
    "a provider's key": rb"sim-[a-z]+-?key|\bsk-[A-Za-z0-9-]{16,}",
    "a conversation": rb'\\?"(?:messages|choices|prompt|embedding|b64_json)\\?" ?: ?[\[{"\\]',
}
"""Patterns of what no line may have, whoever wrote it."""
SAMPLES = {
    "a key of a tenant": b"Bearer gwk_0123456789abcdefghijklmnop",
    "a client secret": b"realtime, openai-insecure-api-key.ek_EiswKRBcog_6sUKj6c8LevgzQCNt-uF0IpGc40hBLdY",
    "a webhook's secret": b"whsec_MDEyMzQ1Njc4OWFiY2RlZg==",
    "a presigned query": b"https://s3/files/a?X-Amz-Algorithm=x&X-Amz-Signature=0123",
    "a signature": b"Authorization: AWS4-HMAC-SHA256 Credential=a",
    "a provider's key": b"Bearer sk-proj-0123456789abcdef",
    "a conversation": rb'{"event": "x", "body": "{\"messages\": [{\"role\"',
}


def function_logs(local: Gateway) -> bytes:
    """Everything every function has written, as CloudWatch Logs has it, and the audit log."""
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


_histories: dict[str, bytes] = {}
"""Of executions that have ended, which stay as they are, by their ARNs."""


def histories(local: Gateway) -> bytes:
    """All that whoever may look into the console sees of jobs."""
    states = aws(local, "stepfunctions")
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=MACHINE)
    found = [execution for page in pages for execution in page["executions"]]
    assert found
    for arn in (execution["executionArn"] for execution in found if execution["status"] != "RUNNING"):
        if arn not in _histories:
            _histories[arn] = json.dumps(history(local, arn.rpartition(":")[2]), default=str).encode()
    return b"\n".join(_histories.values())


def everything(local: Gateway) -> bytes:
    """The logs, what the stack's processes wrote, the histories of jobs, and the archive."""
    assert local.folder is not None
    eventually(lambda: True if waiting(local) == 0 else None)
    s3 = aws(local, "s3")
    [bucket] = [one["Name"] for one in s3.list_buckets()["Buckets"] if "archivebucket" in one["Name"].lower()]
    keys = [
        found["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for found in page["Contents"]
    ]
    archive = [gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
    written = [path.read_bytes() for path in (local.folder / "logs").iterdir()]
    return b"\n".join([function_logs(local), histories(local), *archive, *written])


@pytest.mark.parametrize("what", NEVER)
def test_a_pattern_finds_what_it_is_for(what: str) -> None:
    assert re.search(NEVER[what], SAMPLES[what])


def test_every_function_has_logged(local: Gateway, http: httpx.Client) -> None:
    """So that the others here do not pass because nothing is there to be found."""
    names = [group["logGroupName"] for group in aws(local, "logs").describe_log_groups()["logGroups"]]
    assert {
        name.removeprefix("/aws/lambda/llm-gateway-") for name in names if "/lambda/llm-gateway-" in name
    } == FUNCTIONS


class Whisper:
    """Asks every function with one secret in everything that it is given, and keeps what it is answered."""

    def __init__(self, local: Gateway, http: httpx.Client, admin: httpx.Client) -> None:
        self.secret = f"secret{uuid.uuid4().hex}"
        self.answers: list[str] = []
        self._local, self._http, self._admin = local, http, admin

    def ask(self, method: str, path: str, client: httpx.Client | None = None, **body: Any) -> httpx.Response:
        answer = (client or self._http).request(method, path, **body)
        self.answers += [answer.headers.get("location", "")]
        self.answers += [answer.text] if "json" in answer.headers.get("content-type", "") else []
        return answer

    def chats(self) -> None:
        picture = {"url": f"{self._local.simulators}/_media/picture.png?X-Amz-Signature={self.secret}"}
        for switch in ("", "[[status=500]]", "[[garbage]]", "[[cut_after=2]]"):
            for stream in (False, True):
                messages: list[Any] = [{"role": "user", "content": f"{switch} {self.secret}"}]
                body = {"model": "openai/gpt-4o-mini", "messages": messages, "stream": stream}
                self.ask("POST", "/chat/completions", json=body)
                self.ask("POST", "/chat/completions", json={**body, "user": self.secret})
        seen = [{"role": "user", "content": [{"type": "image_url", "image_url": picture}]}]
        self.ask("POST", "/chat/completions", json={"model": "openai/gpt-4o-mini", "messages": seen})
        self.ask("POST", "/chat/completions", json={"model": self.secret, "messages": self.secret, self.secret: 1})

    def media(self) -> None:
        for switch in ("", "[[status=500]]", "[[finish=filter]]", "[[linked]]"):
            prompt = f"{switch} {self.secret}"
            self.ask("POST", "/images/generations", json={"model": "xai/grok-imagine-image", "prompt": prompt})
            self.ask("POST", "/embeddings", json={"model": "openai/text-embedding-3-small", "input": prompt})
            spoken = {"model": "openai/gpt-4o-mini-tts", "voice": "alloy", "input": prompt, "instructions": self.secret}
            for accepted in ("application/octet-stream", "application/json"):
                self.ask("POST", "/audio/speech", json=spoken, headers={"accept": accepted})
            fields = {"model": (None, "openai/whisper-1"), "prompt": (None, prompt)}
            heard = {**fields, "file": ("a.wav", recording(self.secret, "wav"))}
            self.ask("POST", "/audio/transcriptions", files=heard)
        for switch in ("", "[[video=failed]]"):
            order = {"model": "xai/grok-imagine-video", "seconds": "1", "size": "480x480"}
            video = self.ask("POST", "/videos", json={**order, "prompt": f"{switch} {self.secret}"}).json()["id"]
            eventually(lambda video=video: self._has_ended(video))  # type: ignore[misc]
            self.ask("GET", f"/videos/{video}/content")

    def _has_ended(self, video: str) -> bool | None:
        return True if self.ask("GET", f"/videos/{video}").json()["status"] in ("completed", "failed") else None

    def jobs(self) -> None:
        told = Receiver(self._local, secret=self.signing_secret()).hook()["url"]
        for switch in ("", "[[status=500]]"):
            body = {"model": "openai/text-embedding-3-small", "input": f"{switch} {self.secret}"}
            order = {"endpoint": "/v1/embeddings", "body": body, "webhook_url": f"{told}?token={self.secret}"}
            job = self.ask("POST", "/jobs", json=order).json()["id"]
            eventually(lambda job=job: self._has_run(job))  # type: ignore[misc]
        self.ask("GET", f"/jobs/{self.secret}")
        self.ask("DELETE", f"/jobs/{job}")
        self.callbacks()

    def callbacks(self) -> None:
        """One that is signed as it has to be, one that is not."""
        said = json.dumps({"type": "video.generated", "data": {"id": self.secret}}).encode()
        for secrets in (read_secrets(CALLBACK_SECRETS["google"]), [Secret(f"whsec_{b64encode(b'k' * 24).decode()}")]):
            headers = signed_headers("msg_1", int(time.time()), said, secrets)
            with httpx.Client(base_url=self._local.origin) as stranger:
                self.ask("POST", f"/webhooks/google?key={self.secret}", stranger, content=said, headers=headers)

    def _has_run(self, job: str) -> bool | None:
        webhook = self.ask("GET", f"/jobs/{job}").json()["webhook"]
        return True if webhook["status"] == "delivered" else None

    def signing_secret(self) -> str:
        found: str = self._admin.get("/tenants/demo/webhook-secret").json()["secret"]
        return found

    def files_and_types(self) -> None:
        form = {"file": (f"{self.secret}.txt", self.secret.encode())}
        file = self.ask("POST", "/files", files=form, data={"purpose": "user_data"}).json()["id"]
        for path in (f"/files/{file}", f"/files/{file}/content", f"/files/{self.secret}", "/files"):
            self.ask("GET", path)
        link = {"filename": f"{self.secret}.txt", "content_type": "text/plain", "bytes": 5, "purpose": "user_data"}
        self.ask("POST", "/files", json=link)
        schema = {"$id": "gts://gts.acme.app.geo.silent.v1~", "type": "object", "description": self.secret}
        self.ask("POST", "/types", json={"types": [schema, {**schema, "type": self.secret}]})
        self.ask("POST", "/types", json={"types": [schema]})
        for path in ("/types", f"/types/{self.secret}", f"/models/{self.secret}", f"/usage?group_by={self.secret}"):
            self.ask("GET", path)
        self.ask("GET", f"/usage/requests/{self.secret}")

    def hooks(self) -> None:
        receiver = Receiver(self._local, answer={"action": "allow", "note": self.secret})
        phrases = {"kind": "deny_list", "id": "words", "phrases": [self.secret]}
        body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": self.secret}]}
        for hook in (receiver.hook(url=f"{receiver.hook()['url']}?token={self.secret}"), phrases):
            key = tenant_with(self._local, hook, name=self.secret).key
            self.ask("POST", "/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})

    def voice(self) -> str:
        """The secret with which a session began."""
        begins = {"type": "realtime", "model": "openai/gpt-realtime-2.1", "instructions": self.secret}
        made: str = self.ask("POST", "/realtime/client_secrets", json={"session": begins}).json()["value"]
        self.ask("POST", "/realtime/client_secrets", json={"session": {**begins, self.secret: 1}})
        offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{made}")]
        url = f"{self._local.http.replace('http', 'ws', 1)}/realtime"
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": self.secret}]}
        said: list[Any] = [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]
        with connect(url, subprotocols=offered) as connection:
            for event in ({"type": self.secret}, *said):
                connection.send(json.dumps(event))
            while json.loads(connection.recv(30))["type"] != "response.done":
                pass
            connection.send(json.dumps({"type": "session.close", "event_id": self.secret}))
            assert "gateway.session.summary" in [json.loads(message)["type"] for message in connection]
        return made

    def administration(self) -> str:
        """A key that was issued."""
        issued = put_key(self._local.aws_endpoint_url, "demo", "alice", label=self.secret)
        self._http.get("/models", headers={"authorization": f"Bearer {issued}"})
        self._http.get("/models", headers={"authorization": f"Bearer {self.secret}"})
        self._admin.post("/tenants", json={"id": "silent", "name": self.secret, self.secret: 1})
        self._admin.get(f"/tenants/demo/keys/{self.secret}")
        self._admin.get("/tenants", headers={"authorization": f"Bearer {self.secret}"})
        return issued

    def signatures(self) -> Iterator[str]:
        """Of every presigned URL that was given."""
        return (found for answer in self.answers for found in SIGNED.findall(answer))


def test_no_prompt_reply_or_key_is_logged(local: Gateway, http: httpx.Client, admin: httpx.Client) -> None:
    whisper = Whisper(local, http, admin)
    whisper.chats()
    whisper.media()
    whisper.jobs()
    whisper.files_and_types()
    whisper.hooks()
    issued, client_secret = whisper.administration(), whisper.voice()
    signatures = set(whisper.signatures())
    assert len(signatures) > 5
    logs = everything(local)
    for told in (b"request.completed", b"request.failed", b"request.started", b"admin.key.issued", b"records.kept"):
        assert told in logs
    signing = whisper.signing_secret()
    root = aws(local, "secretsmanager").get_secret_value(SecretId="llm-gateway/webhook-root")["SecretString"]
    secrets = [
        whisper.secret,
        issued,
        client_secret,
        signing,
        signing.removeprefix("whsec_"),
        root,
        local.api_key,
        local.admin_key,
        "sim-openai",
        WEBHOOK_SECRET,
        *signatures,
    ]
    assert [secret for secret in secrets if secret.encode() in logs] == []


@pytest.mark.parametrize("what", NEVER)
def test_nothing_that_looks_like_one_is_logged(local: Gateway, what: str) -> None:
    """Of the whole run, when all of it was run."""
    logs = everything(local)
    assert [logs[max(0, found.start() - 200) : found.end() + 20] for found in re.finditer(NEVER[what], logs)][:3] == []
