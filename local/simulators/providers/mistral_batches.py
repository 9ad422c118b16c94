"""Mistral's batches: files as OpenAI has them, made into jobs. https://docs.mistral.ai/capabilities/batch/"""

from functools import partial

from local.simulators.batches import Batch, answered, told
from local.simulators.http1 import Request
from local.simulators.providers.openai_batches import OpenAiBatches, read_lines
from local.simulators.wire import (
    ANY,
    LIST,
    OBJECT,
    TEXT,
    Api,
    Filed,
    Json,
    Refused,
    check_parameters,
    decode_object,
    integer,
    require,
)

JOBS = "/batch/jobs"
STATUS = {
    "pending": "QUEUED",
    "cancelling": "CANCELLATION_REQUESTED",
    "completed": "SUCCESS",
    "expired": "TIMEOUT_EXCEEDED",
}
RULES = {
    "input_files": LIST,
    "model": TEXT,
    "endpoint": TEXT,
    "metadata": OBJECT,
    "timeout_hours": integer(1, 168),
    "requests": ANY,
    "agent_id": TEXT,
}


class MistralBatches(OpenAiBatches):
    """Of one file, which is enough here."""

    def __init__(self, api: Api, endpoints: tuple[str, ...]) -> None:
        super().__init__(api, endpoints, expires=False)

    def holds(self, path: str) -> bool:
        return path.startswith(("/files", JOBS))

    def answer(self, request: Request, path: str) -> Filed:
        if not path.startswith(JOBS):
            return super().answer(request, path)
        name, _, verb = path.removeprefix(JOBS).removeprefix("/").partition("/")
        match request.method, bool(name), verb:
            case "POST", False, "":
                return self._create(request)
            case "GET", False, "":
                return self._list(request)
            case "GET", True, "":
                return self._look(name)
            case "POST", True, "cancel":
                batch = self._batch(name)
                batch.cancel()
                return told(self._body(batch), batch)
        raise Refused("no_route", "Not Found")

    def _create(self, request: Request) -> Filed:
        body = decode_object(request.body)
        require(body, "input_files", "model", "endpoint")
        check_parameters(body, RULES, strict=True)
        if body["endpoint"] not in self._endpoints or len(body["input_files"]) != 1:
            raise Refused("wrong_type", "One input file, and an endpoint that can be batched.", param="endpoint")
        items, errors = read_lines(self._file(body["input_files"][0]).data, None)
        answering = partial(answered, self._api, body["endpoint"].removeprefix("/v1"), request.headers)
        asked = {name: body.get(name) for name in ("input_files", "model", "endpoint", "metadata")}
        told_once = [{"message": one["message"], "count": 1} for one in errors]
        batch = self._batches.add([] if errors else items, answering, {**asked, "errors": told_once, "files": {}})
        if errors:
            batch.ends = "failed"
        return told(self._body(batch), batch)

    def _body(self, batch: Batch) -> Json:
        facts = {name: value for name, value in batch.facts.items() if name != "files"}
        files: Json = batch.facts["files"]
        return {
            "id": batch.id,
            "object": "batch",
            "status": STATUS.get(batch.state, batch.state.upper()),
            "created_at": batch.made_s,
            "started_at": batch.made_s if batch.looked else None,
            "completed_at": batch.made_s if batch.is_over else None,
            "output_file": files.get("output_file_id"),
            "error_file": files.get("error_file_id"),
            "outputs": None,
            "total_requests": len(batch.items),
            "completed_requests": len(batch.done),
            "succeeded_requests": len(batch.done) - batch.failed,
            "failed_requests": batch.failed,
            **facts,
        }
