"""One execution environment: a runtime process and the Runtime API it talks to.

Life: starting, idle (the runtime polls), busy (an invocation is out), settling (answered, but the runtime has not come
back for the next one: Lambda keeps such an environment for itself too), closed.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.execution.function import FunctionSpec
from local.execution.log_pipe import LogPipe
from local.execution.reply import Failure, Invocation, InvocationFailed, Reply
from local.execution.runtime_api import RuntimeConnection

INIT_TIMEOUT_S = 10.0
"""Lambda's limit for the init phase; a slower one is retried under the function's own timeout, so both are allowed."""

_LAST_WORDS_TIMEOUT_S = 1.0


class State(enum.Enum):
    STARTING = enum.auto()
    IDLE = enum.auto()
    BUSY = enum.auto()
    SETTLING = enum.auto()
    CLOSED = enum.auto()


@dataclass(frozen=True, slots=True)
class InvocationReport:
    """What Lambda's REPORT log line tells of one finished invocation."""

    request_id: str
    log: str
    duration_ms: float
    init_ms: float | None
    max_memory_mb: int
    failed: bool


class Environment:
    """Runs one invocation at a time. All methods belong to the event loop's thread."""

    def __init__(
        self,
        function: FunctionSpec,
        *,
        on_idle: Callable[[Environment], None],
        on_closed: Callable[[Environment], None],
        on_report: Callable[[Environment, InvocationReport], None],
    ) -> None:
        self.function = function
        self.state = State.STARTING
        self.idle_since_s = time.monotonic()
        self.log_stream = ""
        self._on_idle, self._on_closed, self._on_report = on_idle, on_closed, on_report
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connections: set[RuntimeConnection] = set()
        self._disconnected = asyncio.Event()
        self._disconnected.set()
        self._polls: deque[RuntimeConnection] = deque()
        self._invocation: Invocation | None = None
        self._answered = False
        self._failed = False
        self._deadline: asyncio.TimerHandle | None = None
        self._started_s = self._invoked_s = 0.0
        self._init_ms: float | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._server: asyncio.Server | None = None
        self._log = LogPipe()
        self._scratch: Path | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    # -- Start and end -----------------------------------------------------------------------------------------------

    async def listen(self) -> str:
        """Open the Runtime API; returns its host:port, for AWS_LAMBDA_RUNTIME_API."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: RuntimeConnection(self), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def start(self, command: list[str], variables: dict[str, str], folder: Path, scratch: Path) -> None:
        """Start the runtime and wait until it polls. Raises InvocationFailed when it does not come to that."""
        self._started_s, self._scratch = time.monotonic(), scratch
        await asyncio.to_thread(scratch.mkdir, parents=True, exist_ok=True)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._log.write_fd,
                stderr=self._log.write_fd,
                cwd=folder,
                env=variables,
                process_group=0,  # Ctrl-C in the terminal is for the stack, which then ends its environments itself
            )
        except OSError as error:
            self.close()
            raise InvocationFailed(Failure.of("Runtime.InvalidEntrypoint", f"{command[0]}: {error}")) from error
        finally:
            self._log.close_write_end()
        self._watcher = asyncio.create_task(self._watch(self._process))
        if self.state is State.CLOSED:  # while the process was being made
            self._kill()
        await self._await_first_poll()

    def close(self) -> None:
        """End the process at once, as Lambda does, and whatever still waits for it."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._kill()
        if self._server is not None:
            self._server.close()
        self._settle(Failure.of("Runtime.ExitError", "the execution environment was shut down"))
        self.init_failed(Failure.of("Runtime.ExitError", "shut down while starting"))
        self._log.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._on_closed(self)

    async def wait_closed(self) -> None:
        """Wait until the process is gone."""
        if self._watcher is not None:
            await self._watcher

    # -- Invocations -------------------------------------------------------------------------------------------------

    def invoke(self, invocation: Invocation) -> None:
        """Hand an invocation to the polling runtime. Only when idle."""
        self.state, self._invocation = State.BUSY, invocation
        self._answered = self._failed = False
        timeout_s = self.function.timeout_s
        self._invoked_s = time.monotonic()
        self._deadline = asyncio.get_running_loop().call_later(timeout_s, self._time_out)
        self._polls.popleft().deliver(invocation, int((time.time() + timeout_s) * 1000))

    def _time_out(self) -> None:
        """The timeout also covers what a runtime does after its answer: Lambda ends the environment all the same."""
        if self._invocation is not None:
            message = f"{self._invocation.request_id} Task timed out after {self.function.timeout_s:.2f} seconds"
            self._log.add(message)
            self._settle(Failure.of("Sandbox.Timedout", f"RequestId: {message}"))
        self.close()

    def _settle(self, failure: Failure | None = None) -> None:
        """The invocation is over, with or without an answer: report it."""
        invocation, self._invocation = self._invocation, None
        if invocation is None:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        log = self._log.take()
        if not self._answered:
            self._failed = True
            invocation.reply.log = log
            invocation.reply.finish(failure)
        duration_ms = (time.monotonic() - self._invoked_s) * 1000
        init_ms, self._init_ms = self._init_ms, None
        memory_mb = _peak_memory_mb(self.pid)
        self._on_report(
            self, InvocationReport(invocation.request_id, log, duration_ms, init_ms, memory_mb, self._failed)
        )

    # -- What the runtime does (RuntimeHost) -------------------------------------------------------------------------

    def poll(self, connection: RuntimeConnection) -> None:
        self._polls.append(connection)
        if self.state is State.STARTING:
            self._init_ms = (time.monotonic() - self._started_s) * 1000
            self.state = State.IDLE
            self._ready.set_result(None)
        elif self.state is State.SETTLING:
            self._settle()
            self.state, self.idle_since_s = State.IDLE, time.monotonic()
            self._on_idle(self)

    def connected(self, connection: RuntimeConnection) -> None:
        self._connections.add(connection)
        self._disconnected.clear()

    def disconnected(self, connection: RuntimeConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._disconnected.set()
        with contextlib.suppress(ValueError):
            self._polls.remove(connection)
        if self.state is State.IDLE and not self._polls:
            self.close()

    def reply_of(self, request_id: str) -> Reply | None:
        invocation = self._invocation
        if invocation is None or invocation.request_id != request_id or self._answered:
            return None
        return invocation.reply

    def answered(self, request_id: str, failure: Failure | None) -> None:
        reply = self.reply_of(request_id)
        if reply is None:
            return
        self._answered, self._failed, self.state = True, failure is not None, State.SETTLING
        reply.log = self._log.text()
        reply.finish(failure)
        if self._polls:  # a runtime with several pollers is back already
            self.poll(self._polls.popleft())

    def init_failed(self, failure: Failure) -> None:
        if not self._ready.done():
            self._ready.set_exception(InvocationFailed(failure))
            self._ready.exception()  # mark as seen: nobody waits for a start that was called off

    def log_text(self) -> str:
        """What the runtime printed since its last invocation, for example why it did not start."""
        return self._log.text()

    # -- Process -----------------------------------------------------------------------------------------------------

    async def _await_first_poll(self) -> None:
        try:
            await asyncio.wait_for(self._ready, INIT_TIMEOUT_S + self.function.timeout_s)
        except TimeoutError as error:
            self.close()
            raise InvocationFailed(Failure.of("Sandbox.Timedout", "the runtime did not start in time")) from error
        except InvocationFailed:
            self.close()
            raise

    def _kill(self) -> None:
        """The whole process group: a wrapper script may have started the runtime as its child."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        with contextlib.suppress(TimeoutError):  # an answer sent just before the end may still be on its way
            await asyncio.wait_for(self._disconnected.wait(), _LAST_WORDS_TIMEOUT_S)
        reason = f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        failure = Failure.of("Runtime.ExitError", f"Runtime exited with error: {reason}")
        self._settle(failure)
        self.init_failed(failure)
        self.close()


def _peak_memory_mb(pid: int | None) -> int:
    """The process's high-water mark in MB; 0 where /proc does not tell it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) // 1024 if lines else 0
