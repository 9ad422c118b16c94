"""How new versions take over: at once, or shifted by CodeDeploy, which goes back when the gateway fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any

import pytest

from tests.deploy.conftest import Resources, Translate, of_type

CANARY = "Canary10Percent5Minutes"
ALARMS = ("ReleaseAlarm", "NewVersionsAlarm", "WorkersAlarm")
SHIFTED = {"ChatFunction", "EmbeddingsFunction", "ImagesFunction", "SpeechFunction", "TranscriptionsFunction"}
"""Few: Lambda's API takes 15 requests a second of all that deploys at once, and fails what comes on top.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#api-requests"""


@pytest.fixture(scope="module")
def shifted(translate: Translate) -> Resources:
    return translate(parameters={"TrafficShifting": CANARY})


def named(value: Any, resources: Resources) -> Iterator[str]:
    """Logical ids that a value refers to, so CloudFormation makes them first."""
    if isinstance(value, list):
        for member in value:
            yield from named(member, resources)
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "Ref" and member in resources:
                yield member
            elif key == "Fn::GetAtt":
                yield member[0] if isinstance(member, list) else member.split(".")[0]
            elif key == "Fn::Sub":
                text = member if isinstance(member, str) else member[0]
                yield from (name for name in re.findall(r"\$\{(\w+)[.}]", text) if name in resources)
            yield from named(member, resources)


def waits_for(resources: Resources) -> dict[str, set[str]]:
    said = {name: resource.get("DependsOn", []) for name, resource in resources.items()}
    return {
        name: set(named(resource, resources)) | set([said[name]] if isinstance(said[name], str) else said[name])
        for name, resource in resources.items()
    }


def test_without_the_parameter_there_is_no_code_deploy(deployed: Resources) -> None:
    assert not [name for name, resource in deployed.items() if resource["Type"].startswith("AWS::CodeDeploy")]
    assert not [name for name, alias in of_type(deployed, "AWS::Lambda::Alias").items() if "UpdatePolicy" in alias]


def test_functions_that_answer_with_models_are_shifted_and_go_back_on_alarms(shifted: Resources) -> None:
    groups = of_type(shifted, "AWS::CodeDeploy::DeploymentGroup")
    assert {name.removesuffix("DeploymentGroup") for name in groups} == SHIFTED
    for group in groups.values():
        properties = group["Properties"]
        assert properties["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": CANARY}
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
        names = [alarm["Name"]["Fn::If"][1]["Ref"] for alarm in properties["AlarmConfiguration"]["Alarms"]]
        assert names == list(ALARMS)
        assert properties["ServiceRoleArn"]["Fn::If"][1] == {"Fn::GetAtt": ["ShiftingRole", "Arn"]}
    for name, alias in of_type(shifted, "AWS::Lambda::Alias").items():
        function = name.removesuffix("Aliaslive")
        if function not in SHIFTED:
            assert "UpdatePolicy" not in alias
            continue
        group = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]
        assert group == {"Ref": f"{function}DeploymentGroup"}


def test_no_role_of_aws_shifts_traffic(shifted: Resources) -> None:
    """SAM would give one that may change every alias of the account."""
    assert "CodeDeployServiceRole" not in shifted
    arns, qualified, _ = shifted["ShiftingRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert {arn["Fn::GetAtt"][0] for arn in arns["Resource"]} == SHIFTED
    assert {arn["Fn::Sub"] for arn in qualified["Resource"]} == {f"${{{name}.Arn}}:*" for name in SHIFTED}


def test_the_version_that_comes_is_watched_by_itself(shifted: Resources) -> None:
    watched = set()
    for metric in shifted["NewVersionsAlarm"]["Properties"]["Metrics"][1:]:
        of = {one["Name"]: one["Value"] for one in metric["MetricStat"]["Metric"]["Dimensions"]}
        assert of["Resource"] == {"Fn::Sub": f"${{{of['FunctionName']['Ref']}}}:live"}
        version = of["ExecutedVersion"]["Fn::GetAtt"]
        assert shifted[version[0]]["Type"] == "AWS::Lambda::Version"
        assert shifted[version[0]]["Properties"]["FunctionName"] == of["FunctionName"]
        assert version[1] == "Version"
        watched.add(of["FunctionName"]["Ref"])
    assert watched == SHIFTED


def test_nothing_waits_for_itself(shifted: Resources) -> None:
    """An alias waits for its deployment group, that for the alarms: what they name must not wait for an alias."""
    TopologicalSorter(waits_for(shifted)).prepare()  # raises CycleError


def test_a_deployment_is_over_after_a_few_shifts(shifted: Resources) -> None:
    """Functions that invoke others are shifted after them; docs/deploy.md says how long it takes."""
    waiting = waits_for(shifted)
    depth: dict[str, int] = {}
    for name in TopologicalSorter(waiting).static_order():
        before = max((depth[other] for other in waiting[name]), default=0)
        depth[name] = before + (shifted[name]["Type"] == "AWS::Lambda::Alias")
    shifts = {name: 0 for name in shifted}
    for name in TopologicalSorter(waiting).static_order():
        before = max((shifts[other] for other in waiting[name]), default=0)
        shifts[name] = before + (name.removesuffix("Aliaslive") in SHIFTED and name.endswith("Aliaslive"))
    assert (max(depth.values()), max(shifts.values())) == (3, 1)


def test_a_fault_is_seen_within_the_shortest_canary(shifted: Resources) -> None:
    """Five minutes, of which CloudWatch takes one or two to know. What is asked once a minute fails twice before."""
    for name in ALARMS:
        alarm = shifted[name]["Properties"]
        [period_s] = {one["MetricStat"]["Period"] for one in alarm["Metrics"] if "MetricStat" in one}
        assert alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) * period_s <= 120
        assert alarm["TreatMissingData"] == "notBreaching"


def test_every_function_is_watched_for_faults_at_the_edge_or_for_crashes(shifted: Resources) -> None:
    functions = of_type(shifted, "AWS::Lambda::Function")
    at_the_edge = {
        permission["Properties"]["FunctionName"]["Ref"].removesuffix("Aliaslive")
        for permission in of_type(shifted, "AWS::Lambda::Permission").values()
        if "${__ApiId__}" in json.dumps(permission["Properties"].get("SourceArn", {}))
    }
    assert {"ChatFunction", "AdminFunction"} <= at_the_edge
    crashed = re.findall(
        r'"Fn::Sub": "(\$\{AWS::StackName\}-[a-z-]+)"', json.dumps(shifted["WorkersAlarm"]["Properties"]["Metrics"])
    )
    assert sorted(crashed) == sorted(
        function["Properties"]["FunctionName"]["Fn::Sub"]
        for name, function in functions.items()
        if name not in at_the_edge
    )


@pytest.mark.parametrize("parameters", [{}, {"TrafficShifting": CANARY}])
def test_the_stack_is_within_what_cloudformation_takes(translate: Translate, parameters: dict[str, str]) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
    resources = translate(parameters=parameters)
    assert len(resources) <= 500
    assert len(json.dumps(resources)) < 1_000_000
