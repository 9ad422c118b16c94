"""Simulated webhook receivers: they believe what the library of Standard Webhooks signs, and nothing else."""

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.simulators.process import KEY, Simulator

SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"
BODY = '{"stage": "pre_call"}'


def post(
    simulator: Simulator, name: str, secret: str = SECRET, sent_s: float | None = None, **changes: Any
) -> httpx.Response:
    sent = datetime.fromtimestamp(time.time() if sent_s is None else sent_s, UTC)
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(secret).sign("m1", sent, BODY),
    }
    return simulator.http.post(f"/_hooks/{name}", content=changes.pop("content", BODY), headers=headers | changes)


def test_a_message_that_is_signed_is_answered_and_kept(simulator: Simulator) -> None:
    told = {"secret": SECRET, "answer": {"action": "block"}, "answers": {"post_response": {"action": "allow"}}}
    simulator.control("POST", "hooks/a", json=told)
    assert post(simulator, "a").json() == {"action": "block"}
    [received] = simulator.control("GET", "hooks/a")["received"]
    assert (received["body"], received["problem"]) == (BODY, None)
    Webhook(SECRET).verify(received["body"], received["headers"])


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": f"whsec_{base64.b64encode(b'o' * 24).decode()}"},
        {"sent_s": time.time() - 3600},
        {"content": "{}"},
        {"webhook-id": "m2"},
        {"webhook-signature": ""},
        {"webhook-timestamp": "soon"},
    ],
)
def test_anything_else_is_401(simulator: Simulator, changes: dict[str, Any]) -> None:
    simulator.control("POST", "hooks/b", json={"secret": SECRET})
    assert post(simulator, "b", **changes).status_code == 401
    assert simulator.control("GET", "hooks/b")["received"][-1]["problem"]


def test_it_answers_as_it_is_told(simulator: Simulator) -> None:
    told = {"secret": SECRET, "status": 302, "location": "http://127.0.0.1:1/", "raw": "<html>", "delay_s": 0.05}
    simulator.control("POST", "hooks/c", json=told)
    began_s = time.monotonic()
    answer = post(simulator, "c")
    assert time.monotonic() - began_s >= 0.05
    assert (answer.status_code, answer.text, answer.headers["location"]) == (302, "<html>", "http://127.0.0.1:1/")


def test_its_first_answers_may_be_others(simulator: Simulator) -> None:
    simulator.control("POST", "hooks/d", json={"secret": SECRET, "statuses": [500, 503]})
    assert post(simulator, "d", content="{}").status_code == 401
    assert [post(simulator, "d").status_code for _ in range(3)] == [500, 503, 200]


def test_one_that_nobody_set_up_is_not_there(simulator: Simulator) -> None:
    assert post(simulator, "nobody").status_code == 404
    assert simulator.http.get("/_sim/hooks/nobody").status_code == 404
    assert simulator.http.post("/_sim/hooks/x", content=json.dumps({"answer": 1})).status_code == 400


def test_a_provider_says_that_a_video_is_finished_when_it_is(simulator: Simulator) -> None:
    simulator.control("POST", "hooks/calls", json={"secret": SECRET})
    told = {"url": f"{simulator.url}/_hooks/calls", "secret": SECRET}
    simulator.control("POST", "callbacks/google", json=told)
    asked = {"instances": [{"prompt": "[[calls_s=0.3]] a harbour"}], "parameters": {"durationSeconds": 4}}
    headers = {"x-goog-api-key": KEY}
    begun = simulator.http.post("/google/v1beta/models/veo:predictLongRunning", json=asked, headers=headers).json()
    look = f"/google/v1beta/{begun['name']}"
    assert [simulator.http.get(look, headers=headers).json().get("done") for _ in range(3)] == [None] * 3
    deadline_s = time.monotonic() + 10
    while not (received := simulator.control("GET", "hooks/calls")["received"]):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    [message] = received
    assert message["problem"] is None
    event = Webhook(SECRET).verify(message["body"], message["headers"])
    assert (event["type"], event["data"]) == ("video.generated", {"id": begun["name"].rpartition("/")[2]})
    assert simulator.http.get(look, headers=headers).json()["done"]
    assert simulator.http.post("/_sim/callbacks/nobody", json=told).status_code == 404
