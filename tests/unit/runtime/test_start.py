from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.entry.runtime.__main__ import Settings
from gateway.entry.runtime.handler import HandlerNotFound, Receive, Send, load_handler
from tests.unit.runtime.apps import Scope, echo
from tests.unit.runtime.conftest import Logged, Start
from tests.unit.runtime.fake_runtime_api import FakeRuntimeApi, http_event

LAYER = Path(gateway.__file__).parents[1]

APP = """
import os
from gateway.entry.runtime.snapshot import before_snapshot

print("imported")

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%s %s" % (os.environ["LAMBDA_TASK_ROOT"].encode(), body)})
"""


@pytest.fixture
def opt(tmp_path: Path) -> Path:
    """A layer as Lambda unpacks it: the wrapper beside python/."""
    shutil.copy2(LAYER / "gateway-runtime", tmp_path)
    (tmp_path / "python").symlink_to(LAYER)
    return tmp_path


async def launch(opt: Path, api: FakeRuntimeApi, handler: str, source: str) -> asyncio.subprocess.Process:
    """Run the exec wrapper the way Lambda does: the interpreter and the managed bootstrap are its arguments."""
    task, elsewhere = opt / "task", opt / "elsewhere"
    task.mkdir()
    elsewhere.mkdir()
    (task / "app.py").write_text(source)
    (elsewhere / "json.py").write_text("raise RuntimeError('imported from the working directory')")
    environment = {
        "PATH": os.environ["PATH"],
        "LAMBDA_TASK_ROOT": str(task),
        "_HANDLER": handler,
        "AWS_LAMBDA_RUNTIME_API": api.authority,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    }
    return await asyncio.create_subprocess_exec(
        opt / "gateway-runtime",
        sys.executable,
        "/var/runtime/bootstrap.py",
        env=environment,
        cwd=elsewhere,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


COLLECTING = """
import gc
at_import = gc.isenabled()

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    told = f"{at_import} {gc.isenabled()} {gc.get_freeze_count() > 0}"
    await send({"type": "http.response.body", "body": told.encode()})
"""


async def test_garbage_is_collected_from_the_first_event_on(api: FakeRuntimeApi, opt: Path) -> None:
    process = await launch(opt, api, "app.app", COLLECTING)
    try:
        answer = await api.answered(api.deliver(http_event()))
        assert answer.body == b"False True True"
    finally:
        process.terminate()
        await process.communicate()


async def test_wrapper_starts_the_app_with_the_given_interpreter(api: FakeRuntimeApi, opt: Path) -> None:
    process = await launch(opt, api, "app.app", APP)
    assert process.stdout is not None
    try:
        answer = await api.answered(api.deliver(http_event(body="hello")))
        assert answer.body == f"{opt}/task hello".encode()
        async with asyncio.timeout(5):
            assert await process.stdout.readline() == b"imported\n"  # though it is a pipe and the process goes on
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize(
    ("handler", "source", "error_type"),
    [
        ("app.app", "import no_such_module", "ModuleNotFoundError"),
        ("app.app", "app = ", "SyntaxError"),
        ("app.application", APP, "HandlerNotFound"),
        ("app", APP, "HandlerNotFound"),
    ],
)
async def test_import_failure_is_reported_and_ends_the_process(
    api: FakeRuntimeApi, opt: Path, handler: str, source: str, error_type: str
) -> None:
    process = await launch(opt, api, handler, source)
    _, stderr = await process.communicate()
    assert process.returncode == 1
    assert api.calls == ["POST /init/error"]
    assert api.init_error["errorType"] == error_type
    assert api.init_error["errorMessage"]
    assert api.init_error["stackTrace"]
    assert json.loads(stderr)["event"] == "init_failed"


def test_settings_come_from_lambdas_environment() -> None:
    least = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "_HANDLER": "app.app"}
    assert Settings.read(least) == Settings("127.0.0.1:9001", "app.app", max_concurrency=1, snap_start=False)
    more = {**least, "AWS_LAMBDA_MAX_CONCURRENCY": "64", "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    assert Settings.read(more) == Settings("127.0.0.1:9001", "app.app", max_concurrency=64, snap_start=True)


def test_handler_may_be_written_with_slashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder_of_app").mkdir()
    (tmp_path / "folder_of_app" / "inside.py").write_text("async def app(scope, receive, send): ...")
    monkeypatch.syspath_prepend(tmp_path)
    assert callable(load_handler("folder_of_app/inside.app"))
    with pytest.raises(HandlerNotFound):
        load_handler("folder_of_app/inside.__name__")


async def test_lifespan_startup_comes_before_the_first_event(api: FakeRuntimeApi, start: Start) -> None:
    ready = asyncio.Event()
    states: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            await ready.wait()
            scope["state"]["client"] = "pooled"
            await send({"type": "lifespan.startup.complete"})
            await receive()  # shutdown, which never comes
        else:
            states.append(scope["state"])
            await echo(scope, receive, send)

    start(app)
    delivery = api.deliver(http_event())
    for _ in range(20):
        await asyncio.sleep(0)
    assert api.calls == []
    ready.set()
    await api.answered(delivery)
    assert states == [{"client": "pooled"}]


async def test_lifespan_startup_that_fails(api: FakeRuntimeApi, start: Start) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no catalog"})

    assert await start(app) == 1
    assert api.calls == ["POST /init/error"]
    assert (api.init_error["errorType"], api.init_error["errorMessage"]) == ("StartupFailed", "no catalog")


@pytest.mark.parametrize("raises", [True, False])
async def test_app_without_lifespan_is_served(api: FakeRuntimeApi, start: Start, logged: Logged, raises: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await echo(scope, receive, send)
        elif raises:
            raise NotImplementedError

    start(app)
    assert (await api.answered(api.deliver(http_event()))).prelude["statusCode"] == 200
    assert len(logged()) == raises
