"""Every patch, in the order that matters: each proxy integration patch goes round those before it."""

from __future__ import annotations

from local.patches import (
    api_update,
    bucket_lifecycle,
    function_logs,
    functions,
    integration_timeout,
    log_pages,
    openapi_import,
    payload_limit,
    proxy_failures,
    request_event,
    reserved_concurrency,
    response_streaming,
    table_ttl,
    task_timeout,
    websocket_functions,
)
from local.patches.functions import FunctionRunner


def apply(runner: FunctionRunner) -> None:
    """Raises AttributeError when MiniStack has not what a patch replaces."""
    functions.apply(runner)
    function_logs.apply()
    log_pages.apply()
    reserved_concurrency.apply()
    websocket_functions.apply(runner)
    request_event.apply()
    integration_timeout.apply()
    proxy_failures.apply()
    response_streaming.apply(runner)
    payload_limit.apply()
    openapi_import.apply()
    api_update.apply()
    table_ttl.apply()
    bucket_lifecycle.apply()
    task_timeout.apply()
