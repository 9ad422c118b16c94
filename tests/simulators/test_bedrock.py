"""The simulated Bedrock runtime, driven by the unmodified official SDK."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from gateway.model.catalog import ModelFacts
from gateway.model.chat import ChatCall
from gateway.model.fold import fold
from gateway.model.http import Credential, HttpResponse
from gateway.model.reply import Reply
from gateway.model.secret import AwsKeys, Secret
from gateway.providers.bedrock import PROVIDER
from gateway.providers.contract import Target
from tests.simulators.process import KEY, Simulator

MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
ADD: Any = {
    "toolSpec": {
        "name": "add",
        "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
    }
}
THINK = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def connected(simulator: Simulator, **keys: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, region_name="eu-west-1")
    return boto3.client("bedrock-runtime", endpoint_url=f"{simulator.url}/bedrock", config=config, **keys)


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Any]:
    """Signs its requests."""
    client = connected(simulator, aws_access_key_id="sim-key", aws_secret_access_key="secret")  # noqa: S106
    yield client
    client.close()


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": [{"text": text}]}]


def ask(client: Any, text: str, **members: Any) -> Any:
    return client.converse(modelId=MODEL, **{"messages": said(text), **members})


def events(client: Any, text: str, **members: Any) -> list[tuple[str, Any]]:
    with closing(client.converse_stream(modelId=MODEL, messages=said(text), **members)["stream"]) as stream:
        return [pair for event in stream for pair in event.items()]


def test_converse(client: Any) -> None:
    reply = ask(client, "Hello", system=[{"text": "Be brief."}], inferenceConfig={"maxTokens": 50, "temperature": 0.5})
    assert reply["output"]["message"] == {"role": "assistant", "content": [{"text": "You said: Hello"}]}
    assert reply["stopReason"] == "end_turn"
    counts = reply["usage"]
    assert (counts["inputTokens"], counts["outputTokens"], counts["totalTokens"]) == (6, 3, 9)


def test_stream(client: Any) -> None:
    found = events(client, "Hello [[cached_tokens=100 cache_write_tokens=20 prompt_tokens=150]]")
    pieces = [payload["delta"]["text"] for name, payload in found if name == "contentBlockDelta"]
    assert "".join(pieces) == "You said: Hello"
    assert [name for name, _ in found] == [
        *("messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockDelta"),
        *("contentBlockStop", "messageStop", "metadata"),
    ]
    counts = found[-1][1]["usage"]
    assert (counts["inputTokens"], counts["cacheReadInputTokens"], counts["cacheWriteInputTokens"]) == (30, 100, 20)
    assert counts["totalTokens"] == 153


def test_tools(client: Any) -> None:
    tools = {"tools": [ADD]}
    question = 'call add {"a": 1}\ncall add {"a": 2}'
    reply = ask(client, question, toolConfig=tools)
    uses = [block["toolUse"] for block in reply["output"]["message"]["content"]]
    assert [use["input"] for use in uses] == [{"a": 1}, {"a": 2}]
    assert reply["stopReason"] == "tool_use"
    results = [{"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "3"}]}} for use in uses]
    turns = [*said(question), reply["output"]["message"], {"role": "user", "content": results}]
    assert (
        ask(client, "", messages=turns, toolConfig=tools)["output"]["message"]["content"][0]["text"] == "Tool said: 3 3"
    )
    with pytest.raises(ClientError, match="toolConfig field must be defined"):
        ask(client, "", messages=turns)
    with pytest.raises(ClientError, match="do not match"):
        ask(client, "", messages=[*turns[:2], {"role": "user", "content": results[:1]}], toolConfig=tools)


def test_streamed_and_forced_tools(client: Any) -> None:
    choice = {"tools": [ADD], "toolChoice": {"tool": {"name": "add"}}}
    found = events(client, "Hello", toolConfig=choice)
    start = next(payload["start"]["toolUse"] for name, payload in found if name == "contentBlockStart")
    pieces = [payload["delta"]["toolUse"]["input"] for name, payload in found if name == "contentBlockDelta"]
    assert (start["name"], json.loads("".join(pieces))) == ("add", {"a": 1})
    assert dict(found)["messageStop"]["stopReason"] == "tool_use"


def test_reasoning(client: Any) -> None:
    reply = ask(client, "Hello", additionalModelRequestFields=THINK, inferenceConfig={"maxTokens": 2000})
    thought = reply["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"]
    assert (thought["text"], bool(thought["signature"])) == ("Considering: Hello", True)
    deltas = [
        payload["delta"]
        for name, payload in events(client, "Hello", additionalModelRequestFields=THINK)
        if name == "contentBlockDelta"
    ]
    assert (
        "".join(delta["reasoningContent"].get("text", "") for delta in deltas if "reasoningContent" in delta)
        == "Considering: Hello"
    )
    with pytest.raises(ClientError, match="budget_tokens"):
        ask(client, "Hello", additionalModelRequestFields=THINK, inferenceConfig={"maxTokens": 1024})


def test_structured_output(client: Any) -> None:
    def asked_for(**members: Any) -> Any:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], **members}
        structure = {"jsonSchema": {"name": "n", "schema": json.dumps(schema)}}
        return ask(client, "Hello", outputConfig={"textFormat": {"type": "json_schema", "structure": structure}})

    reply = asked_for(additionalProperties=False)
    assert reply["output"]["message"]["content"] == [{"text": '{"n":1}'}]
    with pytest.raises(ClientError, match="additionalProperties"):
        asked_for()


def test_no_tool_is_forced_on_one_that_thinks(client: Any) -> None:
    spec = {"name": "f", "inputSchema": {"json": {"type": "object"}}}
    config = {"tools": [{"toolSpec": spec}], "toolChoice": {"any": {}}}
    with pytest.raises(ClientError, match="tool_choice"):
        ask(client, "Hello", additionalModelRequestFields=THINK, toolConfig=config)


def test_media(client: Any) -> None:
    parts = [
        {"text": "See"},
        {"image": {"format": "png", "source": {"bytes": b"1234"}}},
        {"document": {"format": "pdf", "name": "one", "source": {"s3Location": {"uri": "s3://bucket/a.pdf"}}}},
    ]
    reply = ask(client, "", messages=[{"role": "user", "content": parts}])
    text = reply["output"]["message"]["content"][0]["text"]
    assert text == "You said: See [image png 4 bytes] [document url s3://bucket/a.pdf]"


def test_filter_and_limit(client: Any) -> None:
    assert ask(client, "Hello [[finish=filter]]")["stopReason"] == "content_filtered"
    assert ask(client, "one two", inferenceConfig={"maxTokens": 2})["stopReason"] == "max_tokens"
    assert ask(client, "one two", inferenceConfig={"stopSequences": [" two"]})["stopReason"] == "stop_sequence"


DOCUMENT = {"document": {"format": "txt", "name": "a", "source": {"bytes": base64.b64encode(b"x").decode()}}}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": said("x"), "nonsense": 1},
        {"messages": said("x"), "inferenceConfig": {"temperature": 1.5}},
        {"messages": said("x"), "inferenceConfig": {"max_tokens": 5}},
        {"messages": said(" ")},
        {"messages": said("x") * 2},
        {"messages": [{"role": "assistant", "content": [{"text": "x"}]}]},
        {"messages": [{"role": "user", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"text": "x", "image": {}}]}]},
        {"messages": [{"role": "user", "content": [{"sound": {}}]}]},
        {"messages": [{"role": "user", "content": [DOCUMENT, DOCUMENT]}]},
        {"messages": [{"role": "user", "content": [{"document": {**DOCUMENT["document"], "name": "a.txt"}}]}]},
        {"messages": said("x"), "toolConfig": {"toolChoice": {"any": {}}}},
        {"messages": said("x"), "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]}},
        {"messages": said("x"), "outputConfig": {"textFormat": {"type": "json_schema"}}},
    ],
)
def test_refusals(simulator: Simulator, body: Any) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    reply = simulator.http.post(f"bedrock/model/{MODEL}/converse", json=body, headers=headers)
    assert (reply.status_code, reply.json().keys()) == (400, {"message"})
    assert reply.headers["x-amzn-errortype"].startswith("ValidationException:")


def test_access(simulator: Simulator) -> None:
    path = f"bedrock/model/{MODEL}/converse"
    assert simulator.http.post(path, json={"messages": said("x")}).status_code == 403
    unsigned = {"authorization": "AWS4-HMAC-SHA256 Credential=sim-key/20261123/eu-west-1/s3/aws4_request"}
    assert simulator.http.post(path, json={"messages": said("x")}, headers=unsigned).status_code == 403
    refused = connected(simulator, aws_access_key_id="sim-invalid", aws_secret_access_key="secret")  # noqa: S106
    with pytest.raises(ClientError) as raised:
        ask(refused, "Hello")
    refused.close()
    assert raised.value.response["Error"]["Code"] == "UnrecognizedClientException"
    by_key = {"authorization": f"Bearer {KEY}"}  # the SDK sends one over TLS only
    assert simulator.http.post(path, json={"messages": said("x")}, headers=by_key).status_code == 200
    assert simulator.last("bedrock")["headers"]["authorization"] == "Bearer sim-***"


def test_unknown_model_and_operation(simulator: Simulator, client: Any) -> None:
    with pytest.raises(ClientError, match="model identifier is invalid") as raised:
        client.converse(modelId="does-not-exist", messages=said("x"))
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.model-1:0"
    assert client.converse(modelId=arn, messages=said("x"))["stopReason"] == "end_turn"
    assert simulator.last("bedrock")["model"] == arn
    headers = {"authorization": f"Bearer {KEY}"}
    assert simulator.http.post("bedrock/model/m/count-tokens", json={}, headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "ThrottlingException"),
        (503, "ServiceUnavailableException"),
        (424, "ModelErrorException"),
        (400, "ValidationException"),
    ],
)
def test_faults(client: Any, status: int, code: str) -> None:
    with pytest.raises(ClientError) as raised:
        ask(client, f"Hello [[status={status} retry_after=2]]")
    response = raised.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "2"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (500, "internalServerException"),
        (429, "throttlingException"),
        (400, "validationException"),
        (424, "modelStreamErrorException"),
    ],
)
def test_failure_inside_a_stream(client: Any, status: int, name: str) -> None:
    stream = client.converse_stream(modelId=MODEL, messages=said(f"Hello [[error_after=1 status={status}]]"))["stream"]
    found = iter(stream)
    assert next(found)["messageStart"]
    assert next(found)["contentBlockDelta"]["delta"]["text"] == "You"
    with closing(stream), pytest.raises(EventStreamError) as raised:
        next(found)
    assert raised.value.response["Error"]["Code"] == name


def test_a_stream_in_slices(client: Any) -> None:
    found = events(client, "Grüße 🙂 [[split_bytes=5]]")
    assert "".join(payload["delta"]["text"] for name, payload in found if name == "contentBlockDelta").endswith(
        "Grüße 🙂"
    )


def replied(simulator: Simulator, credential: Credential, **members: Any) -> Reply:
    """The gateway's own wire and signature over a real socket."""
    wire = PROVIDER.wires["converse"]
    target = Target("bedrock", ModelFacts(id=MODEL, name="M", dialect="anthropic"), f"{simulator.url}/bedrock")
    call = msgspec.convert({"model": MODEL, **members}, ChatCall)
    request = PROVIDER.authorize(wire.render(call, target), credential, time.time())
    answer = simulator.http.post(request.url, content=request.body, headers=request.headers)
    assert answer.status_code == 200, answer.text
    if not call.stream:
        return wire.parse(HttpResponse(200, {}, answer.content), target)
    parser = wire.stream(target)
    return fold([*parser.feed(answer.content), *parser.close()])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("key", ["", KEY])
def test_the_gateways_own_wire(simulator: Simulator, key: str, stream: bool) -> None:
    credential = Credential(
        Secret(key), aws_keys=AwsKeys("sim-role", Secret("s"), Secret("token")), settings={"region": "eu-west-1"}
    )
    function = {"name": "add", "parameters": ADD["toolSpec"]["inputSchema"]["json"]}
    asked: Any = {"stream": stream, "tools": [{"type": "function", "function": function}], "reasoning_effort": "none"}
    messages: list[Any] = [{"role": "user", "content": 'call add {"a": 1}\ncall add {"a": 2}'}]
    first = replied(simulator, credential, messages=messages, **asked).choices[0]
    calls = first.message.tool_calls or []
    assert (first.finish_reason, [call.function.name for call in calls]) == ("tool_calls", ["add", "add"])
    messages.append(msgspec.to_builtins(first.message))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "3"} for call in calls]
    second = replied(simulator, credential, messages=messages, **asked)
    assert second.choices[0].message.content == "Tool said: 3 3"
    assert second.usage is not None
    assert second.usage.completion_tokens == 4


def applied(client: Any, *texts: str, guardrail: str = "gr1") -> Any:
    content = [{"text": {"text": text}} for text in texts]
    return client.apply_guardrail(
        guardrailIdentifier=guardrail, guardrailVersion="DRAFT", source="INPUT", content=content
    )


def test_a_guardrail_lets_pass_masks_and_blocks(client: Any) -> None:
    assert applied(client, "Hello")["action"] == "NONE"
    masked = applied(client, "Hello", "to joe@example.org")
    assert [output["text"] for output in masked["outputs"]] == ["Hello", "to {EMAIL}"]
    blocked = applied(client, "a forbidden thing", "joe@example.org")
    assert (blocked["action"], len(blocked["outputs"])) == ("GUARDRAIL_INTERVENED", 1)
    assert blocked["assessments"][0]["topicPolicy"]["topics"][0]["action"] == "BLOCKED"


def test_a_guardrail_that_does_not_exist(client: Any) -> None:
    with pytest.raises(ClientError) as caught:
        applied(client, "Hello", guardrail="doesnotexist")
    assert caught.value.response["Error"]["Code"] == "ValidationException"
