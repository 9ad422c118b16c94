"""Functions of the account, invoked and waited for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from gateway.adapters.aws.api import AwsFailure
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.http_client import HttpClient, HttpFailure
from gateway.model.http import HttpRequest
from gateway.ports import Clock
from gateway.providers.wire.sigv4 import Scope, sign

FUNCTION_ERROR = "FunctionError"


@dataclass(frozen=True, slots=True)
class LambdaApi:
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
        path = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
        request = HttpRequest("POST", self.url + path, {"content-type": "application/json"}, payload)
        now = datetime.fromtimestamp(self.clock.now_s(), UTC)
        try:
            signed = sign(request, await self.keys.current(), Scope(self.region, "lambda"), now)
            answer = await self.client.send(signed, timeout_s, max_bytes)
        except HttpFailure as failure:
            raise AwsFailure("Unreachable", is_fault=True) from failure
        if answer.status != 200:
            code = answer.headers.get("x-amzn-errortype", "").partition(":")[0] or f"Status{answer.status}"
            raise AwsFailure(code, is_fault=answer.status >= 500)
        if "x-amz-function-error" in answer.headers:
            raise AwsFailure(FUNCTION_ERROR, is_fault=False)
        return answer.body
