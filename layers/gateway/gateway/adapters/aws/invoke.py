"""Functions of the account, invoked, and waited for or not."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from msgspec import Struct

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.http_answer import HttpFailure
from gateway.adapters.http_client import HttpClient
from gateway.model.http import HttpRequest, HttpResponse
from gateway.ports import Clock
from gateway.providers.wire.sigv4 import Scope, sign

FUNCTION_ERROR = "FunctionError"
MAX_REFUSAL_BYTES = 64 * 1024
_TAKEN = 202


class LambdaApi(Struct, frozen=True):
    """`url`: of the endpoint, without a slash at its end.

    Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    """

    url: str
    region: str
    keys: RoleKeys
    client: HttpClient
    clock: Clock

    async def invoke(self, function: str, payload: bytes, timeout_s: float, max_bytes: int) -> bytes:
        """What the function returned. `function`: its name, with an alias or version behind a colon, or none.

        Raises AwsFailure, with the code FUNCTION_ERROR where the function itself failed.
        """
        answer = await self._asked(function, payload, "RequestResponse", timeout_s, max_bytes)
        if answer.status != 200:
            raise _refused(answer)
        if "x-amz-function-error" in answer.headers:
            raise AwsFailure(FUNCTION_ERROR, is_fault=False)
        return answer.body

    async def start(self, function: str, payload: bytes, timeout_s: float) -> None:
        """Has it invoked, once: nobody waits for what becomes of it. Raises AwsFailure."""
        answer = await self._asked(function, payload, "Event", timeout_s, MAX_REFUSAL_BYTES)
        if answer.status != _TAKEN:
            raise _refused(answer)

    async def _asked(self, function: str, payload: bytes, kind: str, timeout_s: float, max_bytes: int) -> HttpResponse:
        path = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
        headers = {"content-type": "application/json", "x-amz-invocation-type": kind}
        request = HttpRequest("POST", self.url + path, headers, payload)
        now = datetime.fromtimestamp(self.clock.now_s(), UTC)
        try:
            signed = sign(request, await self.keys.current(), Scope(self.region, "lambda"), now)
            return await self.client.send(signed, timeout_s, max_bytes)
        except HttpFailure as failure:
            raise AwsFailure("Unreachable", is_fault=True) from failure


def _refused(answer: HttpResponse) -> AwsFailure:
    code = answer.headers.get("x-amzn-errortype", "").partition(":")[0] or f"Status{answer.status}"
    return AwsFailure(code, is_fault=answer.status >= 500)
