"""What the API passes on, how it streams, how long everybody waits for whom, and how much may run at once."""

from __future__ import annotations

import re
from typing import Any

from gateway.model.call import MAX_BEGIN_MS, MAX_JOB_MS
from gateway.pipeline.exchange import ANSWER_S, RECORD_S, RESULT_S
from gateway.pipeline.remote_look import LEASE_S, LOOK_TIMEOUT_S
from gateway.pipeline.videos import WAIT_MS
from gateway.pipeline.watch import BEFORE_AND_AFTER_S
from local.places import REPOSITORY
from tests.deploy.conftest import Resources, of_type


def operation(resources: Resources, path: str, method: str) -> dict[str, Any]:
    body: dict[str, Any] = resources["Api"]["Properties"]["Body"]["paths"][path][method]
    return body


def integration(resources: Resources, path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = operation(resources, path, method)["x-amazon-apigateway-integration"]
    return found


def test_chat_streams_through_the_alias(deployed: Resources) -> None:
    chat = integration(deployed, "/v1/chat/completions", "post")
    assert chat["responseTransferMode"] == "STREAM"
    assert chat["timeoutInMillis"] == 900_000
    uri = chat["uri"]["Fn::Sub"]
    assert "2021-11-15" in uri
    assert uri.endswith("${ChatFunction.Alias}/response-streaming-invocations") or "ChatFunctionAliaslive" in uri
    assert deployed["ChatFunction"]["Properties"]["Timeout"] == 900


def test_what_everybody_may_send_leaves_room_for_clients(deployed: Resources) -> None:
    everywhere, strangers = deployed["ApiStage"]["Properties"]["MethodSettings"]
    assert (everywhere["ResourcePath"], strangers["ResourcePath"]) == ("/*", "/~1webhooks~1{provider}")
    assert (strangers["HttpMethod"], strangers["MetricsEnabled"]) == ("POST", True)
    assert strangers["ThrottlingRateLimit"] == 50


def test_what_consumers_reach_can_be_kept_from_taking_all(deployed: Resources) -> None:
    """By a parameter each, those that answer within a moment by one together; but not the administration."""
    behind_the_api = {
        permission["Properties"]["FunctionName"]["Ref"].removesuffix("Aliaslive")
        for permission in of_type(deployed, "AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }
    reserved = {
        name: function["Properties"]["ReservedConcurrentExecutions"]["Fn::If"]
        for name, function in of_type(deployed, "AWS::Lambda::Function").items()
        if "ReservedConcurrentExecutions" in function["Properties"]
    }
    held = {"JobAskFunction", "BatchWorkFunction", "RealtimeSessionFunction"}
    assert reserved.keys() - held == behind_the_api - {"AdminFunction"}
    quick = {"JobsFunction", "BatchesFunction", "ModelsFunction", "FilesFunction", "TypesFunction", "UsageFunction"}
    quick.add("RealtimeSecretsFunction")
    for name, (condition, number, otherwise) in reserved.items():
        what = "Other" if name in {*quick, "ProviderWebhooksFunction"} else name.removesuffix("Function")
        what = "JobTask" if name == "JobAskFunction" else what
        assert (condition, number) == (f"Reserves{what}", {"Ref": f"{what}ReservedConcurrency"})
        assert otherwise == {"Ref": "AWS::NoValue"}


def test_the_reservations_of_the_documentation_add_up(template: dict[str, Any]) -> None:
    """And leave the hundred that Lambda lets nobody reserve."""
    page = (REPOSITORY / "docs" / "deploy.md").read_text()
    rows = {name: int(number) for name, number in re.findall(r"\| `(\w+ReservedConcurrency)` \| (\d+) \|", page)}
    assert rows.keys() == {name for name in template["Parameters"] if name.endswith("ReservedConcurrency")}
    total = sum(rows.values()) + 7 * rows["OtherReservedConcurrency"]
    assert f"| | {total} | and 100 that nobody may reserve: {total + 100} of 1,000 |" in page
    settings = (REPOSITORY / "samconfig.toml").read_text()
    assert {name: int(number) for name, number in re.findall(r'"(\w+ReservedConcurrency)=(\d+)"', settings)} == rows


def test_embeddings_may_be_larger_than_a_buffered_answer(deployed: Resources) -> None:
    """2,048 vectors of 3,072 numbers are some 80 MB; the function outlives the longest wait for a provider."""
    embeddings = integration(deployed, "/v1/embeddings", "post")
    assert embeddings["responseTransferMode"] == "STREAM"
    assert deployed["EmbeddingsFunction"]["Properties"]["Timeout"] * 1000 == embeddings["timeoutInMillis"]
    assert deployed["EmbeddingsFunction"]["Properties"]["Timeout"] == MAX_BEGIN_MS / 1000 + BEFORE_AND_AFTER_S


def test_a_job_has_its_result_before_lambda_kills_its_worker(deployed: Resources) -> None:
    timeout_s = deployed["JobAskFunction"]["Properties"]["Timeout"]
    assert MAX_JOB_MS / 1000 + 30 <= RESULT_S <= timeout_s - 30
    assert RESULT_S < RECORD_S <= timeout_s - 10


def test_a_video_is_answered_before_api_gateway_gives_up_and_lambda_kills(deployed: Resources) -> None:
    """300 s without a byte: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html"""
    assert ANSWER_S <= 300 - 15
    assert WAIT_MS / 1000 + LOOK_TIMEOUT_S + 50 <= ANSWER_S  # the last look may find it, which has to be stored
    assert ANSWER_S < LEASE_S
    timeout_s = deployed["VideosFunction"]["Properties"]["Timeout"]
    assert timeout_s >= ANSWER_S + BEFORE_AND_AFTER_S
    for path, method in (("/v1/videos", "post"), ("/v1/videos/{id}", "get"), ("/v1/videos/{id}/content", "get")):
        assert integration(deployed, path, method)["timeoutInMillis"] == timeout_s * 1000


def test_the_routes_are_the_published_ones(deployed: Resources) -> None:
    paths = deployed["Api"]["Properties"]["Body"]["paths"]
    methods = {path: sorted(set(operations) - {"options"}) for path, operations in paths.items()}
    assert methods == {
        "/v1/chat/completions": ["post"],
        "/v1/embeddings": ["post"],
        "/v1/realtime/client_secrets": ["post"],
        "/v1/images/generations": ["post"],
        "/v1/videos": ["get", "post"],
        "/v1/videos/{id}": ["delete", "get"],
        "/v1/videos/{id}/content": ["get"],
        "/v1/jobs": ["get", "post"],
        "/v1/jobs/{id}": ["delete", "get"],
        "/v1/jobs/{id}/cancel": ["post"],
        "/v1/batches": ["get", "post"],
        "/v1/batches/{id}": ["get"],
        "/v1/batches/{id}/cancel": ["post"],
        "/v1/batches/{id}/results": ["get"],
        "/webhooks/{provider}": ["post"],
        "/v1/audio/speech": ["post"],
        "/v1/audio/transcriptions": ["post"],
        "/v1/models": ["get"],
        "/v1/models/{id+}": ["get"],
        "/openapi.json": ["get"],
        "/asyncapi.json": ["get"],
        "/v1/files": ["get", "post"],
        "/v1/files/{id}": ["delete", "get"],
        "/v1/files/{id}/complete": ["post"],
        "/v1/files/{id}/content": ["get"],
        "/v1/usage": ["get"],
        "/v1/usage/requests/{request_id}": ["get"],
        "/v1/types": ["get", "post"],
        "/v1/types/{id}": ["delete", "get"],
        "/admin/{proxy+}": ["x-amazon-apigateway-any-method"],
    }


def test_a_browser_is_told_only_of_the_origin_that_was_allowed(deployed: Resources) -> None:
    preflight = integration(deployed, "/v1/models", "options")["responses"]["default"]["responseParameters"]
    allowed = preflight["method.response.header.Access-Control-Allow-Origin"]
    assert allowed == {"Fn::If": ["HasOrigin", {"Fn::Sub": "'${AllowedOrigin}'"}, {"Ref": "AWS::NoValue"}]}
