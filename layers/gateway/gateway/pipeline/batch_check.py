"""One line of a batch, checked as the request that it stands for, before anything is paid."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from gateway.model.batch import MAX_LINE_BYTES, PartLine, Processing, Way
from gateway.model.call import Call
from gateway.model.errors import (
    AdmissionUnavailable,
    GatewayError,
    InvalidRequest,
    ScopeMissing,
    StorageUnavailable,
    UnreadableBody,
)
from gateway.model.tenant import Principal
from gateway.model.wire import Inbound
from gateway.pipeline.batch_endpoints import LINE_ENDPOINTS, LineEndpoint
from gateway.pipeline.batch_input import InputLine
from gateway.pipeline.batch_way import NativeLine, native_line
from gateway.pipeline.decode import decoded
from gateway.ports import World

JSON = "application/json"
_NOT_OF_A_LINE = ("async_", "webhook_url", "fallback", "fallbacks", "models")


class Line(Inbound, frozen=True, kw_only=True):
    """Source: https://platform.openai.com/docs/guides/batch#1-prepare-your-batch-file. `endpoint`: as `url`."""

    custom_id: Annotated[str, Meta(min_length=1, max_length=512)]
    method: Literal["POST"] = "POST"
    url: str | None = None
    endpoint: str | None = None
    body: Raw


_LINE = msgspec.json.Decoder(Line)


class Checked(msgspec.Struct, frozen=True):
    """`model`: "provider/model" that it is for. `api`: of a native one, as its group has it."""

    endpoint: str
    model: str
    line: PartLine
    way: Way = "fan_out"
    api: str = ""


class LineCheck(msgspec.Struct):
    """Of all lines of one batch. `endpoint`: of all, None where each names its own. `processing`: as it was ordered."""

    endpoint: str | None
    principal: Principal
    world: World
    processing: Processing = "auto"
    _known: set[bytes] = msgspec.field(default_factory=set)

    async def checked(self, line: InputLine) -> Checked:
        """Raises GatewayError, whose `param` is a member of the line; StorageUnavailable and AdmissionUnavailable (503)
        when nobody can tell.
        """
        if line.data is None:
            raise InvalidRequest(f"A line has at most {MAX_LINE_BYTES} bytes.")
        try:
            found = decoded(line.data, _LINE)
        except UnreadableBody as error:
            raise UnreadableBody(f"The line is not valid JSON: {error.message.partition(': ')[2]}") from None
        self._refuse_again(found.custom_id)
        path = self._endpoint_of(found)
        endpoint = LINE_ENDPOINTS[path]
        if not self.principal.key.allows(endpoint.operation):
            raise ScopeMissing(f"This key is not for {endpoint.operation}.", param="url")
        try:
            call = endpoint.read(JSON, bytes(found.body))
            _refuse_what_no_line_may(call, self.principal)
            native = await self._native(call, endpoint)
            demand = native.demand if native else (await endpoint.plan(call, self.principal, self.world)).demand
        except (StorageUnavailable, AdmissionUnavailable):
            raise
        except GatewayError as error:
            error.param = f"body.{error.param}" if error.param else "body"
            raise
        held = PartLine(
            line=line.number, custom_id=found.custom_id, held_nano_usd=demand.cost_nano_usd, body=found.body
        )
        if native is None:
            return Checked(path, demand.model_id, held)
        return Checked(path, demand.model_id, held, "native", native.api)

    async def _native(self, call: Call, endpoint: LineEndpoint) -> NativeLine | None:
        if self.processing == "direct":
            return None
        return await native_line(call, endpoint, self.principal, self.world)

    def _refuse_again(self, custom_id: str) -> None:
        digest = hashlib.blake2b(custom_id.encode(), digest_size=12).digest()
        if digest in self._known:
            raise InvalidRequest("Another line has this custom_id.", param="custom_id")
        self._known.add(digest)

    def _endpoint_of(self, line: Line) -> str:
        if line.url is not None and line.endpoint is not None:
            raise InvalidRequest("url and endpoint say the same; send one.", param="endpoint")
        named = line.url or line.endpoint
        param = "endpoint" if line.endpoint else "url"
        if self.endpoint is not None and named not in (None, self.endpoint):
            raise InvalidRequest(f"This batch is for {self.endpoint}.", param=param)
        path = named or self.endpoint
        if path not in LINE_ENDPOINTS:
            raise InvalidRequest(f"{param} is one of {', '.join(LINE_ENDPOINTS)}.", param=param)
        return path


def of_lines(principal: Principal) -> Principal:
    """No line is answered by another model than it names."""
    return msgspec.structs.replace(principal, tenant=msgspec.structs.replace(principal.tenant, fallbacks=()))


def _refuse_what_no_line_may(call: Call, principal: Principal) -> None:
    """All lines are held for in one user's account, so none is another's."""
    if principal.tenant.group(call.model) is not None:
        raise InvalidRequest(f"A line of a batch names one model, and '{call.model}' is a group.", param="model")
    if call.is_streamed:
        raise InvalidRequest("A line of a batch is not streamed.", param="stream")
    if call.user not in (None, principal.user.id):
        raise InvalidRequest("Every line of a batch is its key's own user's; leave user out.", param="user")
    for name in _NOT_OF_A_LINE:
        if getattr(call, name):
            raise InvalidRequest("A line of a batch cannot have this.", param=name.rstrip("_"))
