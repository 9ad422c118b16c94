"""The contract of every patch: MiniStack alone does it wrong, with the patch it is right.

A first half that fails means that MiniStack has learned it, and the patch can go.
"""

from __future__ import annotations

import concurrent.futures
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.local.stack_process import ROOT, Stack

pytestmark = pytest.mark.stack


def get(stack: Stack, path: str, **query: Any) -> httpx.Response:
    return httpx.get(f"{stack.rest}{path}", params=query, timeout=20)


def socket_url(stack: Stack) -> str:
    return f"{stack.rest}".replace("http:", "ws:").replace(stack.outputs["ApiId"], stack.outputs["SocketApiId"])


def test_every_patch_is_applied_and_has_its_contract_here() -> None:
    folder = ROOT / "local" / "patches"
    patches = {path.stem for path in folder.glob("*.py")} - {"all"}
    applied, tested = (folder / "all.py").read_text(), Path(__file__).read_text()
    assert {name for name in patches if f"    {name}.apply(" not in applied or f"{name}.py" not in tested} == set()


# -- functions.py --------------------------------------------------------------------------------------------------


def test_a_function_starts_through_its_exec_wrapper(stock: Stack, patched: Stack) -> None:
    def raw(stack: Stack) -> bytes:
        payload: bytes = stack.client("lambda").invoke(FunctionName="streaming", Payload=b"{}")["Payload"].read()
        return payload

    assert b"data: 0" not in raw(stock)
    assert b"data: 0" in raw(patched)


def test_an_error_carries_the_name_of_its_class(stock: Stack, patched: Stack) -> None:
    assert stock.invoke("plain", action="fail")[0]["errorType"] == "Runtime.HandlerError"
    payload, answer = patched.invoke("plain", action="fail")
    assert payload["errorType"] == "OutOfPaper"
    assert payload["errorMessage"] == "words of the function"
    assert answer["FunctionError"] == "Unhandled"


def test_an_exception_leaves_the_process_alone(stock: Stack, patched: Stack) -> None:
    def pids(stack: Stack) -> list[int]:
        found = []
        for _ in range(2):
            found.append(stack.invoke("plain", action="pid")[0]["pid"])
            stack.invoke("plain", action="fail")
        return found

    before, after = pids(stock)
    assert before != after
    before, after = pids(patched)
    assert before == after


def test_a_silent_handler_is_not_waited_for(stock: Stack, patched: Stack) -> None:
    def fastest_s(stack: Stack) -> float:
        client = stack.client("lambda")
        durations = []
        for _ in range(6):
            start_s = time.perf_counter()
            client.invoke(FunctionName="plain", Payload=b'{"action": "pid"}')["Payload"].read()
            durations.append(time.perf_counter() - start_s)
        return min(durations)

    assert fastest_s(stock) > 0.050
    assert fastest_s(patched) < 0.050


def test_a_function_sees_only_what_the_managed_runtime_has(stock: Stack, patched: Stack) -> None:
    assert stock.invoke("plain", action="surroundings")[0]["importable"]["ministack"]
    importable = patched.invoke("plain", action="surroundings")[0]["importable"]
    assert importable == {"boto3": True, "ministack": False, "pydantic": False, "local": False}


# -- function_logs.py ----------------------------------------------------------------------------------------------


def test_one_environment_writes_one_log_stream(stock: Stack, patched: Stack) -> None:
    def streams(stack: Stack) -> int:
        logs = stack.client("logs")
        before = _stream_names(logs)
        for _ in range(3):
            stack.invoke("plain", action="speak")
        return len(_stream_names(logs) - before)

    assert streams(stock) == 3
    assert streams(patched) <= 1


def _stream_names(logs: Any) -> set[str]:
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/plain")["logGroups"]
    if not groups:
        return set()
    streams = logs.describe_log_streams(logGroupName="/aws/lambda/plain")["logStreams"]
    return {stream["logStreamName"] for stream in streams}


# -- reserved_concurrency.py ---------------------------------------------------------------------------------------


def test_reserved_concurrency_holds_for_an_alias(stock: Stack, patched: Stack) -> None:
    def is_throttled(stack: Stack) -> bool:
        client = stack.client("lambda")
        client.put_function_concurrency(FunctionName="plain", ReservedConcurrentExecutions=0)
        try:
            client.invoke(FunctionName="plain:live", Payload=b'{"action": "pid"}')
        except client.exceptions.TooManyRequestsException:
            return True
        finally:
            client.delete_function_concurrency(FunctionName="plain")
        return False

    assert not is_throttled(stock)
    assert is_throttled(patched)


def test_a_templates_reserved_concurrency_is_deployed(stock: Stack, patched: Stack) -> None:
    def reserved(stack: Stack) -> int | None:
        number: int | None = (
            stack.client("lambda").get_function_concurrency(FunctionName="broken").get("ReservedConcurrentExecutions")
        )
        return number

    assert reserved(stock) is None
    assert reserved(patched) == 3


# -- websocket_functions.py ----------------------------------------------------------------------------------------


def test_a_slow_websocket_handler_delays_nobody_else(stock: Stack, patched: Stack) -> None:
    def quick_reply_s(stack: Stack) -> float:
        with connect(socket_url(stack)) as slow, connect(socket_url(stack)) as quick:
            slow.send(json.dumps({"seconds": 1}))
            time.sleep(0.2)  # the stack has no sign of when the slow handler began
            start_s = time.perf_counter()
            quick.send(json.dumps({"say": "hi"}))
            assert json.loads(quick.recv(timeout=5)) == {"said": "hi"}
            waited_s = time.perf_counter() - start_s
            slow.recv(timeout=5)
        return waited_s

    assert quick_reply_s(stock) > 0.5
    assert quick_reply_s(patched) < 0.5


def test_a_failed_websocket_route_keeps_the_functions_words(stock: Stack, patched: Stack) -> None:
    def reply(stack: Stack) -> str:
        with connect(socket_url(stack)) as connection:
            connection.send(json.dumps({"fail": True}))
            return str(connection.recv(timeout=5))

    assert "words of the function" in reply(stock)
    assert json.loads(reply(patched))["message"] == "Internal server error"


# -- request_event.py ----------------------------------------------------------------------------------------------


def test_a_rest_event_has_no_version(stock: Stack, patched: Stack) -> None:
    assert "version" in get(stock, "/v1/plain", action="echo").json()
    assert "version" not in get(patched, "/v1/plain", action="echo").json()


def test_a_rest_event_names_the_host(stock: Stack, patched: Stack) -> None:
    assert "domainName" not in get(stock, "/v1/plain", action="echo").json()["requestContext"]
    answer = httpx.get(f"{patched.front}/v1/plain?action=echo", headers={"host": "api.example:8443"})
    context = answer.json()["requestContext"]
    assert (context["domainName"], context["path"]) == ("api.example:8443", "/v1/plain")


def test_the_callers_address_cannot_be_forged(stock: Stack, patched: Stack) -> None:
    forged = {"x-forwarded-for": "203.0.113.9"}
    event = httpx.get(f"{stock.rest}/v1/plain?action=echo", headers=forged).json()
    assert event["requestContext"]["identity"]["sourceIp"] == "203.0.113.9"
    event = httpx.get(f"{patched.front}/v1/plain?action=echo", headers=forged).json()
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert event["headers"]["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"


# -- integration_timeout.py ----------------------------------------------------------------------------------------


def test_an_integration_times_out(stock: Stack, patched: Stack) -> None:
    _set_timeout(stock, "/v1/plain/hasty", 500)
    assert get(stock, "/v1/plain/hasty", action="sleep", seconds=0.7).status_code == 200
    assert get(patched, "/v1/plain/hasty", action="sleep", seconds=0.7).status_code == 504


def test_a_streaming_integration_times_out_before_its_prelude(patched: Stack) -> None:
    assert get(patched, "/v1/hasty", first_s=1.5).status_code == 504


def test_a_streaming_integration_is_cut_at_its_timeout(patched: Stack) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        get(patched, "/v1/hasty", chunks=15, delay_s=0.1)


def _set_timeout(stack: Stack, path: str, timeout_ms: int) -> None:
    """The import drops the timeout, which is another patch's concern."""
    api, api_id = stack.client("apigateway"), stack.outputs["ApiId"]
    resources = api.get_resources(restApiId=api_id, limit=100)["items"]
    resource = next(resource for resource in resources if resource["path"] == path)
    change = {"op": "replace", "path": "/timeoutInMillis", "value": str(timeout_ms)}
    api.update_integration(restApiId=api_id, resourceId=resource["id"], httpMethod="GET", patchOperations=[change])


# -- proxy_failures.py ---------------------------------------------------------------------------------------------


def test_a_failed_integration_keeps_the_functions_words(stock: Stack, patched: Stack) -> None:
    assert "words of the function" in get(stock, "/v1/plain", action="fail").text
    answer = get(patched, "/v1/plain", action="fail")
    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})


def test_a_result_without_status_is_a_failure(stock: Stack, patched: Stack) -> None:
    assert get(stock, "/v1/plain", action="malformed").status_code == 200
    assert get(patched, "/v1/plain", action="malformed").status_code == 502


def test_a_function_without_an_environment_left_is_a_failure(stock: Stack, patched: Stack) -> None:
    def refused(stack: Stack) -> httpx.Response:
        client = stack.client("lambda")
        client.put_function_concurrency(FunctionName="plain", ReservedConcurrentExecutions=0)
        try:
            return get(stack, "/v1/plain", action="pid")
        finally:
            client.delete_function_concurrency(FunctionName="plain")

    refused(stock)  # which looks for the reservation elsewhere: reserved_concurrency.py
    answer = refused(patched)
    assert (answer.status_code, answer.json()) == (500, {"message": "Internal server error"})


# -- response_streaming.py -----------------------------------------------------------------------------------------


def test_a_streaming_integration_streams(stock: Stack, patched: Stack) -> None:
    assert get(stock, "/v1/stream").status_code == 500
    with httpx.stream("GET", f"{patched.front}/v1/stream", params={"chunks": 5, "delay_s": 0.2}) as answer:
        assert answer.status_code == 200
        arrivals = [(chunk, time.perf_counter()) for chunk in answer.iter_raw()]
    assert b"".join(chunk for chunk, _ in arrivals) == b"".join(b"data: %d\n\n" % number for number in range(5))
    assert arrivals[-1][1] - arrivals[0][1] > 0.6
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_stream_that_fails_before_its_prelude_is_a_plain_failure(patched: Stack) -> None:
    for query in ({"fail": "before"}, {"prelude": "none"}, {"exit": "1"}):
        answer = get(patched, "/v1/stream", **query)
        assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})


def test_a_stream_that_fails_after_its_prelude_is_cut_off(patched: Stack) -> None:
    received = b""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("GET", f"{patched.front}/v1/stream", params={"chunks": 5, "fail": "middle"}) as answer,
    ):
        assert answer.status_code == 200
        for chunk in answer.iter_raw():
            received += chunk
    assert received == b"data: 0\n\ndata: 1\n\n"


# -- payload_limit.py ----------------------------------------------------------------------------------------------


def test_an_event_over_six_megabytes_is_refused(stock: Stack, patched: Stack) -> None:
    def status(stack: Stack, body: bytes, content_type: str) -> int:
        url = f"{stack.rest}/v1/plain?action=size"
        return httpx.post(url, content=body, headers={"content-type": content_type}, timeout=20).status_code

    text, binary = "text/plain", "application/octet-stream"
    assert status(stock, b"x" * 7_000_000, text) == 200
    assert status(patched, b"x" * 7_000_000, text) == 413
    assert status(patched, b"x" * 6_200_000, text) == 200
    assert status(patched, b'"' * 4_000_000, text) == 413  # every quote is two bytes of the event
    assert status(patched, b"x" * 5_000_000, binary) == 413  # base64 makes four bytes of three
    assert status(patched, b"x" * 4_500_000, binary) == 200


# -- openapi_import.py ---------------------------------------------------------------------------------------------


def test_any_method_is_imported(stock: Stack, patched: Stack) -> None:
    assert get(stock, "/v1/any", action="pid").status_code == 403
    assert get(patched, "/v1/any", action="pid").status_code == 200


def test_a_cors_mock_has_its_headers(stock: Stack, patched: Stack) -> None:
    def allowed_origin(stack: Stack) -> str | None:
        origin: str | None = httpx.options(f"{stack.rest}/v1/plain").headers.get("access-control-allow-origin")
        return origin

    assert allowed_origin(stock) != "https://app.example"
    assert allowed_origin(patched) == "https://app.example"


def test_gateway_responses_are_imported(stock: Stack, patched: Stack) -> None:
    assert get(stock, "/v1/nowhere").status_code == 403
    answer = get(patched, "/v1/nowhere")
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "from the template")


def test_timeouts_and_transfer_modes_are_imported(stock: Stack, patched: Stack) -> None:
    def hasty(stack: Stack) -> Any:
        api, api_id = stack.client("apigateway"), stack.outputs["ApiId"]
        resources = api.get_resources(restApiId=api_id, limit=100)["items"]
        resource = next(resource for resource in resources if resource["path"] == "/v1/hasty")
        return api.get_integration(restApiId=api_id, resourceId=resource["id"], httpMethod="GET")

    assert hasty(stock)["timeoutInMillis"] == 29_000
    assert hasty(patched)["timeoutInMillis"] == 1_000


# -- api_update.py -------------------------------------------------------------------------------------------------


def test_a_changed_body_keeps_the_apis_id(stock: Stack, patched: Stack) -> None:
    before, after, _stack = _api_ids_over_an_update(stock)
    assert before != after
    before, after, stack = _api_ids_over_an_update(patched)
    assert before == after
    url = f"{stack.aws_endpoint_url}/_aws/execute-api/{after}/live"
    assert httpx.get(f"{url}/two").status_code == 200
    assert httpx.get(f"{url}/one").status_code == 403
    assert len(stack.client("apigateway").get_rest_apis(limit=100)["items"]) == 2  # no draft is left behind


def _api_ids_over_an_update(stack: Stack) -> tuple[str, str, Stack]:
    formation = stack.client("cloudformation")
    ids = []
    for change, path in (("create", "/one"), ("update", "/two")):
        operate = getattr(formation, f"{change}_stack")
        operate(StackName="mocked", TemplateBody=json.dumps(_mocked_api(path)))
        waiter = formation.get_waiter(f"stack_{change}_complete")
        waiter.wait(StackName="mocked", WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
        ids.append(formation.describe_stacks(StackName="mocked")["Stacks"][0]["Outputs"][0]["OutputValue"])
    return ids[0], ids[1], stack


def _mocked_api(path: str) -> dict[str, Any]:
    mock = {"type": "mock", "responses": {"default": {"statusCode": "200"}}}
    operation = {"get": {"x-amazon-apigateway-integration": mock}}
    body = {"openapi": "3.0.1", "info": {"title": "mocked", "version": "1"}, "paths": {path: operation}}
    deployment = {
        "Type": "AWS::ApiGateway::Deployment",
        "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "live"},
    }
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": body}}
    return {"Resources": {"Api": api, "Deployment": deployment}, "Outputs": {"Id": {"Value": {"Ref": "Api"}}}}


# -- table_ttl.py, bucket_lifecycle.py -----------------------------------------------------------------------------


def test_a_tables_ttl_is_deployed(stock: Stack, patched: Stack) -> None:
    def status(stack: Stack) -> Any:
        description = stack.client("dynamodb").describe_time_to_live(TableName="things")
        return description["TimeToLiveDescription"]["TimeToLiveStatus"]

    assert status(stock) == "DISABLED"
    assert status(patched) == "ENABLED"


def test_a_buckets_lifecycle_is_deployed(stock: Stack, patched: Stack) -> None:
    client = stock.client("s3")
    with pytest.raises(client.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
        client.get_bucket_lifecycle_configuration(Bucket="files")
    rules = patched.client("s3").get_bucket_lifecycle_configuration(Bucket="files")["Rules"]
    assert rules == [{"ID": "old", "Filter": {"Prefix": "tmp/"}, "Status": "Enabled", "Expiration": {"Days": 7}}]


# -- all of them together ------------------------------------------------------------------------------------------


def test_parallel_streams_have_an_environment_each(patched: Stack) -> None:
    def pid(_number: int) -> str:
        return get(patched, "/v1/stream", chunks=4, delay_s=0.4).headers["x-pid"]

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(pid, range(4)))) == 4


# -- task_timeout.py -----------------------------------------------------------------------------------------------


def test_a_task_that_waits_for_its_token_takes_its_time_out_from_its_input(stock: Stack, patched: Stack) -> None:
    waiting = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "plain", "Payload": {"action": "pid"}},
        "TimeoutSecondsPath": "$.limits.wait_s",
        "End": True,
    }
    definition = json.dumps({"StartAt": "wait", "States": {"wait": waiting}})

    def ends(stack: Stack) -> str:
        client = stack.client("stepfunctions")
        role = "arn:aws:iam::000000000000:role/any"
        machine = client.create_state_machine(name="waiting", definition=definition, roleArn=role)["stateMachineArn"]
        told = json.dumps({"limits": {"wait_s": 1}})
        execution = client.start_execution(stateMachineArn=machine, input=told)["executionArn"]
        deadline_s = time.monotonic() + 4
        while (found := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            if time.monotonic() > deadline_s:
                client.stop_execution(executionArn=execution)
                return "RUNNING"
            time.sleep(0.1)
        error: str = found["error"]
        return error

    assert ends(stock) == "RUNNING"
    assert ends(patched) == "States.Timeout"
