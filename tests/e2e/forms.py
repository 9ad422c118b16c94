"""What each API has to receive, written from the providers' references, independently of the gateway's wires.

Every form gives the exact members of a request body for the one conversation of the matrix.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

Json = dict[str, Any]


class Tool(NamedTuple):
    name: str
    description: str
    parameters: Json


class Media(NamedTuple):
    """`content`: base64. `name`: of documents."""

    content_type: str
    content: str
    name: str = ""

    @property
    def subtype(self) -> str:
        return self.content_type.partition("/")[2]

    @property
    def words(self) -> str:
        """Of a text."""
        return base64.b64decode(self.content).decode()

    @property
    def data_url(self) -> str:
        return f"data:{self.content_type};base64,{self.content}"


class Result(NamedTuple):
    call_id: str
    name: str
    text: str


class Form(ABC):
    """One API. `conversation`: the member of the body that holds the messages."""

    conversation: ClassVar[str] = "messages"

    @abstractmethod
    def tools(self, tools: Sequence[Tool]) -> Json:
        """The members of the body that define tools."""

    @abstractmethod
    def forced(self, tool: Tool) -> Json:
        """The members for one tool that has to be called, once where the API has a word for that."""

    def user(self, text: str, *media: Json) -> Json:
        """A user message. Text alone is sent as a string, where the API takes one."""
        return {"role": "user", "content": [{"type": "text", "text": text}, *media] if media else text}

    def said(self, text: str) -> Json:
        """An earlier reply that is text alone."""
        return {"role": "assistant", "content": text}

    @abstractmethod
    def called(self, message: Json) -> list[Json]:
        """An earlier reply with tool calls, as the client got it and sends it back."""

    @abstractmethod
    def results(self, results: Sequence[Result]) -> list[Json]:
        """The results of those calls."""

    def ordered(self, results: Sequence[Result]) -> Sequence[Result]:
        """The results in the order in which the API gets them."""
        return results

    def image(self, media: Media) -> Json | None:
        """A part of a message; None where the API has none."""
        return None

    def document(self, media: Media) -> Json | None:
        """As `image`."""
        return None

    def text(self, media: Media) -> Json | None:
        """A document that is text; as `image`."""
        return None

    def word(self, media: Media) -> Json | None:
        """A Word document; as `image`."""
        return self.document(media)

    def audio(self, media: Media) -> Json | None:
        """As `image`."""
        return None

    def video(self, media: Media) -> Json | None:
        """As `image`."""
        return None

    @abstractmethod
    def schema(self, body: Json) -> Json:
        """The schema that the reply is natively held to."""


FUNCTION = ("name", "arguments")
"""Of a call; the SDK leaves members of its own there."""


def arguments(call: Json) -> Json:
    found: Json = json.loads(call["function"]["arguments"])
    return found


@dataclass(frozen=True)
class ChatForm(Form):
    """https://platform.openai.com/docs/api-reference/chat/create and the references of those who speak it.

    `returned`: the member of an assistant message that takes reasoning back; "content" for Mistral's parts.
    """

    returned: Literal["", "reasoning", "reasoning_content", "reasoning_details", "content"] = ""
    document_as: Literal["", "file", "document_url", "file_url"] = ""
    bare_audio: bool = False

    def tools(self, tools: Sequence[Tool]) -> Json:
        return {"tools": [{"type": "function", "function": tool._asdict()} for tool in tools]}

    def forced(self, tool: Tool) -> Json:
        return {**self.tools([tool]), "tool_choice": {"type": "function", "function": {"name": tool.name}}}

    def called(self, message: Json) -> list[Json]:
        calls = [
            {"id": call["id"], "type": "function", "function": {name: call["function"][name] for name in FUNCTION}}
            for call in message["tool_calls"]
        ]
        turn: Json = {"role": "assistant", "content": None, "tool_calls": calls}
        if self.returned == "content":
            turn["content"] = message.get("reasoning_details")
        elif self.returned and "reasoning_content" in message:
            name = "reasoning" if self.returned == "reasoning_details" else self.returned
            turn[name] = message["reasoning_content"]
        if self.returned == "reasoning_details" and "reasoning_details" in message:
            turn["reasoning_details"] = message["reasoning_details"]
        return [turn]

    def results(self, results: Sequence[Result]) -> list[Json]:
        return [{"role": "tool", "tool_call_id": call_id, "content": text} for call_id, _, text in results]

    def image(self, media: Media) -> Json:
        return {"type": "image_url", "image_url": {"url": media.data_url}}

    def document(self, media: Media) -> Json | None:
        return {
            "": None,
            "file": {"type": "file", "file": {"file_data": media.data_url, "filename": media.name}},
            "document_url": {"type": "document_url", "document_url": media.data_url, "document_name": media.name},
            "file_url": {"type": "file_url", "file_url": {"url": media.content}, "file_name": media.name},
        }[self.document_as]

    def text(self, media: Media) -> Json:
        return {"type": "text", "text": f"{media.name}:\n{media.words}"}

    def audio(self, media: Media) -> Json:
        audio = media.content if self.bare_audio else {"data": media.content, "format": media.subtype}
        return {"type": "input_audio", "input_audio": audio}

    def video(self, media: Media) -> Json:
        return {"type": "video_url", "video_url": {"url": media.data_url}}

    def schema(self, body: Json) -> Json:
        found: Json = body["response_format"]["json_schema"]["schema"]
        return found


class CohereForm(ChatForm):
    """https://docs.cohere.com/reference/chat: thoughts and the plan go back beside the calls."""

    def forced(self, tool: Tool) -> Json:
        return {**self.tools([tool]), "tool_choice": "REQUIRED"}

    def called(self, message: Json) -> list[Json]:
        (turn,) = super().called(message)
        thoughts = [
            {"type": "thinking", "thinking": block["thinking"]}
            for block in message.get("reasoning_details", ())
            if block["type"] == "cohere.thinking"
        ]
        plans = [block["tool_plan"] for block in message["reasoning_details"] if block["type"] == "cohere.tool_plan"]
        del turn["content"]
        return [{**turn, "tool_plan": "".join(plans), **({"content": thoughts} if thoughts else {})}]

    def schema(self, body: Json) -> Json:
        found: Json = body["response_format"]["json_schema"]
        return found


class MessagesForm(Form):
    """https://platform.claude.com/docs/en/api/messages"""

    def tools(self, tools: Sequence[Tool]) -> Json:
        return {"tools": [{"name": name, "description": said, "input_schema": schema} for name, said, schema in tools]}

    def forced(self, tool: Tool) -> Json:
        choice = {"type": "tool", "name": tool.name, "disable_parallel_tool_use": True}
        return {**self.tools([tool]), "tool_choice": choice}

    def called(self, message: Json) -> list[Json]:
        uses = [
            {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": arguments(call)}
            for call in message["tool_calls"]
        ]
        return [{"role": "assistant", "content": [*details(message), *uses]}]

    def results(self, results: Sequence[Result]) -> list[Json]:
        blocks = [{"type": "tool_result", "tool_use_id": call_id, "content": text} for call_id, _, text in results]
        return [{"role": "user", "content": blocks}]

    def image(self, media: Media) -> Json:
        return {"type": "image", "source": _base64(media)}

    def document(self, media: Media) -> Json:
        return {"type": "document", "source": _base64(media), "title": media.name}

    def text(self, media: Media) -> Json:
        source = {"type": "text", "media_type": "text/plain", "data": media.words}
        return {"type": "document", "source": source, "title": media.name}

    def schema(self, body: Json) -> Json:
        found: Json = body["output_config"]["format"]["schema"]
        return found


def _base64(media: Media) -> Json:
    return {"type": "base64", "media_type": media.content_type, "data": media.content}


class GeminiForm(Form):
    """https://ai.google.dev/api/caching#Content"""

    conversation = "contents"

    def tools(self, tools: Sequence[Tool]) -> Json:
        declared = [{"name": name, "description": said, "parametersJsonSchema": schema} for name, said, schema in tools]
        return {"tools": [{"functionDeclarations": declared}]}

    def forced(self, tool: Tool) -> Json:
        mode = {"mode": "ANY", "allowedFunctionNames": [tool.name]}
        return {**self.tools([tool]), "toolConfig": {"functionCallingConfig": mode}}

    def user(self, text: str, *media: Json) -> Json:
        return {"role": "user", "parts": [{"text": text}, *media]}

    def said(self, text: str) -> Json:
        return {"role": "model", "parts": [{"text": text}]}

    def called(self, message: Json) -> list[Json]:
        return [{"role": "model", "parts": [_function_call(call) for call in message["tool_calls"]]}]

    def results(self, results: Sequence[Result]) -> list[Json]:
        parts = [
            {"functionResponse": {"id": call_id, "name": name, "response": {"output": text}}}
            for call_id, name, text in results
        ]
        return [{"role": "user", "parts": parts}]

    def image(self, media: Media) -> Json:
        return {"inlineData": {"mimeType": media.content_type, "data": media.content}}

    document = audio = video = image

    def text(self, media: Media) -> Json:
        return {"inlineData": {"mimeType": "text/plain", "data": media.content}}

    def schema(self, body: Json) -> Json:
        found: Json = body["generationConfig"]["responseJsonSchema"]
        return found


class VertexForm(GeminiForm):
    """Without ids: https://github.com/vercel/ai/issues/15664. The results have to be in the order of the calls."""

    def called(self, message: Json) -> list[Json]:
        (turn,) = super().called(message)
        for part in turn["parts"]:
            del part["functionCall"]["id"]
        return [turn]

    def results(self, results: Sequence[Result]) -> list[Json]:
        (turn,) = super().results(self.ordered(results))
        for part in turn["parts"]:
            del part["functionResponse"]["id"]
        return [turn]

    def ordered(self, results: Sequence[Result]) -> Sequence[Result]:
        return results[::-1]


def _function_call(call: Json) -> Json:
    signature = call.get("extra_content", {}).get("google", {}).get("thought_signature")
    part = {"functionCall": {"id": call["id"], "name": call["function"]["name"], "args": arguments(call)}}
    return part if signature is None else {**part, "thoughtSignature": signature}


class ConverseForm(Form):
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"""

    def tools(self, tools: Sequence[Tool]) -> Json:
        specs = [{"name": name, "description": said, "inputSchema": {"json": schema}} for name, said, schema in tools]
        return {"toolConfig": {"tools": [{"toolSpec": spec} for spec in specs]}}

    def forced(self, tool: Tool) -> Json:
        return {"toolConfig": {**self.tools([tool])["toolConfig"], "toolChoice": {"tool": {"name": tool.name}}}}

    def user(self, text: str, *media: Json) -> Json:
        return {"role": "user", "content": [{"text": text}, *media]}

    def said(self, text: str) -> Json:
        return {"role": "assistant", "content": [{"text": text}]}

    def called(self, message: Json) -> list[Json]:
        thoughts = [{"reasoningContent": detail["reasoningContent"]} for detail in details(message)]
        uses = [
            {"toolUse": {"toolUseId": call["id"], "name": call["function"]["name"], "input": arguments(call)}}
            for call in message["tool_calls"]
        ]
        return [{"role": "assistant", "content": [*thoughts, *uses]}]

    def results(self, results: Sequence[Result]) -> list[Json]:
        blocks = [{"toolResult": {"toolUseId": call_id, "content": [{"text": text}]}} for call_id, _, text in results]
        return [{"role": "user", "content": blocks}]

    def image(self, media: Media) -> Json:
        return {"image": {"format": media.subtype, "source": {"bytes": media.content}}}

    def document(self, media: Media) -> Json:
        name = media.name.partition(".")[0]  # which may hold no dot
        return {"document": {"format": media.subtype, "source": {"bytes": media.content}, "name": name}}

    def text(self, media: Media) -> Json:
        return {"document": {**self.document(media)["document"], "format": "txt"}}

    def word(self, media: Media) -> Json:
        return {"document": {**self.document(media)["document"], "format": "docx"}}

    def audio(self, media: Media) -> Json:
        return {"audio": self.image(media)["image"]}

    def video(self, media: Media) -> Json:
        return {"video": self.image(media)["image"]}

    def schema(self, body: Json) -> Json:
        found: Json = json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
        return found


class ResponsesForm(Form):
    """https://platform.openai.com/docs/api-reference/responses/create"""

    conversation = "input"

    def tools(self, tools: Sequence[Tool]) -> Json:
        return {"tools": [{"type": "function", **tool._asdict(), "strict": False} for tool in tools]}

    def forced(self, tool: Tool) -> Json:
        return {**self.tools([tool]), "tool_choice": {"type": "function", "name": tool.name}}

    def user(self, text: str, *media: Json) -> Json:
        return {"role": "user", "content": [{"type": "input_text", "text": text}, *media] if media else text}

    def called(self, message: Json) -> list[Json]:
        thoughts = [
            detail["item"] for detail in message.get("reasoning_details", ()) if detail["type"] == "responses.item"
        ]
        calls = [
            {
                "type": "function_call",
                "call_id": call["id"],
                "name": call["function"]["name"],
                "arguments": call["function"]["arguments"],
            }
            for call in message["tool_calls"]
        ]
        return [*thoughts, *calls]

    def results(self, results: Sequence[Result]) -> list[Json]:
        return [{"type": "function_call_output", "call_id": call_id, "output": text} for call_id, _, text in results]

    def image(self, media: Media) -> Json:
        return {"type": "input_image", "image_url": media.data_url}

    def document(self, media: Media) -> Json:
        return {"type": "input_file", "filename": media.name, "file_data": media.data_url}

    def text(self, media: Media) -> Json:
        return {"type": "input_text", "text": f"{media.name}:\n{media.words}"}

    def schema(self, body: Json) -> Json:
        found: Json = body["text"]["format"]["schema"]
        return found


def details(message: Json) -> list[Json]:
    """Without the gateway's own mark of the model that thought."""
    return [detail for detail in message.get("reasoning_details", ()) if detail["type"] != "model"]
