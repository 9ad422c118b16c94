"""The loop of one concurrent invocation: next event, serve it, again."""

from __future__ import annotations

import os

from gateway.entry.runtime.client import RuntimeApi
from gateway.entry.runtime.failure import describe, log
from gateway.entry.runtime.invocation import Function


async def poll(api: RuntimeApi, function: Function, *, sole: bool) -> None:
    """Serve events until the Runtime API goes away; nothing an event does ends the loop.

    `sole`: no other poller runs, so the X-Ray header may go where SDKs look for it, the process's environment.
    """
    try:
        while True:
            invocation, payload = await api.next_invocation()
            if sole:
                os.environ["_X_AMZN_TRACE_ID"] = invocation.trace_id
            await function.serve(api, invocation, payload)
    except Exception as error:  # outermost: the process ends when its last poller has
        log("ERROR", "poller_ended", error=describe(error))
    finally:
        api.close()
