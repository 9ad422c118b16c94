"""Chat on Lambda Managed Instances: the template as `make deploy` writes it where a capacity provider is named."""

from __future__ import annotations

import copy
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import build, venvs
from local.places import REPOSITORY
from scripts.managed_instances import PARAMETER, RULE, main, on_instances
from tests.deploy.conftest import Resources, of_type, translated

ARN = "arn:aws:lambda:eu-central-1:123456789012:capacity-provider:gateway"


@pytest.fixture(scope="module")
def instances(template: dict[str, Any]) -> Resources:
    return translated(on_instances(copy.deepcopy(template)), parameters={PARAMETER: ARN})


def test_chat_is_on_the_instances_that_the_parameter_names(instances: Resources) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-lambda-function-capacityproviderconfig.html"""
    chat = instances["ChatFunction"]["Properties"]
    assert chat["CapacityProviderConfig"] == {
        "LambdaManagedInstancesCapacityProviderConfig": {
            "CapacityProviderArn": {"Ref": PARAMETER},
            "PerExecutionEnvironmentMaxConcurrency": {"Ref": "ChatInstanceConcurrency"},
            "ExecutionEnvironmentMemoryGiBPerVCpu": 2,
        }
    }
    assert chat["MemorySize"] == {"Fn::If": ["OnInstances", 2048, 1024]}


def test_nothing_else_is(instances: Resources, deployed: Resources) -> None:
    functions = of_type(instances, "AWS::Lambda::Function")
    assert [name for name, one in functions.items() if "CapacityProviderConfig" in one["Properties"]] == [
        "ChatFunction"
    ]
    assert not [one for one in of_type(deployed, "AWS::Lambda::Function").values() if "Capacity" in str(one)]


def test_chat_there_is_another_function_to_which_the_api_is_deployed_anew(
    instances: Resources, deployed: Resources
) -> None:
    """Neither may a function get a capacity provider later: https://github.com/localstack/localstack/pull/13447"""
    names = [one["ChatFunction"]["Properties"]["FunctionName"]["Fn::Sub"] for one in (deployed, instances)]
    assert names == ["${AWS::StackName}-chat", "${AWS::StackName}-chat-instances"]
    before, after = (set(of_type(one, "AWS::ApiGateway::Deployment")) for one in (deployed, instances))
    assert len(before) == len(after) == 1
    assert before != after


def test_what_instances_do_not_take_is_left_out_there(template: dict[str, Any], deployed: Resources) -> None:
    chat, conditions = deployed["ChatFunction"]["Properties"], template["Conditions"]
    nothing = {"Ref": "AWS::NoValue"}
    assert chat["SnapStart"] == {"Fn::If": ["SnapshotsChat", {"ApplyOn": "PublishedVersions"}, nothing]}
    assert chat["ReservedConcurrentExecutions"]["Fn::If"][0] == "ReservesChat"
    for condition in ("SnapshotsChat", "ReservesChat"):
        assert {"Fn::Not": [{"Condition": "OnInstances"}]} in conditions[condition]["Fn::And"]


def test_without_that_step_the_parameter_is_refused(template: dict[str, Any]) -> None:
    rule = template["Rules"][RULE]
    is_none = {"Fn::Equals": [{"Ref": PARAMETER}, ""]}
    assert rule["RuleCondition"] == {"Fn::Not": [is_none]}
    assert [each["Assert"] for each in rule["Assertions"]] == [is_none]
    assert RULE not in on_instances(copy.deepcopy(template))["Rules"]


@pytest.mark.parametrize(
    ("given", "taken"),
    [("", True), (ARN, True), ("gateway", False), (ARN.replace("capacity-provider", "function"), False)],
)
def test_a_capacity_provider_is_named_by_its_arn(template: dict[str, Any], given: str, taken: bool) -> None:
    assert bool(re.fullmatch(template["Parameters"][PARAMETER]["AllowedPattern"], given)) is taken


@pytest.mark.parametrize("parameters", [[], ["RetentionDays=7", f"{PARAMETER}="]])
def test_without_a_capacity_provider_the_file_stays_as_it_is(tmp_path: Path, parameters: list[str]) -> None:
    built = tmp_path / "template.yaml"
    built.write_text("Resources: {}  # as it was\n")
    assert main([str(built), *parameters]) == 0
    assert built.read_text() == "Resources: {}  # as it was\n"


def test_what_is_written_is_a_template_that_passes_every_check(tmp_path: Path, template: dict[str, Any]) -> None:
    built = tmp_path / "template.yaml"
    built.write_text(yaml.safe_dump(template, sort_keys=False))
    assert main([str(built), "RetentionDays=7", f"{PARAMETER}={ARN}"]) == 0
    written = yaml.safe_load(built.read_text())
    assert written["Resources"]["ChatFunction"]["Properties"]["CapacityProviderConfig"]["Arn"] == {"Ref": PARAMETER}
    checked = subprocess.run(  # noqa: S603 - SAM's own environment
        [str(build.SAM), "validate", "--lint", "--template-file", str(built)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **build.sam_environment()},
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_make_deploy_takes_that_step_with_the_parameters_that_it_deploys() -> None:
    recipe = (REPOSITORY / "Makefile").read_text().partition("\ndeploy:")[2].partition("\n\n")[0]
    steps = [re.sub(r"\s+", " ", step).strip() for step in recipe.replace("\\\n", " ").split("&&")]
    assert "scripts.release_parameters" in steps[0]
    assert steps[1] == "$(SAM_BIN)/python -m scripts.managed_instances .aws-sam/build/template.yaml $$parameters"
    assert steps[2].startswith("$(SAM) deploy")
    assert venvs.SAM.python.parent == REPOSITORY / ".local" / "sam-venv" / "bin"
