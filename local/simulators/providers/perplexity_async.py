"""Perplexity's asynchronous chat completions. https://docs.perplexity.ai/api-reference/async-sonar-post"""

from local.simulators.http1 import Request
from local.simulators.providers.chat import ChatApi, ChatCall
from local.simulators.script import compose
from local.simulators.switches import Switches
from local.simulators.wire import JSON_HEADERS, Filed, Json, Refused, Reply, Said, encode, now_s
from local.simulators.works import Work, begun, known

PATH = "/async/chat/completions"
STATUS = {"queued": "CREATED", "running": "IN_PROGRESS", "done": "COMPLETED", "failed": "FAILED"}


def told(name: str, work: Work) -> Json:
    state = work.state
    return {
        "id": name,
        "model": work.whole["model"],
        "created_at": now_s(),
        "status": STATUS[state],
        "response": work.whole if state == "done" else None,
        "error_message": "The simulated work failed." if state == "failed" else None,
    }


class AsyncCall(ChatCall):
    """A checked request inside `{"request": …}`."""

    def __init__(self, api: ChatApi, body: Json) -> None:
        """Raises Refused."""
        request = body.get("request")
        if not isinstance(request, dict):
            raise Refused("missing_parameter", "request: Field required", param="request")
        api.check(request)
        super().__init__(api, request)

    def say(self, switches: Switches) -> Said:
        answer = compose(self.prompt, switches)
        name = f"async-{answer.number:08d}"
        work = begun(name, self.body(answer), switches)
        return Said(answer.number, lambda: encode(told(name, work)))


def look(request: Request, name: str) -> Filed:
    """Raises Refused."""
    if request.method != "GET":
        raise Refused("no_route", f"Invalid URL ({request.method} {request.path})")
    now = told(name, known(name))
    return Filed(Reply(200, JSON_HEADERS, encode(now)), {"id": name, "state": now["status"]})
