"""OpenAI's responses in the background: at work for as long as the prompt says, then there, failed, or cancelled.

https://developers.openai.com/api/docs/guides/background
"""

import time
from collections import OrderedDict
from dataclasses import dataclass

from local.simulators.http1 import Request
from local.simulators.providers.responses import ResponsesCall
from local.simulators.script import compose
from local.simulators.switches import Switches
from local.simulators.wire import JSON_HEADERS, Filed, Json, Refused, Reply, Said, encode

MAX_RESPONSES = 500
QUEUED_PART = 0.2
"""Of its time, until its work begins."""
WITHOUT_OUTPUT: Json = {"output": [], "usage": None}


@dataclass(slots=True)
class Work:
    """`whole`: what it says in the end."""

    whole: Json
    began_s: float
    works_s: float
    ends: str | None
    is_cancelled: bool = False

    def now(self) -> Json:
        told = {**self.whole, "background": True}
        passed_s = time.monotonic() - self.began_s
        if self.is_cancelled:
            return {**told, **WITHOUT_OUTPUT, "status": "cancelled"}
        if passed_s < self.works_s:
            status = "queued" if passed_s < QUEUED_PART * self.works_s else "in_progress"
            return {**told, **WITHOUT_OUTPUT, "status": status}
        if self.ends == "failed":
            error = {"code": "server_error", "message": "The simulated work failed."}
            return {**told, **WITHOUT_OUTPUT, "status": "failed", "error": error}
        return told


WORKS: OrderedDict[str, Work] = OrderedDict()


class BackgroundCall(ResponsesCall):
    """A checked request to POST /responses with `background`."""

    def say(self, switches: Switches) -> Said:
        answer = compose(self.prompt, switches)
        work = Work(self.body(answer), time.monotonic(), switches.works_s, switches.works)
        WORKS[work.whole["id"]] = work
        while len(WORKS) > MAX_RESPONSES:
            WORKS.popitem(last=False)
        return Said(answer.number, lambda: encode(work.now()))


def asked_for(request: Request, path: str) -> Filed:
    """GET /responses/{id} and POST /responses/{id}/cancel, which may come again. Raises Refused."""
    name, _, verb = path.removeprefix("/responses/").partition("/")
    work = WORKS.get(name)
    is_over = work is not None and time.monotonic() - work.began_s >= work.works_s
    if work is None or (request.method, verb) not in (("GET", ""), ("POST", "cancel")):
        raise Refused("fault", f"Response with id '{name}' not found.", status=404)
    if work.ends == "gone" and is_over:
        raise Refused("fault", f"Response with id '{name}' not found.", status=404)
    if verb == "cancel" and not is_over:
        work.is_cancelled = True
    told = work.now()
    return Filed(Reply(200, JSON_HEADERS, encode(told)), {"id": name, "state": told["status"]})
