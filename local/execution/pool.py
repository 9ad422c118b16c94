"""Which environment serves which invocation.

As on Lambda, an environment serves one invocation at a time, an invocation that finds none free gets a new one, and a
free one is used again. Two things differ, because one small machine starts all of them: new processes start a few at a
time, and an invocation that waits for its new environment takes another one that becomes free before.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.execution.environment import Environment, InvocationReport, State
from local.execution.function import FunctionSpec
from local.execution.package import PackageCache
from local.execution.process_environment import Prepared, command, variables
from local.execution.reply import Failure, Invocation, InvocationFailed, Reply

SETTLING_PATIENCE_S = 0.25
"""How long an invocation waits for an environment that has answered and is only settling."""
IDLE_TTL_S = 300.0
"""A surplus environment that was idle this long is ended; the last one of a function stays."""
_SWEEP_INTERVAL_S = 30.0
_STOPPING = Failure.of("Runtime.ExitError", "the stack is stopping")

logger = logging.getLogger(__name__)

Report = Callable[[FunctionSpec, str, InvocationReport], None]
"""Called with the function, the environment's log stream and the report of each finished invocation."""


@dataclass(slots=True)
class _Fleet:
    """The environments of one function version."""

    function: FunctionSpec
    environments: set[Environment] = field(default_factory=set)
    idle: list[Environment] = field(default_factory=list)
    waiting: deque[asyncio.Future[Environment]] = field(default_factory=deque)
    starting: int = 0
    prepared: asyncio.Task[Prepared] | None = None

    @property
    def settling(self) -> int:
        return sum(environment.state is State.SETTLING for environment in self.environments)


class EnvironmentPool:
    """All execution environments of the stack. Belongs to the event loop's thread."""

    def __init__(
        self, *, interpreter: Path, packages: PackageCache, scratch: Path, endpoint_url: str, report: Report
    ) -> None:
        self._interpreter, self._packages, self._scratch = interpreter, packages, scratch
        self._endpoint_url, self._report = endpoint_url, report
        self._fleets: dict[str, _Fleet] = {}
        self._environments: set[Environment] = set()
        self._numbers = itertools.count(1)
        slots = max(2, os.cpu_count() or 2)
        self._start_slots, self._prestart_slots = asyncio.Semaphore(slots), asyncio.Semaphore(slots - 1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def invoke(self, function: FunctionSpec, invocation: Invocation) -> Reply:
        """Run an invocation; its reply can be read at once and fills as the function answers."""
        fleet = self._fleet(function)
        environment = _pop_idle(fleet)
        if environment is not None:
            environment.invoke(invocation)
        else:
            self._spawn(self._run(fleet, invocation))
        return invocation.reply

    async def prestart(self, function: FunctionSpec) -> None:
        """Have one idle environment ready. Raises InvocationFailed when the function does not start.

        One place to start in is left to those who are waited for: all functions are made ready at the same time.
        """
        async with self._prestart_slots:
            fleet = self._fleet(function)
            if not fleet.environments:
                environment = await self._lease(fleet)
                self._free(fleet, environment)

    def retire(self, function_name: str) -> None:
        """The function was changed or deleted: end its environments, busy ones after their invocation."""
        for key, fleet in list(self._fleets.items()):
            if fleet.function.name == function_name:
                self._retire(key, fleet)

    def counts(self) -> dict[str, int]:
        """Environments by state."""
        states = [environment.state.name.lower() for environment in self._environments]
        return {state: states.count(state) for state in sorted(set(states))}

    async def sweep_forever(self) -> None:
        """End surplus environments once they were idle long enough."""
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            self.sweep(IDLE_TTL_S)

    def sweep(self, idle_ttl_s: float) -> None:
        oldest_s = time.monotonic() - idle_ttl_s
        for fleet in self._fleets.values():
            for environment in [each for each in fleet.idle if each.idle_since_s <= oldest_s]:
                if len(fleet.environments) > 1:
                    environment.close()

    async def close(self) -> None:
        """End everything and wait until the processes are gone."""
        self._closed = True
        environments = list(self._environments)
        for environment in environments:
            environment.close()
        await asyncio.gather(*(environment.wait_closed() for environment in environments))
        await asyncio.gather(*self._tasks)  # whoever still waits is told by `_start` that the stack is stopping

    # -- One invocation ----------------------------------------------------------------------------------------------

    async def _run(self, fleet: _Fleet, invocation: Invocation) -> None:
        try:
            environment = await self._lease(fleet)
        except InvocationFailed as error:
            invocation.reply.finish(error.failure)
        else:
            environment.invoke(invocation)

    async def _lease(self, fleet: _Fleet) -> Environment:
        """An idle environment, kept from others. Raises InvocationFailed when a new one does not start."""
        while (environment := _pop_idle(fleet) or await self._wait_for_one(fleet)).state is not State.IDLE:
            pass  # it ended between the moment it was handed over and this one
        return environment

    async def _wait_for_one(self, fleet: _Fleet) -> Environment:
        turn: asyncio.Future[Environment] = asyncio.get_running_loop().create_future()
        fleet.waiting.append(turn)
        if fleet.settling >= len(fleet.waiting):
            done, _ = await asyncio.wait([turn], timeout=SETTLING_PATIENCE_S)
            if done:
                return turn.result()
        if fleet.starting < len(fleet.waiting):
            fleet.starting += 1
            self._spawn(self._start_one(fleet))
        return await turn

    async def _start_one(self, fleet: _Fleet) -> None:
        """Start an environment for whoever waits longest, unless nobody waits any more."""
        try:
            async with self._start_slots:
                if fleet.waiting:
                    self._free(fleet, await self._start(fleet))
        except InvocationFailed as error:
            _fail_first(fleet, error)
        except Exception as error:  # outermost point of a background task: whoever waits must not wait for ever
            logger.exception("starting %s failed", fleet.function.name)
            _fail_first(fleet, InvocationFailed(Failure.of("Runtime.Unknown", str(error))))
        finally:
            fleet.starting -= 1

    async def _start(self, fleet: _Fleet) -> Environment:
        if self._closed:
            raise InvocationFailed(_STOPPING)
        function = fleet.function
        prepared = await self._prepared(fleet)
        environment = Environment(
            function,
            on_idle=lambda each: self._free(fleet, each),
            on_closed=lambda each: self._gone(fleet, each),
            on_report=lambda each, report: self._report(function, each.log_stream, report),
        )
        environment.log_stream = _log_stream_name(function.version)
        fleet.environments.add(environment)
        self._environments.add(environment)
        scratch = self._scratch / f"environment-{next(self._numbers)}"
        process_variables = variables(
            function,
            prepared,
            self._interpreter,
            runtime_api=await environment.listen(),
            endpoint_url=self._endpoint_url,
            log_stream=environment.log_stream,
            scratch=scratch,
        )
        try:
            await environment.start(
                command(function, prepared, self._interpreter), process_variables, prepared.task, scratch
            )
        except InvocationFailed as error:
            logger.warning("%s did not start: %s\n%s", function.name, error.failure.payload, environment.log_text())
            raise
        return environment

    async def _prepared(self, fleet: _Fleet) -> Prepared:
        if fleet.prepared is None or (fleet.prepared.done() and fleet.prepared.exception() is not None):
            fleet.prepared = asyncio.create_task(self._prepare(fleet.function))
        return await asyncio.shield(fleet.prepared)

    async def _prepare(self, function: FunctionSpec) -> Prepared:
        task = await self._packages.folder([function.code])
        return Prepared(task=task, opt=await self._packages.folder(function.layers))

    # -- Fleets ------------------------------------------------------------------------------------------------------

    def _fleet(self, function: FunctionSpec) -> _Fleet:
        fleet = self._fleets.get(function.key)
        if fleet is not None and fleet.function.revision == function.revision:
            return fleet
        if fleet is not None:
            self._retire(function.key, fleet)
        self._fleets[function.key] = fleet = _Fleet(function)
        self._retire_superseded(function)
        return fleet

    def _retire_superseded(self, function: FunctionSpec) -> None:
        """A newly published version is what an alias now means; nothing calls the earlier ones any more."""
        base, _, version = function.key.rpartition(":")
        for key, fleet in list(self._fleets.items()):
            other_base, _, other = key.rpartition(":")
            if other_base == base and version.isdigit() and other.isdigit() and int(other) < int(version):
                self._retire(key, fleet)

    def _retire(self, key: str, fleet: _Fleet) -> None:
        del self._fleets[key]
        for environment in list(fleet.idle):
            environment.close()

    def _free(self, fleet: _Fleet, environment: Environment) -> None:
        """An environment is idle: the next in line gets it."""
        while fleet.waiting:
            turn = fleet.waiting.popleft()
            if not turn.done():
                turn.set_result(environment)
                return
        if self._fleets.get(fleet.function.key) is fleet and not self._closed:
            fleet.idle.append(environment)
        else:
            environment.close()

    def _gone(self, fleet: _Fleet, environment: Environment) -> None:
        fleet.environments.discard(environment)
        self._environments.discard(environment)
        with contextlib.suppress(ValueError):
            fleet.idle.remove(environment)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pop_idle(fleet: _Fleet) -> Environment | None:
    """The environment used last: the others may then stay idle long enough to be ended."""
    while fleet.idle:
        environment = fleet.idle.pop()
        if environment.state is State.IDLE:
            return environment
    return None


def _fail_first(fleet: _Fleet, error: InvocationFailed) -> None:
    while fleet.waiting:
        turn = fleet.waiting.popleft()
        if not turn.done():
            turn.set_exception(error)
            return


def _log_stream_name(version: str) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html"""
    return f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{version}]{uuid.uuid4().hex}"
