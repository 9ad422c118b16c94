"""Tools of a realtime session: every form becomes a function, and its name the client's own again on the way back."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec.structs import replace

from gateway.gts.naming import Names, provider_name
from gateway.model.chat import ChatCall, Function, Json, UserMessage
from gateway.model.chat import FunctionTool as ChatFunctionTool
from gateway.model.chat import Tool as ChatTool
from gateway.model.errors import Detail, GatewayError
from gateway.model.realtime import (
    CreateItem,
    CreateResponse,
    FunctionTool,
    NamedTool,
    ProviderEvent,
    ResponseOptions,
    SessionConfig,
    SessionUpdate,
    Tool,
)
from gateway.model.realtime_events import ServerEvent
from gateway.model.realtime_items import FunctionCallItem
from gateway.pipeline.tools import with_functions
from gateway.ports import Types

C = TypeVar("C", SessionConfig, ResponseOptions)


async def to_functions(event: ProviderEvent, tenant_id: str, types: Types) -> tuple[ProviderEvent, Names]:
    """The event as a provider takes it, and the way back to the client's own names of the tools in it.

    Raises InvalidRequest (400), SchemaNotFound (422), StorageUnavailable (503).
    """
    if isinstance(event, SessionUpdate):
        session, names = await _resolved(event.session, "session", tenant_id, types)
        return replace(event, session=session), names
    if isinstance(event, CreateResponse) and event.response is not None:
        response, names = await _resolved(event.response, "response", tenant_id, types)
        return replace(event, response=response), names
    if isinstance(event, CreateItem) and isinstance(event.item, FunctionCallItem):
        return replace(event, item=replace(event.item, name=provider_name(event.item.name))), Names()
    return event, Names()


def in_own_names(event: ServerEvent, names: Names) -> ServerEvent:
    """The event with the client's own names of its functions, wherever OpenAI's events have one."""
    if not names.own:
        return event
    changed = dict(event)
    if isinstance(event.get("name"), str):
        changed["name"] = names.back(event["name"])
    if isinstance(event.get("item"), dict):
        changed["item"] = _named(event["item"], names)
    for holder, member in (("response", "output"), ("session", "tools")):
        if isinstance(inner := event.get(holder), dict) and isinstance(listed := inner.get(member), list):
            changed[holder] = {**inner, member: [_named(one, names) for one in listed]}
    return changed


def _named(item: Any, names: Names) -> Any:
    if not isinstance(item, dict) or not isinstance(name := item.get("name"), str):
        return item
    return {**item, "name": names.back(name)}


async def _resolved(said: C, where: str, tenant_id: str, types: Types) -> tuple[C, Names]:
    """By the same steps as the tools of a chat."""
    changes: Json = {}
    if isinstance(choice := said.tool_choice, NamedTool):
        changes["tool_choice"] = replace(choice, name=provider_name(choice.name))
    names = Names()
    if said.tools:
        call = ChatCall(
            model=where, messages=[UserMessage(content="")], tools=[_chat_tool(tool) for tool in said.tools]
        )
        try:
            resolved, names = await with_functions(call, tenant_id, types)
        except GatewayError as refused:
            raise _below(refused, where) from None
        changes["tools"] = [_function(tool) for tool in resolved.tools or ()]
    return (replace(said, **changes) if changes else said), names


def _chat_tool(tool: Tool) -> ChatTool:
    if not isinstance(tool, FunctionTool):
        return tool
    return ChatFunctionTool(function=Function(name=tool.name, description=tool.description, parameters=tool.parameters))


def _function(tool: ChatTool) -> Tool:
    if not isinstance(tool, ChatFunctionTool):
        return tool
    function = tool.function
    return FunctionTool(name=function.name, description=function.description, parameters=function.parameters)


def _below(refused: GatewayError, where: str) -> GatewayError:
    """Names the places as the client numbered them."""
    at = f"{where}.{refused.param}" if refused.param else where
    refused.message = refused.message.replace(f"'{refused.param}'", f"'{at}'")
    refused.param = at
    refused.details = tuple(Detail(f"/{where}{detail.pointer}", detail.reason) for detail in refused.details)
    return refused
