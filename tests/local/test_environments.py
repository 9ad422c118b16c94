"""Execution environments as a function meets them: variables, life, time, log."""

from __future__ import annotations

import concurrent.futures
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.local.stack_process import FIXTURES, Stack, zipped

pytestmark = pytest.mark.stack


@pytest.fixture
def surroundings(patched: Stack) -> dict[str, Any]:
    """What a streaming function behind its alias sees."""
    answer = httpx.get(f"{patched.front}/v1/stream?echo=1")
    found: dict[str, Any] = answer.json()
    return found


def test_the_environment_is_lambdas(patched: Stack, surroundings: dict[str, Any]) -> None:
    environ = surroundings["environ"]
    assert environ["AWS_ENDPOINT_URL"] == patched.aws_endpoint_url
    assert environ["AWS_ACCESS_KEY_ID"] and environ["AWS_SECRET_ACCESS_KEY"] and environ["AWS_SESSION_TOKEN"]
    assert environ["_HANDLER"] == "app.handler"
    assert environ["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/stream-runtime"
    assert environ["GREETING"] == "hello"
    assert environ["AWS_REGION"] == "us-east-1"  # reserved: the template's "mars" does not win


def test_an_alias_leads_to_its_version(surroundings: dict[str, Any]) -> None:
    assert surroundings["environ"]["AWS_LAMBDA_FUNCTION_VERSION"] == "1"


def test_the_wrapper_gets_interpreter_and_bootstrap(surroundings: dict[str, Any]) -> None:
    _script, interpreter, bootstrap = surroundings["argv"]
    assert interpreter.endswith("/bin/python3")
    assert bootstrap.endswith("bootstrap.py")


def test_nothing_of_the_developers_environment_leaks_in(surroundings: dict[str, Any]) -> None:
    assert "HOME" not in surroundings["environ"]
    assert "PYTHONPATH" not in surroundings["environ"]


def test_a_plain_handler_has_its_context_and_boto3(patched: Stack) -> None:
    seen = patched.invoke("plain:live", action="surroundings")[0]
    assert seen["function_arn"].endswith(":function:plain:live")
    assert 25_000 < seen["remaining_ms"] <= 30_000
    assert patched.invoke("plain", action="table_names")[0] == ["things"]


def test_calls_in_sequence_share_an_environment(patched: Stack) -> None:
    answers = [httpx.get(f"{patched.front}/v1/stream") for _ in range(5)]
    assert len({answer.headers["x-pid"] for answer in answers}) == 1


def test_an_environment_that_settles_is_waited_for_a_little(patched: Stack) -> None:
    first = httpx.get(f"{patched.front}/v1/stream?settle_s=0.1")
    second = httpx.get(f"{patched.front}/v1/stream")
    assert first.headers["x-pid"] == second.headers["x-pid"]
    assert first.elapsed.total_seconds() < 0.1  # the answer does not wait for what comes after it


def test_concurrent_calls_have_a_process_each(patched: Stack, tmp_path: Path) -> None:
    """None of them comes back before all have begun."""
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        meeting = {"action": "meet", "place": str(tmp_path), "expected": 3}
        calls = [threads.submit(partial(patched.invoke, "plain", **meeting)) for _ in range(3)]
        assert len({call.result()[0]["pid"] for call in calls}) == 3


def test_a_timeout_ends_the_environment(patched: Stack) -> None:
    start_s = time.perf_counter()
    late = httpx.get(f"{patched.front}/v1/short?first_s=5")
    assert late.status_code == 502
    assert time.perf_counter() - start_s < 2.5
    assert httpx.get(f"{patched.front}/v1/short").status_code == 200


def test_a_function_that_does_not_start_says_why(patched: Stack) -> None:
    payload, answer = patched.invoke("broken")
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'missing'" in payload["errorMessage"]


def test_a_buffered_answer_over_six_megabytes_is_refused(patched: Stack) -> None:
    assert patched.invoke("plain", action="big")[0]["errorType"] == "Function.ResponseSizeTooLarge"


def test_the_log_has_the_functions_lines_between_the_platforms(patched: Stack) -> None:
    stream = patched.invoke("plain", action="speak")[0]["log_stream"]
    logs = patched.client("logs")
    deadline_s = time.monotonic() + 2
    while True:  # the report is written when the runtime polls again, right after the answer
        events = logs.get_log_events(logGroupName="/aws/lambda/plain", logStreamName=stream)["events"]
        lines = [event["message"] for event in events][-5:]
        if "last line" in lines or time.monotonic() > deadline_s:
            break
    kinds = [line.split(" ")[0] for line in lines]
    assert kinds == ["START", "first", "last", "END", "REPORT"]


def test_reserved_concurrency_throttles(patched: Stack) -> None:
    client = patched.client("lambda")
    client.put_function_concurrency(FunctionName="streaming", ReservedConcurrentExecutions=1)
    try:
        with httpx.stream("GET", f"{patched.front}/v1/stream?chunks=3&delay_s=0.3") as running:
            chunks = running.iter_raw()
            next(chunks)
            assert httpx.get(f"{patched.front}/v1/stream").status_code == 500
            list(chunks)
        assert httpx.get(f"{patched.front}/v1/stream").status_code == 200
    finally:
        client.delete_function_concurrency(FunctionName="streaming")


def test_new_code_is_used_at_once(patched: Stack) -> None:
    client = patched.client("lambda")
    role, handler = "arn:aws:iam::000000000000:role/any", "app.handler"
    code = zipped(FIXTURES / "socket")
    client.create_function(
        FunctionName="changing", Runtime="python3.13", Role=role, Handler=handler, Code={"ZipFile": code}
    )
    event = {"requestContext": {"eventType": "DISCONNECT"}}
    assert patched.invoke("changing", **event)[0] == {"statusCode": 200}
    client.update_function_code(FunctionName="changing", ZipFile=zipped(FIXTURES / "plain"))
    assert patched.invoke("changing", action="echo")[0] == {"action": "echo"}
    client.delete_function(FunctionName="changing")


def test_step_functions_catch_an_error_by_its_class(patched: Stack) -> None:
    caught = {"Type": "Pass", "Result": "caught", "End": True}
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "plain", "Payload": {"action": "fail"}},
        "Catch": [{"ErrorEquals": ["OutOfPaper"], "Next": "Caught"}],
        "End": True,
    }
    definition = json.dumps({"StartAt": "Fail", "States": {"Fail": task, "Caught": caught}})
    states = patched.client("stepfunctions")
    role = "arn:aws:iam::000000000000:role/any"
    machine = states.create_state_machine(name="catching", definition=definition, roleArn=role)["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    deadline_s = time.monotonic() + 5
    while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline_s
    assert (found["status"], found["output"]) == ("SUCCEEDED", '"caught"')
