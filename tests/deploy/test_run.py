"""`make run` as a person has it: it starts, says what to type, keeps its state, and can be killed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from local import deploy, ports, venvs
from local.admin_client import AdminClient
from local.endpoints import Endpoints
from local.places import REPOSITORY
from local.testing import running_stack

pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class FirstRun:
    """What the first run gave, what it said, what its curl line and its command answered, and OpenAI's credential."""

    endpoints: Endpoints
    said: str
    answer: dict[str, Any]
    tenants: str
    openai: dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def first_run(folder: Path) -> FirstRun:
    """The first run on an empty folder, over when a test sees this."""
    with running_stack(folder / "state") as endpoints:
        said = (folder / "run.log").read_text()
        printed = re.search(r"^  (curl (?:.|\n)*?)\n\n", said, re.MULTILINE)
        assert printed
        typed = printed[1].replace("curl ", "curl --silent --show-error --fail ", 1)
        answer = subprocess.run(  # noqa: S603 - the line that a run tells people to type
            ["/bin/sh", "-c", typed], check=True, capture_output=True, text=True
        ).stdout
        return FirstRun(endpoints, said, json.loads(answer), administered(said), secret(endpoints, "openai"))


def administered(said: str) -> str:
    """What the lines that a run tells people to type to administer it show; the command is the repository's own."""
    printed = re.search(r"^  (export GATEWAY_URL=.*\n  gateway .*)\n", said, re.MULTILINE)
    assert printed
    typed = f'gateway() {{ "{sys.executable}" -m cli "$@"; }}\n{printed[1]}'
    done = subprocess.run(["/bin/sh", "-c", typed], check=True, capture_output=True, text=True, cwd=REPOSITORY)  # noqa: S603 - see above
    return done.stdout


def client(endpoints: Endpoints, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoints.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
    )


def secret(endpoints: Endpoints, provider: str) -> dict[str, str]:
    name = f"{deploy.STACK_NAME}/providers/{provider}"
    value: dict[str, str] = json.loads(
        client(endpoints, "secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    )
    return value


def models_status(endpoints: Endpoints, key: str) -> int:
    request = urllib.request.Request(f"{endpoints.http}/models", headers={"Authorization": f"Bearer {key}"})  # noqa: S310 - http
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - http
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_curl_line_works_as_it_is_printed(first_run: FirstRun) -> None:
    assert "Hello" in first_run.answer["choices"][0]["message"]["content"]
    assert first_run.answer["gateway"]["provider"] == "openai"


def test_the_command_works_as_it_is_printed(first_run: FirstRun) -> None:
    assert re.search(r"^demo +Demo +active", first_run.tenants, re.MULTILINE)


def test_what_it_says_tells_how_far_it_is(first_run: FirstRun) -> None:
    assert re.search(r"\[ +\d+\.\d s\] sam deploy: done in", first_run.said)
    assert first_run.endpoints.http in first_run.said


def test_the_endpoints(first_run: FirstRun) -> None:
    endpoints = first_run.endpoints
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", endpoints.http)
    assert endpoints.websocket == endpoints.http.replace("http", "ws", 1)
    assert endpoints.api_key != endpoints.second_api_key
    assert len(endpoints.admin_key) == 48


def test_a_provider_without_a_key_is_simulated(first_run: FirstRun) -> None:
    simulated = {"api_key": "sim-openai", "base_url": f"{first_run.endpoints.simulators}/openai/v1"}
    assert first_run.openai == simulated


def test_a_second_run_finds_everything_and_deploys_nothing(first_run: FirstRun, folder: Path) -> None:
    with running_stack(folder / "state") as again:
        assert again == first_run.endpoints
        assert models_status(again, again.api_key) == 200
        assert models_status(again, again.second_api_key) == 200
    said = (folder / "run.log").read_text()
    assert "sam deploy" not in said
    assert "stopped; the state is kept" in said


def test_the_environment_decides_at_every_start_who_is_real(first_run: FirstRun, folder: Path) -> None:
    real = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "", "AZURE_BASE_URL": "https://a.example"}
    with running_stack(folder / "state", providers=real) as endpoints:
        assert secret(endpoints, "openai") == {"api_key": "sk-1"}
        assert secret(endpoints, "azure") == {"api_key": "", "base_url": "https://a.example"}
        assert "real: azure, openai" in (folder / "run.log").read_text()
    with running_stack(folder / "state") as endpoints:
        assert secret(endpoints, "openai") == first_run.openai
        assert secret(endpoints, "azure")["api_key"].startswith("sim-")


def test_what_an_administrator_changed_stays_changed(first_run: FirstRun, folder: Path) -> None:
    def switch(endpoints: Endpoints, what: str) -> None:
        port = int(endpoints.http.removesuffix("/v1").rpartition(":")[2])
        AdminClient(port, endpoints.admin_key).post(f"/tenants/demo/{what}", {}, expected=(200,))

    with running_stack(folder / "state") as endpoints:
        switch(endpoints, "disable")
    with running_stack(folder / "state") as endpoints:
        assert models_status(endpoints, endpoints.api_key) == 403
        switch(endpoints, "enable")


def test_a_taken_port_ends_the_start_with_a_clear_word(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind((ports.HOST, 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = subprocess.run(  # noqa: S603 - our own environment's interpreter
            [str(venvs.STACK.python), "-m", "local.run", "--state-dir", str(tmp_path / "state")],
            cwd=REPOSITORY,
            env={**os.environ, "PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"\nProblem: Port {port} is taken")
