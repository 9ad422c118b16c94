"""Tools and schemas of a call: references to registered types are looked up and every form becomes a function."""

from __future__ import annotations

from functools import partial

from gateway.gts.gather import gather
from gateway.gts.naming import Names
from gateway.gts.tools import needed_ids, resolve_tools
from gateway.model.chat import ChatCall
from gateway.ports import Types


async def with_functions(call: ChatCall, tenant_id: str, types: Types) -> tuple[ChatCall, Names]:
    """The call with function tools only, and the way back to the client's own names.

    Raises InvalidRequest (400), SchemaNotFound (422), StorageUnavailable (503).
    """
    schemas = await gather(partial(needed_ids, call), partial(types.find, tenant_id))
    return resolve_tools(call, schemas)
