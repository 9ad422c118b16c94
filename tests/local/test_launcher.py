"""Starting, stopping and starting again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.local import stack_process
from tests.local.stack_process import ROOT, STACK_PYTHON

pytestmark = pytest.mark.stack


def refused(*arguments: str, **environment: str) -> str:
    """What the launcher says when it does not start."""
    result = subprocess.run(  # noqa: S603 - our own launcher
        [STACK_PYTHON, "-m", "local.launcher", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert result.returncode == 2, result
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} is not free" in refused("--port", str(port), "--state-dir", str(tmp_path))
        free = str(stack_process.free_port())
        message = refused("--port", free, "--stack-port", str(port), "--state-dir", str(tmp_path))
        assert f"Port {port} is not free" in message
        assert "--stack-port" in message


def test_another_ministack_is_refused(tmp_path: Path) -> None:
    distribution = tmp_path / "ministack-9.9.9.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 9.9.9\n")
    message = refused("--state-dir", str(tmp_path / "state"), PYTHONPATH=str(tmp_path))
    assert "MiniStack 1.5.33 is needed, found 9.9.9" in message


def test_a_state_directory_serves_one_stack(tmp_path: Path) -> None:
    with stack_process.stopped_afterwards(stack_process.launch(tmp_path)):
        ports = ["--port", str(stack_process.free_port()), "--stack-port", str(stack_process.free_port())]
        assert "Another local stack is using" in refused(*ports, "--state-dir", str(tmp_path))


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_state_survives_a_stop(tmp_path: Path, ending: signal.Signals) -> None:
    with stack_process.stopped_afterwards(stack_process.launch(tmp_path)) as first:
        stack_process.deploy(first)
        stack_process.open_routes(first)
        things = first.client("dynamodb")
        things.put_item(TableName="things", Item={"pk": {"S": "a"}})
        first.client("s3").put_object(Bucket="files", Key="b", Body=b"c")
        pid = int(httpx.get(f"{first.front}/v1/stream").headers["x-pid"])
        assert first.stop(ending) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with stack_process.stopped_afterwards(stack_process.launch(tmp_path)) as second:
        assert second.client("dynamodb").scan(TableName="things")["Count"] == 1
        assert second.client("s3").get_object(Bucket="files", Key="b")["Body"].read() == b"c"
        assert httpx.get(f"{second.front}/v1/stream").text == "data: 0\n\n"


def test_a_stop_ends_what_is_still_open(tmp_path: Path) -> None:
    with stack_process.stopped_afterwards(stack_process.launch(tmp_path)) as stack:
        stack_process.deploy(stack)
        stack_process.open_routes(stack)
        socket_url = f"{stack.front}/realtime".replace("http:", "ws:")
        stream_url = f"{stack.front}/v1/stream?chunks=100&delay_s=0.2"
        with connect(socket_url), httpx.stream("GET", stream_url) as answer:
            chunks = answer.iter_raw()
            next(chunks)
            assert stack.stop() == 0
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)


def test_what_was_saved_survives_a_crash(tmp_path: Path) -> None:
    with stack_process.stopped_afterwards(stack_process.launch(tmp_path)) as first:
        stack_process.deploy(first)
        stack_process.open_routes(first)
        first.client("dynamodb").put_item(TableName="things", Item={"pk": {"S": "a"}})
        httpx.post(f"{first.front}/_front/save", json={}).raise_for_status()
        first.stop(signal.SIGKILL)
    with stack_process.stopped_afterwards(stack_process.launch(tmp_path)) as second:
        assert second.client("dynamodb").scan(TableName="things")["Count"] == 1
        assert httpx.get(f"{second.front}/v1/stream").text == "data: 0\n\n"


def test_functions_named_in_the_routes_are_warm_before_the_first_call(tmp_path: Path) -> None:
    with stack_process.stopped_afterwards(stack_process.launch(tmp_path)) as stack:
        stack_process.deploy(stack)
        routes = {"rest": {"api_id": stack.outputs["ApiId"], "stage": "live"}, "warm": ["streaming:live", "none"]}
        httpx.post(f"{stack.front}/_front/routes", json=routes).raise_for_status()
        while httpx.get(f"{stack.front}/_front/health").json()["environments"] != {"idle": 1}:
            assert stack.process.poll() is None
        stored = json.loads((tmp_path / "routes.json").read_text())
        assert stored["warm"] == ["streaming:live", "none"]
