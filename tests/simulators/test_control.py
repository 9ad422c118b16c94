"""The control API: request log, armed faults, health."""

from local.simulators.app import APIS
from tests.simulators.process import KEY, Simulator

PREFIX = "/openai/v1"


def test_request_log_shows_what_arrived_with_keys_masked(simulator: Simulator) -> None:
    simulator.chat(PREFIX, "Hello", user="u1")
    seen = simulator.last("openai")
    assert (seen["method"], seen["path"]) == ("POST", "/openai/v1/chat/completions")
    assert seen["body"]["user"] == "u1"
    assert seen["headers"]["authorization"] == "Bearer sim-***"
    assert KEY not in str(seen)
    assert (seen["model"], seen["status"], seen["ended"]) == ("sim-model", 200, True)


def test_log_is_filtered_limited_and_cleared(simulator: Simulator) -> None:
    for prefix in (PREFIX, "/mistral/v1", PREFIX, PREFIX):
        simulator.chat(prefix, "Hello")
    assert len(simulator.control("GET", "requests")["requests"]) == 4
    assert len(simulator.control("GET", "requests?provider=openai&limit=2")["requests"]) == 2
    assert simulator.control("DELETE", "requests") == {"requests": []}
    assert simulator.control("GET", "requests")["requests"] == []


def test_log_keeps_200_entries_and_64_kib_of_a_body(simulator: Simulator) -> None:
    simulator.chat(PREFIX, "x" * 100_000)
    seen = simulator.last("openai")
    assert len(seen["body"]) == 64 * 1024
    assert seen["body_bytes"] > 100_000
    for _ in range(201):
        simulator.http.get(f"{PREFIX}/models")
    assert len(simulator.control("GET", "requests?limit=1000")["requests"]) == 200


def test_refused_requests_are_logged_too(simulator: Simulator) -> None:
    simulator.http.post(f"{PREFIX}/chat/completions", content=b"{broken")
    assert (simulator.last("openai")["status"], simulator.last("openai")["body"]) == (401, "{broken")
    reply = simulator.http.post(
        f"{PREFIX}/chat/completions", content=b"{broken", headers={"authorization": f"Bearer {KEY}"}
    )
    assert reply.status_code == 400


def test_timeline_by_header_id_and_by_sequence(simulator: Simulator) -> None:
    headers = {"authorization": f"Bearer {KEY}", "x-sim-id": "mine"}
    reply = simulator.http.get(f"{PREFIX}/models", headers=headers)
    assert reply.headers["x-sim-id"] == "mine"
    sequence = simulator.last("openai")["sequence"]
    assert simulator.timeline("mine") == simulator.timeline(str(sequence))
    assert [kind for kind, _ in simulator.timeline("mine")] == ["received", "head", "end"]
    assert simulator.http.get("/_sim/timeline/unknown").status_code == 404
    assert simulator.http.get("/_sim/timeline/unknown?wait=end&timeout_s=0.01").status_code == 404


def test_armed_fault_hits_the_next_requests_of_one_provider(simulator: Simulator) -> None:
    order = {"provider": "openai", "fault": "status=503", "count": 2}
    armed = simulator.control("POST", "faults", json=order)["faults"]
    assert armed == [{"provider": "openai", "model": None, "fault": {"status": "503"}, "remaining": 2}]
    assert simulator.chat("/mistral/v1", "Hi").status_code == 200
    assert [simulator.chat(PREFIX, "Hi").status_code for _ in range(3)] == [503, 503, 200]
    assert simulator.control("GET", "faults")["faults"] == []


def test_armed_fault_for_one_model_and_its_removal(simulator: Simulator) -> None:
    order = {"provider": "*", "model": "bad", "fault": "status=500", "count": 100}
    simulator.control("POST", "faults", json=order)
    assert simulator.chat(PREFIX, "Hi").status_code == 200
    assert simulator.chat("/groq/openai/v1", "Hi", model="bad").status_code == 500
    simulator.control("DELETE", "faults")
    assert simulator.chat(PREFIX, "Hi", model="bad").status_code == 200


def test_bad_orders_are_refused(simulator: Simulator) -> None:
    for order in (
        {"provider": "nobody", "fault": "status=500"},
        {"provider": "openai", "fault": "nonsense=1"},
        {"provider": "openai", "fault": "status=500", "count": 0},
        {"provider": "openai"},
    ):
        assert simulator.http.post("/_sim/faults", json=order).status_code == 400
    assert simulator.http.get("/_sim/requests?limit=many").status_code == 400
    assert simulator.http.get("/_sim/nothing").status_code == 404


def test_health(simulator: Simulator) -> None:
    health = simulator.control("GET", "health")
    assert health["status"] == "ok"
    assert health["providers"] == [api.name for api in APIS]
    assert health["cpu_s"] > 0


def test_a_key_that_is_withdrawn_is_wrong_until_it_is_given_back(simulator: Simulator) -> None:
    assert simulator.control("POST", f"keys/{KEY}") == {"key": KEY, "withdrawn": True}
    assert simulator.chat(PREFIX, "Hello").status_code == 401
    assert simulator.control("DELETE", f"keys/{KEY}")["withdrawn"] is False
    assert simulator.chat(PREFIX, "Hello").status_code == 200
    assert simulator.http.post("/_sim/keys/other").status_code == 404
