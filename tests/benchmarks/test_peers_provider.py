"""The provider that everybody asks, and how a peer's process is started, asked, measured and ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import scenarios
from benchmarks.exchange import DirectClient, Timed
from benchmarks.machine import IS_LINUX
from benchmarks.peers import process
from benchmarks.peers.asking import FEWEST, answers, check
from benchmarks.peers.contenders import Direct, Served, start_of
from benchmarks.peers.install import LITELLM, Installed, size_mb
from benchmarks.peers.measure import SCENARIOS, turned
from benchmarks.peers.process import PeerProcess, Place
from benchmarks.peers.provider import DIMENSIONS, FIRST_TEXT, VECTORS, Connection, answer, request_length, stream
from benchmarks.peers.targets import PEERS, Peer
from benchmarks.scenarios import Scenario
from local.console import Problem
from local.places import REPOSITORY

pytestmark = pytest.mark.skipif(not IS_LINUX, reason="reads what only Linux tells of processes")
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Connection, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield int(server.sockets[0].getsockname()[1])
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_the_direct_call_is_a_whole_answer_to_every_scenario(port: int, scenario: Scenario) -> None:
    found = Direct(port).slice(scenario, FEWEST)
    assert len(found.answers) == FEWEST
    assert found.cpu_ms is None
    assert all(0 < each.first_ms <= each.last_ms for each in found.answers)


def test_a_stream_has_its_first_text_at_once_and_the_rest_in_time(port: int) -> None:
    (found,) = Direct(port).slice(scenarios.FIRST_BYTE, 1).answers[:1]
    pauses_ms = (scenarios.FIRST_BYTE.chunks - 1) * 2.0
    assert found.last_ms - found.first_ms >= pauses_ms - 0.5


def test_every_event_of_a_stream_is_json_and_usage_is_told_when_asked_for() -> None:
    for with_usage in (False, True):
        pieces = stream(3, with_usage)
        lines = b"".join(pieces).split(b"\r\n\r\n", 1)[1].split(b"\r\n")[1::2]
        events = [line.removeprefix(b"data: ").strip() for line in lines if line]
        assert events.pop() == b"[DONE]"
        chunks = [json.loads(event) for event in events]
        text = "".join(each["choices"][0]["delta"].get("content", "") for each in chunks if each["choices"])
        assert text == f"{FIRST_TEXT.decode()} token 1 token 2 "
        assert ("usage" in chunks[-1]) is with_usage


def test_vectors_are_numbers_or_base64_as_they_are_asked_for() -> None:
    for asked, kind in ((b"{}", list), (b'{"encoding_format": "base64"}', str)):
        (whole,), _ = answer(b"POST /v1/embeddings HTTP/1.1\r\n\r\n" + asked)
        data = json.loads(whole.partition(b"\r\n\r\n")[2])["data"]
        assert len(data) == VECTORS
        assert isinstance(data[0]["embedding"], kind)
        assert kind is str or len(data[0]["embedding"]) == DIMENSIONS


def test_a_request_is_complete_when_its_body_is() -> None:
    assert request_length(bytearray(HEAD)) is None
    sized = HEAD + b"Content-Length: 2\r\n\r\n"
    assert request_length(bytearray(sized + b"{")) is None
    assert request_length(bytearray(sized + b"{}GET")) == len(sized) + 2
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    assert request_length(bytearray(chunked)) is None
    assert request_length(bytearray(chunked + b"0\r\n\r\nGET")) == len(chunked) + 5
    assert request_length(bytearray(b"GET /v1/models HTTP/1.1\r\n\r\n")) == len(b"GET /v1/models HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_an_answer_that_lacks_something_is_not_let_pass(scenario: Scenario) -> None:
    with pytest.raises(Problem, match="Not a whole answer"):
        check(scenario, Timed(1.0, 1.0, b"HTTP/1.1 200 OK\r\n\r\n{}"))


def test_a_slice_ends_with_its_time_but_not_before_ten(port: int) -> None:
    client = DirectClient(port, "/v1/chat/completions")
    for count, at_most_s, wanted in ((50, 0.0, 10), (50, 60.0, 50), (5, 60.0, 5)):
        found = answers(lambda: client.call(scenarios.CHAT_1KB.provider_body()), count, at_most_s)
        assert len(found) == wanted
    client.close()


SERVER = """
import asyncio, os, subprocess, sys
sys.path[:0] = [{repository!r}]
from pathlib import Path
from benchmarks.peers.provider import serve
child = subprocess.Popen(["sleep", "60"])
Path("environment").write_text(" ".join(os.environ))
asyncio.run(serve(lambda port: Path("url").write_text("http://127.0.0.1:%d/v1" % port)))
"""


def process_of(command: list[str], folder: Path, port: int) -> PeerProcess:
    peer = Peer("peer", "A peer", "no", "Says what the provider says", LITELLM, tuple(command))
    core = min(os.sched_getaffinity(0))
    return PeerProcess(peer, Installed(folder, "1", 1.0), Place(f"http://127.0.0.1:{port}/v1", folder, core))


def test_a_peer_is_asked_when_it_answers_and_measured_with_its_children(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    script = tmp_path / "serve.py"
    script.write_text(SERVER.format(repository=str(REPOSITORY)))
    peer = process_of([sys.executable, str(script)], tmp_path, port)
    with peer.running() as started_ms:
        served = Served(peer)
        found = served.slice(scenarios.CHAT_1KB, 20)
        pids = peer.pids
        memory_mb = served.memory_mb()["peer"]
    assert started_ms > 0
    assert len(found.answers) == 20
    assert found.cpu_ms is not None and found.cpu_ms > 0
    assert memory_mb > 5
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)
    assert not {"OPENAI_API_KEY", "HTTPS_PROXY"} & set((tmp_path / "peer" / "environment").read_text().split())


def alive(pid: int) -> bool:
    """A child that nobody waits for stays as a zombie until it is adopted."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_peer_that_ends_is_told_with_its_log(tmp_path: Path, port: int) -> None:
    began_s = time.monotonic()
    with pytest.raises(Problem, match="no such gateway"):
        start_of(process_of([sys.executable, "-c", "import sys; sys.exit('no such gateway')"], tmp_path, port))
    assert time.monotonic() - began_s < 30


def test_a_peer_that_says_something_else_has_not_answered(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "START_TIMEOUT_S", 3.0)
    monkeypatch.setattr(process, "_ASK_AGAIN_S", 0.1)
    script = tmp_path / "serve.py"
    wrong = "import benchmarks.peers.provider as provider\nprovider.TEXT = 'Something else.'\n"
    script.write_text(SERVER.format(repository=str(REPOSITORY)).replace("child =", f"{wrong}child ="))
    with pytest.raises(Problem, match="did not answer: Not a whole answer"):
        start_of(process_of([sys.executable, str(script)], tmp_path, port))


def test_every_peer_has_its_configuration_and_fills_its_strings(tmp_path: Path) -> None:
    words = {"home": "h", "here": str(REPOSITORY / "benchmarks" / "peers"), "port": 1, "provider": "p"}
    for peer in PEERS:
        strings = [*peer.command, *peer.headers.values(), *peer.variables.values()]
        filled = [each.format(key="k", out=tmp_path, **words) for each in strings]
        assert all(Path(each).exists() for each in filled if each.startswith(str(REPOSITORY)))
    assert len({peer.name for peer in PEERS}) == len(PEERS)


def test_another_one_is_first_in_every_round() -> None:
    everybody = [Direct(1), Direct(2), Direct(3)]
    assert [turned(everybody, number)[0] for number in range(4)] == [*everybody, everybody[0]]
    assert all(set(turned(everybody, number)) == set(everybody) for number in range(4))


def test_bytecode_and_what_every_environment_has_are_not_counted(tmp_path: Path) -> None:
    for name in ("package/code.py", "package/__pycache__/code.pyc", "pip/code.py", "one.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x" * 1_000)
    assert size_mb(tmp_path, ("pip",)) == 0.002
