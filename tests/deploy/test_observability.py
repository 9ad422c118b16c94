"""What the operator sees: every alarm and graph is of a metric that exists, and every alarm says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from gateway.model import metrics
from gateway.model.telemetry import DEFECT, FUNCTION, NAMESPACE, SERVICE, Trouble
from local.places import REPOSITORY
from tests.deploy.conftest import Resources, of_type

RUNBOOKS = REPOSITORY / "docs" / "runbooks.md"
REST = (metrics.REST_REQUESTS, metrics.REST_FAULTS, metrics.REST_LATENCY, metrics.REST_COLD_START)
EMITTED: dict[str, set[frozenset[str]]] = {
    **{
        name: {frozenset(combination) for combination in combinations}
        for combinations, names in metrics.REQUEST_METRICS.items()
        for name in names
    },
    **{name: {frozenset({SERVICE, FUNCTION})} for name in (*REST, *metrics.JOB_METRICS)},
    **{name: {frozenset({SERVICE})} for name in (DEFECT, *map(metrics.trouble_metric, get_args(Trouble)))},
}
"""The combinations of dimensions that CloudWatch has each of our metrics by."""
SEARCHED = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} MetricName=\"(?P<name>[^\"]+)\" service=")


def alarms(resources: Resources) -> Resources:
    return of_type(resources, "AWS::CloudWatch::Alarm") | of_type(resources, "AWS::CloudWatch::CompositeAlarm")


def metrics_of(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each with Namespace, MetricName and Dimensions."""
    properties = alarm["Properties"]
    if "MetricName" in properties:
        yield properties
    for member in properties.get("Metrics", ()):
        if "MetricStat" in member:
            yield member["MetricStat"]["Metric"]


def widgets(resources: Resources) -> list[dict[str, Any]]:
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found


def graphed(resources: Resources) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Namespace, name and dimensions of every line; "." and "..." stand for what the line before has there."""
    for widget in widgets(resources):
        last: list[str] = []
        for given in widget["properties"]["metrics"]:
            words = [word for word in given if isinstance(word, str)]
            expression = next(
                (word["expression"] for word in given if isinstance(word, dict) and "expression" in word), ""
            )
            if found := SEARCHED.search(expression):
                namespace, *dimensions = (word.strip('"') for word in found["schema"].split(","))
                yield namespace, found["name"], frozenset(dimensions)
            if words:
                words = last[: len(last) - len(words) + 1] + words[1:] if words[0] == "..." else words
                last = [last[place] if word == "." else word for place, word in enumerate(words)]
                yield last[0], last[1], frozenset(last[2::2])


def test_every_alarm_is_of_metrics_that_the_code_emits(deployed: Resources) -> None:
    ours = [
        metric
        for alarm in alarms(deployed).values()
        for metric in metrics_of(alarm)
        if metric["Namespace"] == NAMESPACE
    ]
    assert ours
    for metric in ours:
        dimensions = frozenset(dimension["Name"] for dimension in metric["Dimensions"])
        assert dimensions in EMITTED[metric["MetricName"]], metric["MetricName"]


def test_every_function_that_calls_models_is_watched_for_throttles(deployed: Resources) -> None:
    """They are those that may read providers' keys."""
    calling = {
        name
        for name, function in of_type(deployed, "AWS::Lambda::Function").items()
        if "secret:${AWS::StackName}/providers/*"
        in json.dumps(deployed[function["Properties"]["Role"]["Fn::GetAtt"][0]])
    }
    assert {"ChatFunction", "VideosFunction"} < calling
    watched = {metric["Dimensions"][0]["Value"]["Ref"] for metric in metrics_of(deployed["ThrottlesAlarm"])}
    waits = {"JobAskFunction", "BatchWorkFunction"}  # their throttles are how a queue is kept
    assert watched == calling - waits
    for graph in ("Refused for a limit", "Environments"):
        [widget] = [one["properties"] for one in widgets(deployed) if one["properties"]["title"] == graph]
        assert set(re.findall(r"\$\{(\w+Function)\}", json.dumps(widget["metrics"]))) == calling


def test_every_function_that_somebody_waits_for_is_watched_for_throttles(deployed: Resources) -> None:
    watched = {
        metric["Dimensions"][0]["Value"]["Ref"]
        for name in ("ThrottlesAlarm", "OtherThrottlesAlarm", "VoiceThrottlesAlarm")
        for metric in metrics_of(deployed[name])
    }
    nobody_waits = {"JobAskFunction", "BatchWorkFunction", "RecordsFunction", "SweepFunction"}
    assert watched == of_type(deployed, "AWS::Lambda::Function").keys() - nobody_waits


def test_no_alarm_looks_at_more_metrics_than_one_may(deployed: Resources) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html"""
    assert [name for name, alarm in alarms(deployed).items() if len(list(metrics_of(alarm))) > 10] == []


def test_every_graph_is_of_metrics_that_the_code_emits(deployed: Resources) -> None:
    ours = [(name, dimensions) for namespace, name, dimensions in graphed(deployed) if namespace == NAMESPACE]
    assert len(ours) > 20
    assert [(name, dimensions) for name, dimensions in ours if dimensions not in EMITTED.get(name, set())] == []


def test_the_dashboard_shows_all_there_is(deployed: Resources) -> None:
    """But for what another graph has already in it: the latency in its parts, and cache writes in the input."""
    shown = {name for namespace, name, _ in graphed(deployed) if namespace == NAMESPACE}
    assert EMITTED.keys() - shown == {metrics.LATENCY, metrics.CACHE_WRITE_TOKENS, metrics.REST_COLD_START}


def test_what_is_watched_of_aws_are_its_own_names(deployed: Resources) -> None:
    watched = {
        (metric["Namespace"], metric["MetricName"]) for a in alarms(deployed).values() for metric in metrics_of(a)
    }
    watched |= {(namespace, name) for namespace, name, _ in graphed(deployed)}
    assert {one for one in watched if one[0] != NAMESPACE} == {
        *(("AWS/ApiGateway", name) for name in ("Count", "5XXError")),
        *(("AWS/Lambda", name) for name in ("Throttles", "ConcurrentExecutions", "Errors")),
        *(("AWS/DynamoDB", name) for name in ("ReadThrottleEvents", "WriteThrottleEvents")),
        *(("AWS/DynamoDB", name) for name in ("SuccessfulRequestLatency", "ConditionalCheckFailedRequests")),
        *(("AWS/SQS", name) for name in ("ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible")),
        ("AWS/Usage", "ResourceCount"),
    }


def test_every_expression_names_only_what_stands_beside_it(deployed: Resources) -> None:
    for name, alarm in alarms(deployed).items():
        members = alarm["Properties"].get("Metrics", [])
        ids = {member["Id"] for member in members}
        returned = [member["Id"] for member in members if member.get("ReturnData", True)]
        assert len(returned) == (1 if members else 0), name
        for member in members:
            if "Expression" in member:
                words = set(re.findall(r"\b[a-z]+\b", json.dumps(member["Expression"]).replace("Fn::", "")))
                assert words <= ids, name


def test_every_alarm_has_its_section_in_the_runbook_and_every_section_an_alarm(deployed: Resources) -> None:
    sections = {
        heading.lower().replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    }
    named = set()
    for name, alarm in alarms(deployed).items():
        told = re.search(r"Runbook: docs/runbooks\.md#([a-z0-9-]+)$", alarm["Properties"]["AlarmDescription"])
        assert told, name
        named.add(told[1])
    assert named == sections


@pytest.mark.parametrize("question", ["**Means.**", "**Look.**", "**Do.**"])
def test_every_section_says_what_it_means_how_to_look_and_what_to_do(question: str) -> None:
    sections = RUNBOOKS.read_text().split("\n## ")[1:]
    assert [section.splitlines()[0] for section in sections if section.count(question) != 1] == []


def test_alarms_are_told_to_the_topic_but_for_the_parts_of_another(deployed: Resources) -> None:
    rule = json.dumps(deployed["AvailabilityAlarm"]["Properties"]["AlarmRule"])
    for name, alarm in alarms(deployed).items():
        topic = {"Fn::If": ["HasAlarmTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "AWS::NoValue"}]}
        told = [] if f"${{{name}}}" in rule else [topic]
        assert alarm["Properties"].get("AlarmActions", []) == alarm["Properties"].get("OKActions", []) == told, name


def test_only_what_the_emulator_lacks_is_left_to_aws(deployed: Resources) -> None:
    for name, alarm in alarms(deployed).items():
        needs_aws = "Metrics" in alarm["Properties"] or alarm["Type"] == "AWS::CloudWatch::CompositeAlarm"
        assert alarm.get("Condition") == ("IsOnAws" if needs_aws else None), name


def test_the_state_machine_may_send_what_it_traces(deployed: Resources) -> None:
    policy = deployed["MachineTracingPolicy"]
    machine = deployed["JobMachine"]["Properties"]
    assert machine["TracingConfiguration"]["Enabled"] == {"Fn::If": ["Traces", True, False]}
    assert policy["Condition"] == "Traces"
    assert policy["Properties"]["Roles"] == [{"Ref": machine["RoleArn"]["Fn::GetAtt"][0]}]
    assert "xray:PutTraceSegments" in policy["Properties"]["PolicyDocument"]["Statement"][0]["Action"]


def test_every_function_may_send_traces_when_tracing_is_on(deployed: Resources) -> None:
    policy = deployed["TracingPolicy"]
    assert policy["Condition"] == "Traces"
    roles = {role["Ref"] for role in policy["Properties"]["Roles"]}
    functions = of_type(deployed, "AWS::Lambda::Function")
    assert roles == {function["Properties"]["Role"]["Fn::GetAtt"][0] for function in functions.values()}
    assert all(each["Properties"]["TracingConfig"] == {"Mode": {"Ref": "Tracing"}} for each in functions.values())
