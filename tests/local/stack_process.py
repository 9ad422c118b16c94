"""Runs a stack as a process of its own (ours, or MiniStack as it comes) and deploys the fixtures into it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
STACK_PYTHON = Path(os.environ.get("STACK_PYTHON") or ROOT / ".local" / "stack-venv" / "bin" / "python")
FIXTURES = Path(__file__).with_name("fixtures")
_DEADLINE_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Stack:
    """A running stack. `front` is the base URL of its front port, empty for MiniStack as it comes."""

    process: subprocess.Popen[bytes]
    aws_endpoint_url: str
    front: str = ""
    outputs: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.aws_endpoint_url,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
        )

    @property
    def rest(self) -> str:
        """The REST stage's own URL, which both kinds of stack have."""
        return f"{self.aws_endpoint_url}/_aws/execute-api/{self.outputs['ApiId']}/live"

    def invoke(self, function: str, **event: Any) -> tuple[Any, dict[str, Any]]:
        """The parsed payload and the whole response of a direct Invoke."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), answer

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(_DEADLINE_S)


def launch(state_dir: Path, port: int | None = None, **environment: str) -> Stack:
    port, stack_port = port or free_port(), free_port()
    command = [str(STACK_PYTHON), "-m", "local.launcher", "--port", str(port), "--stack-port", str(stack_port)]
    process = subprocess.Popen(  # noqa: S603 - our own launcher
        [*command, "--state-dir", str(state_dir)], cwd=ROOT, env={**os.environ, **environment}
    )
    stack = Stack(process, f"http://127.0.0.1:{stack_port}", f"http://127.0.0.1:{port}")
    _await(f"{stack.front}/_front/health", process)
    return stack


def launch_stock(state_dir: Path) -> Stack:
    """MiniStack without any patch."""
    port = free_port()
    state_dir.mkdir(parents=True, exist_ok=True)
    settings = {"GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "TMPDIR": str(state_dir)}
    settings |= {"LOG_LEVEL": "CRITICAL"}
    process = subprocess.Popen(  # noqa: S603 - our own environment
        [
            STACK_PYTHON,
            "-m",
            "hypercorn",
            "ministack.app:app",
            "--bind",
            f"127.0.0.1:{port}",
            "--log-level",
            "critical",
        ],
        cwd=state_dir,
        env={**os.environ, **settings},
    )
    stack = Stack(process, f"http://127.0.0.1:{port}")
    _await(f"{stack.aws_endpoint_url}/_ministack/health", process)
    return stack


@contextlib.contextmanager
def stopped_afterwards(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.stop()


def deploy(stack: Stack) -> None:
    s3, formation = stack.client("s3"), stack.client("cloudformation")
    s3.create_bucket(Bucket="code")
    for name in ("layer", "streaming", "plain", "socket"):
        s3.put_object(Bucket="code", Key=f"{name}.zip", Body=zipped(FIXTURES / name))
    formation.create_change_set(
        StackName="fixtures",
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=(FIXTURES / "template.yaml").read_text(),
        Parameters=[{"ParameterKey": "CodeBucket", "ParameterValue": "code"}],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    formation.get_waiter("change_set_create_complete").wait(
        StackName="fixtures", ChangeSetName="first", WaiterConfig={"Delay": 0.1, "MaxAttempts": 200}
    )
    formation.execute_change_set(StackName="fixtures", ChangeSetName="first")
    formation.get_waiter("stack_create_complete").wait(
        StackName="fixtures", WaiterConfig={"Delay": 0.1, "MaxAttempts": 200}
    )
    outputs = formation.describe_stacks(StackName="fixtures")["Stacks"][0]["Outputs"]
    stack.outputs = {output["OutputKey"]: output["OutputValue"] for output in outputs}


def open_routes(stack: Stack) -> None:
    """What the deploy step does after a deployment."""
    routes = {
        "rest": {"api_id": stack.outputs["ApiId"], "stage": "live"},
        "websocket": {"api_id": stack.outputs["SocketApiId"], "stage": "live"},
    }
    httpx.post(f"{stack.front}/_front/routes", json=routes).raise_for_status()


def zipped(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                package.write(path, path.relative_to(folder))
    return archive.getvalue()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise RuntimeError(f"the stack ended with {process.returncode}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).is_success:
                return
        time.sleep(0.05)
    process.kill()
    raise TimeoutError(url)
