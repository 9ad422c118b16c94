"""OpenAI's responses in the background. https://developers.openai.com/api/docs/guides/background"""

from local.simulators.http1 import Request
from local.simulators.providers.responses import ResponsesCall
from local.simulators.script import compose
from local.simulators.switches import Switches
from local.simulators.wire import JSON_HEADERS, Filed, Json, Refused, Reply, Said, encode
from local.simulators.works import Work, begun, known

STATUS = {"queued": "queued", "running": "in_progress", "failed": "failed", "cancelled": "cancelled"}
WITHOUT_OUTPUT: Json = {"output": [], "usage": None}
ERROR: Json = {"code": "server_error", "message": "The simulated work failed."}


def told(work: Work) -> Json:
    state = work.state
    response = {**work.whole, "background": True}
    if state == "done":
        return response
    return {**response, **WITHOUT_OUTPUT, "status": STATUS[state], "error": ERROR if state == "failed" else None}


class BackgroundCall(ResponsesCall):
    """A checked request to POST /responses with `background`."""

    def say(self, switches: Switches) -> Said:
        answer = compose(self.prompt, switches)
        whole = self.body(answer)
        work = begun(whole["id"], whole, switches)
        return Said(answer.number, lambda: encode(told(work)))


def asked_for(request: Request, path: str) -> Filed:
    """GET /responses/{id} and POST /responses/{id}/cancel, which may come again. Raises Refused."""
    name, _, verb = path.removeprefix("/responses/").partition("/")
    if (request.method, verb) not in (("GET", ""), ("POST", "cancel")):
        raise Refused("no_route", f"Invalid URL ({request.method} {request.path})")
    work = known(name)
    if verb == "cancel":
        work.cancel()
    now = told(work)
    return Filed(Reply(200, JSON_HEADERS, encode(now)), {"id": name, "state": now["status"]})
