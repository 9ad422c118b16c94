"""Reading and checking a request to Gemini's generateContent. Names may be camelCase or snake_case, as in protobuf."""

import re
from typing import Any

from local.simulators.providers.conversation import demanded_schema
from local.simulators.providers.google_schema import check_schema
from local.simulators.script import TOKENS_PER_MEDIA, TOKENS_PER_MESSAGE, Prompt, count_tokens
from local.simulators.switches import strip_directives
from local.simulators.wire import (
    ANY,
    FLAG,
    LIST,
    OBJECT,
    TEXT,
    Json,
    Parts,
    Refused,
    Rule,
    check_messages,
    check_parameters,
    decimal,
    encode,
    integer,
    note_base64,
)

BODY: dict[str, Rule] = {
    "cachedContent": TEXT,
    "contents": LIST,
    "generationConfig": OBJECT,
    "labels": OBJECT,
    "model": TEXT,
    "safetySettings": LIST,
    "serviceTier": TEXT,
    "store": FLAG,
    "systemInstruction": ANY,
    "toolConfig": OBJECT,
    "tools": LIST,
}
CONFIG: dict[str, Rule] = {
    "candidateCount": integer(1, 8),
    "enableEnhancedCivicAnswers": FLAG,
    "frequencyPenalty": decimal(-2, 2),
    "imageConfig": OBJECT,
    "logprobs": integer(0, 20),
    "maxOutputTokens": integer(1, 65_536),
    "mediaResolution": TEXT,
    "presencePenalty": decimal(-2, 2),
    "responseJsonSchema": ANY,
    "responseLogprobs": FLAG,
    "responseMimeType": TEXT,
    "responseModalities": LIST,
    "responseSchema": ANY,
    "seed": integer(),
    "speechConfig": OBJECT,
    "stopSequences": LIST,
    "temperature": decimal(0, 2),
    "thinkingConfig": OBJECT,
    "topK": decimal(1),
    "topP": decimal(0, 1),
}
READ = re.compile(
    r"image/(png|jpeg|webp|heic|heif)|audio/.+|video/(mp4|mpeg|mpg|quicktime|mov|x-msvideo|avi|x-flv|webm|wmv|3gpp)"
    r"|application/pdf|text/(plain|html|css|md|csv|xml|rtf)|application/x-javascript|text/x-python"
)
"""https://ai.google.dev/gemini-api/docs/image-understanding, /video-understanding, /document-processing; for JSON:
https://github.com/agno-agi/agno/issues/3964
"""
ROLES = ("user", "model", "function", None)
_UNDERSCORE = re.compile(r"_([a-z])")


def camel(fields: Any) -> Json:
    """The same object with camelCase names, at this level only."""
    if not isinstance(fields, dict):
        return {}
    return {_UNDERSCORE.sub(lambda found: found.group(1).upper(), name): value for name, value in fields.items()}


def read_request(model: str, body: Json) -> tuple[Prompt, dict[str, str], bool]:
    """The neutral prompt, the directives, and whether thoughts are shown. Raises Refused."""
    body = camel(body)
    config = camel(body.get("generationConfig"))
    _check(body, BODY, "")
    _check(config, CONFIG, "generation_config.")
    check_messages(body.get("contents") or [], "contents")
    wants_schema = config.get("responseSchema") is not None or config.get("responseJsonSchema") is not None
    if wants_schema and config.get("responseMimeType") != "application/json":
        message = "A response schema needs response_mime_type 'application/json'."
        raise Refused("out_of_range", message, param="generation_config.response_mime_type")
    check_schema(config.get("responseJsonSchema"), "generation_config.response_json_schema")
    prompt = _prompt(model, config, wants_schema)
    settings = _read_contents(body, prompt)
    _read_tools(body, prompt)
    if prompt.json_object and prompt.tools and (prompt.must_call or not model.startswith("gemini-3")):
        message = "Function calling with a response mime type: 'application/json' is unsupported"
        raise Refused("unsupported_parameter", message, param="generation_config.response_mime_type")
    thinking = camel(config.get("thinkingConfig"))
    prompt.reasoning = bool(thinking) and thinking.get("thinkingBudget") != 0
    return prompt, settings, bool(thinking.get("includeThoughts"))


def _check(fields: Json, rules: dict[str, Rule], prefix: str) -> None:
    try:
        check_parameters(fields, rules, strict=True)
    except Refused as refused:
        if refused.kind != "unknown_parameter":
            raise
        message = f'Invalid JSON payload received. Unknown name "{refused.param}": Cannot find field.'
        raise Refused("unknown_parameter", message, param=f"{prefix}{refused.param}") from None


def _prompt(model: str, config: Json, wants_schema: bool) -> Prompt:
    prompt = Prompt(model=model, n=config.get("candidateCount") or 1, stop=config.get("stopSequences") or [])
    prompt.max_tokens = config.get("maxOutputTokens")
    if wants_schema:
        prompt.schema = config.get("responseSchema") or config.get("responseJsonSchema")
    prompt.json_object = config.get("responseMimeType") == "application/json"
    return prompt


def _read_contents(body: Json, prompt: Prompt) -> dict[str, str]:
    system = _read_parts(body.get("systemInstruction"), "system_instruction")[0]
    prompt.input_tokens = count_tokens(system.text)
    prompt.schema = next((found for text in system.texts if (found := demanded_schema(text))), prompt.schema)
    settings: dict[str, str] = {}
    for at, content in enumerate(body["contents"]):
        where = f"contents[{at}]"
        if content.get("role") not in ROLES:
            raise Refused("wrong_type", "Please use a valid role: user, model.", param=f"{where}.role")
        if not content.get("parts"):
            raise Refused("empty", "contents.parts must not be empty.", param=f"{where}.parts")
        parts, results = _read_parts(content, where)
        text, found = strip_directives(parts.text)
        prompt.input_tokens += TOKENS_PER_MESSAGE + count_tokens(text) + TOKENS_PER_MEDIA * len(parts.media)
        if content.get("role") != "model":
            prompt.tool_results = results
            if text or parts.media:
                prompt.user_text, prompt.media, settings = text, parts.media, found
    return settings


def _read_parts(content: Any, where: str) -> tuple[Parts, list[str]]:
    parts: Parts = Parts([], [])
    results: list[str] = []
    given = content.get("parts") if isinstance(content, dict) else None
    for at, part in enumerate([given] if isinstance(given, dict) else given or ()):
        try:
            _read_part(camel(part), parts, results)
        except (KeyError, TypeError, AttributeError):
            raise Refused("wrong_type", "Invalid value for a part.", param=f"{where}.parts[{at}]") from None
    return parts, results


def _read_part(part: Json, parts: Parts, results: list[str]) -> None:
    if "text" in part:
        if not part.get("thought"):
            parts.texts.append(part["text"] + "")
    elif "inlineData" in part:
        blob = camel(part["inlineData"])
        if not READ.fullmatch(blob["mimeType"]):
            raise Refused("wrong_type", f"Unsupported MIME type: {blob['mimeType']}", param="contents")
        parts.media.append(note_base64(_kind(blob["mimeType"]), blob["mimeType"], blob["data"]))
    elif "fileData" in part:
        file = camel(part["fileData"])
        if "storedBytes" in file:
            parts.media.append(f"[{_kind(file['mimeType'])} file {file['mimeType']} {file['storedBytes']} bytes]")
            return
        parts.media.append(f"[{_kind(file.get('mimeType') or '')} url {file['fileUri']}]")
    elif "functionResponse" in part:
        _check_references(part["functionResponse"])
        results.append(_result(part["functionResponse"]["response"]))
        for inside in part["functionResponse"].get("parts", ()):
            _read_part({"inlineData": camel(inside)["inlineData"]}, parts, results)
    elif "functionCall" not in part:
        raise KeyError("a part needs data")


def _check_references(result: Json) -> None:
    """Source: https://github.com/googleapis/python-genai/issues/2268"""
    named = {camel(camel(inside)["inlineData"]).get("displayName") for inside in result.get("parts", ())}
    left = [result["response"]]
    while left:
        held = left.pop()
        if isinstance(held, dict) and "$ref" in held and held["$ref"] not in named:
            message = (
                f"The referenced name `{held['$ref']}` in function_response.response does not match to a display_name"
                " in the function_response.parts."
            )
            raise Refused("wrong_type", message)
        left += held.values() if isinstance(held, dict) else held if isinstance(held, list) else ()


def _result(response: Json) -> str:
    """Text of a tool result: SDKs wrap plain text as `{"result": text}` or `{"output": text}`."""
    values = list(response.values())
    return values[0] if len(values) == 1 and isinstance(values[0], str) else encode(response).decode()


def _kind(content_type: str) -> str:
    family = content_type.partition("/")[0]
    return family if family in ("image", "audio", "video") else "document"


def _read_tools(body: Json, prompt: Prompt) -> None:
    tools = body.get("tools") or []
    for tool in tools:
        for declaration in camel(tool).get("functionDeclarations") or ():
            function = camel(declaration)
            if "name" not in function:
                raise Refused("missing_parameter", "A function declaration needs a name.", param="tools")
            check_schema(function.get("parametersJsonSchema"), f"tools.{function['name']}.parameters")
            prompt.tools[function["name"]] = function.get("parameters") or function.get("parametersJsonSchema")
    if tools:
        prompt.input_tokens += len(encode(tools)) // 4
    calling = camel(camel(body.get("toolConfig")).get("functionCallingConfig"))
    prompt.must_call = calling.get("mode") == "ANY"
    if calling.get("mode") == "NONE":
        prompt.tool_choice = "none"
    allowed = calling.get("allowedFunctionNames")
    if prompt.must_call and allowed:
        prompt.tool_choice = allowed[0]
