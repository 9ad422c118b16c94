"""Starts the embedded AWS stack: MiniStack with our patches on an internal port, the front port before it.

    .local/stack-venv/bin/python -m local.launcher [--port 8080] [--stack-port 18080] [--state-dir .local/state]

Both ports are on loopback. The state directory holds everything: what the emulated services store, unpacked function
packages, the routes of the front port. State is saved at a graceful stop (SIGINT, SIGTERM) and by POST /_front/save.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import importlib
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import emulator
from local.execution.interpreter import managed_interpreter
from local.execution.package import PackageCache
from local.execution.pool import EnvironmentPool
from local.front import Front
from local.front_control import FrontControl
from local.front_websocket import MAX_MESSAGE_BYTES
from local.patches import all as patches
from local.patches import function_logs
from local.patches.functions import FunctionRunner
from local.routes import BadRoutes, RoutesFile

HOST = "127.0.0.1"
_STACK_PORT_OFFSET = 10_000
_KEEP_ALIVE_S = 75
_EXIT_CANNOT_START = 2
_REQUESTS_END_S = 2.0
"""What requests in flight get at a stop before their functions are ended."""
_SERVER_ENDS_S = 4.0


class CannotStart(RuntimeError):
    """Something on this machine is in the way; the message says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    port: int
    stack_port: int
    state_dir: Path

    @property
    def aws_endpoint_url(self) -> str:
        return f"http://{HOST}:{self.stack_port}"


def read_settings(arguments: list[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="local.launcher", description="Start the embedded AWS stack.")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8080))
    parser.add_argument("--stack-port", type=int, default=None, help="default: port + 10000, or - 10000")
    parser.add_argument("--state-dir", type=Path, default=Path(".local/state"))
    given = parser.parse_args(arguments)
    offset = _STACK_PORT_OFFSET if given.port + _STACK_PORT_OFFSET < 65_536 else -_STACK_PORT_OFFSET
    return Settings(given.port, given.stack_port or given.port + offset, given.state_dir.resolve())


def check_ports(settings: Settings) -> None:
    """Raises CannotStart for a port that something else listens on."""
    for port, option in ((settings.port, "PORT=… or --port"), (settings.stack_port, "--stack-port")):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise CannotStart(f"Port {port} is not free ({error.strerror}). Choose another: {option}") from error


@contextlib.contextmanager
def exclusive_state(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for this process. Raises CannotStart while another stack uses it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(f"Another local stack is using {state_dir}. Stop it first.") from error
        yield


def set_up_process(settings: Settings) -> None:
    """MiniStack reads its configuration from the environment when it is imported."""
    sys.dont_write_bytecode = False  # else compiling MiniStack adds more than a second to every start
    scratch = settings.state_dir / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    tempfile.tempdir = None
    os.environ.update(
        {
            "TMPDIR": str(scratch),
            "GATEWAY_PORT": str(settings.stack_port),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(settings.state_dir / "services"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(settings.state_dir / "s3"),
            "IOT_MTLS_ENABLED": "0",  # else it opens port 8883
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",  # there is no Docker here, and none is looked for
        }
    )
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    for leaked in ("AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_PROFILE", "USE_SSL", "AUTH", "SERVICES"):
        os.environ.pop(leaked, None)
    # Functions sign with a token, as on AWS, and the emulator compares it.
    os.environ["AWS_SESSION_TOKEN"] = "local"  # noqa: S105 - no secret


class Stack:
    """The running servers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        state_dir = settings.state_dir
        packages = PackageCache(state_dir / "packages")
        packages.prune()
        self._pool = EnvironmentPool(
            interpreter=managed_interpreter(state_dir / "python"),
            packages=packages,
            scratch=state_dir / "tmp",
            endpoint_url=settings.aws_endpoint_url,
            report=function_logs.write,
        )
        self._runner = FunctionRunner(self._pool, asyncio.get_running_loop())
        self._routes = RoutesFile(state_dir / "routes.json")
        self._routes.load()
        self._control = FrontControl(
            routes=self._routes, runner=self._runner, save=save_state, aws_endpoint_url=settings.aws_endpoint_url
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then end in order: front port, functions, emulator."""
        patches.apply(self._runner)
        stack_stop = asyncio.Event()
        stack = asyncio.create_task(serve(emulator.app().app, self._settings.stack_port, stack_stop))
        sweeper = asyncio.create_task(self._pool.sweep_forever())
        try:
            await listening(self._settings.stack_port, stack)
            front = asyncio.create_task(serve(Front(self._routes, self._control), self._settings.port, stop))
            await listening(self._settings.port, front)
            print(f"Front port http://{HOST}:{self._settings.port}, AWS {self._settings.aws_endpoint_url}", flush=True)
            self._control.warm_up()
            await stop.wait()
            await asyncio.wait([front], timeout=_REQUESTS_END_S)
        finally:
            sweeper.cancel()
            await self._pool.close()
            save_state()  # not left to the emulator's own stop, which comes after its last connection
            stack_stop.set()
        for server in (front, stack):
            await ended(server)


def save_state() -> None:
    """Write every service's state now, as a graceful stop does."""
    emulator.module("core.persistence").save_all(emulator.app()._build_persistence_save_dict())


async def serve(app: Callable[..., Any], port: int, stop: asyncio.Event) -> None:
    config = importlib.import_module("hypercorn.config").Config()
    config.bind = [f"{HOST}:{port}"]
    config.keep_alive_timeout = _KEEP_ALIVE_S
    config.websocket_max_message_size = MAX_MESSAGE_BYTES
    config.graceful_timeout = _REQUESTS_END_S
    config.include_server_header = False
    config.loglevel = os.environ["LOG_LEVEL"]
    await importlib.import_module("hypercorn.asyncio").serve(app, config, shutdown_trigger=stop.wait)


async def listening(port: int, server: asyncio.Task[None]) -> None:
    """Wait until the port answers, or raise what ended its server."""
    while True:
        if server.done():
            server.result()
        with contextlib.suppress(OSError):
            _reader, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return
        await asyncio.sleep(0.02)


async def ended(server: asyncio.Task[None]) -> None:
    """Wait for a server that was told to stop, but not for clients that keep it open for ever."""
    done, _pending = await asyncio.wait([server], timeout=_SERVER_ENDS_S)
    if done:
        server.result()
    else:
        server.cancel()


async def run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Stack(settings).run(stop)


def main(arguments: list[str]) -> int:
    settings = read_settings(arguments)
    try:
        emulator.check_version()
        check_ports(settings)
        with exclusive_state(settings.state_dir):
            set_up_process(settings)
            logging.basicConfig(level=os.environ["LOG_LEVEL"], format="%(asctime)s %(levelname)s %(name)s %(message)s")
            logging.getLogger("kms").setLevel(
                logging.ERROR
            )  # it warns at every start that it cannot sign; nobody asks it
            emulator.module("core.hypercorn_compat").install()
            asyncio.run(run(settings))
    except (emulator.WrongMiniStack, CannotStart, BadRoutes) as error:
        print(error, file=sys.stderr)
        return _EXIT_CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
