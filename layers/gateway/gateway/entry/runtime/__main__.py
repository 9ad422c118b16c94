"""Start of the process: environment -> init -> snapshot -> pollers."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import sys
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.entry.runtime import snapshot
from gateway.entry.runtime.client import RuntimeApi
from gateway.entry.runtime.connection import Endpoint
from gateway.entry.runtime.failure import describe, error_document, log
from gateway.entry.runtime.handler import AsgiApp, EventHandler, load_handler
from gateway.entry.runtime.invocation import EventFunction, Function, HttpFunction
from gateway.entry.runtime.lifespan import Lifespan
from gateway.entry.runtime.poller import poll

EXIT_INIT, EXIT_BEFORE_SNAPSHOT, EXIT_AFTER_RESTORE = 1, 64, 65


class Settings(Struct, frozen=True):
    """What Lambda tells the process. `max_concurrency` is above 1 on Lambda Managed Instances only."""

    runtime_api: str
    handler: str
    max_concurrency: int
    snap_start: bool

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (defined variables)."""
        return cls(
            runtime_api=environment["AWS_LAMBDA_RUNTIME_API"],
            handler=environment["_HANDLER"],
            max_concurrency=int(environment.get("AWS_LAMBDA_MAX_CONCURRENCY") or 1),
            snap_start=environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
        )


async def run(settings: Settings, handler: AsgiApp | EventHandler) -> int:
    """Serve until the Runtime API goes away; returns the exit code."""
    asyncio.get_running_loop().set_exception_handler(_log_stray)
    endpoint = Endpoint.resolve(settings.runtime_api)
    api = RuntimeApi(endpoint)
    try:
        function = await start(handler)
    except Exception as error:
        return await refuse_start(api, error)
    if settings.snap_start and (code := await through_snapshot(api)):
        return code
    gc.freeze()  # what init made lives as long as the process: no collection need look at it again
    gc.enable()
    apis = [api, *(RuntimeApi(endpoint) for _ in range(settings.max_concurrency - 1))]
    await asyncio.gather(*(poll(each, function, sole=len(apis) == 1) for each in apis))
    return EXIT_INIT


async def start(handler: AsgiApp | EventHandler) -> Function:
    """Raises StartupFailed when the app announces that it cannot start."""
    if isinstance(handler, EventHandler):
        return EventFunction(handler)
    lifespan = Lifespan(handler)
    await lifespan.startup()
    return HttpFunction(handler, lifespan.state)


async def refuse_start(api: RuntimeApi, error: Exception) -> int:
    """Tell Lambda why the function cannot start, with the message: no request has been seen yet."""
    log("ERROR", "init_failed", error=describe(error), message=str(error))
    await api.fail_init(error_document(error, str(error)))
    api.close()
    return EXIT_INIT


async def through_snapshot(api: RuntimeApi) -> int:
    """Hooks, the snapshot, hooks again: 0, or the exit code after a reported failure.

    Which endpoint hears of which failure, and the codes, are those of AWS's own Python client
    (https://github.com/aws/aws-lambda-python-runtime-interface-client, bootstrap.py).
    """
    try:
        await snapshot.run_before_snapshot()
        await api.await_restore()
    except Exception as error:
        log("ERROR", "before_snapshot_failed", error=describe(error), message=str(error))
        await api.fail_init(error_document(error, str(error)), "Runtime.BeforeSnapshotError")
        api.close()
        return EXIT_BEFORE_SNAPSHOT
    try:
        await snapshot.run_after_restore()
    except Exception as error:
        log("ERROR", "after_restore_failed", error=describe(error), message=str(error))
        await api.fail_restore(error_document(error, str(error)), "Runtime.AfterRestoreError")
        api.close()
        return EXIT_AFTER_RESTORE
    return 0


def _log_stray(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """In place of asyncio's own report, which prints messages."""
    error = context.get("exception")
    log("ERROR", "stray_failure", what=context["message"], error=describe(error) if error else None)


async def _refuse_import(settings: Settings, error: Exception) -> int:
    return await refuse_start(RuntimeApi(Endpoint.resolve(settings.runtime_api)), error)


def main() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a frozen process never writes a buffer out
    settings = Settings.read(os.environ)
    gc.disable()  # until init is over: it leaves next to no garbage, and collections take a tenth of its time
    try:
        handler = load_handler(settings.handler)
    except Exception as error:
        return asyncio.run(_refuse_import(settings, error))
    return asyncio.run(run(settings, handler))


if __name__ == "__main__":
    sys.exit(main())
