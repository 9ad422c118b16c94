"""A change anywhere in what a function runs publishes a new version, and the alias `live` moves to it."""

from __future__ import annotations

import re

import pytest

from local import fingerprint
from local.places import REPOSITORY
from scripts import idle_costs, release_parameters
from tests.deploy.conftest import Resources, Translate, of_type

SHA = "0" * 63


def versions(resources: Resources) -> set[str]:
    return set(of_type(resources, "AWS::Lambda::Version"))


@pytest.mark.parametrize("layer", ["DepsLayer", "GatewayLayer"])
def test_a_changed_layer_alone_publishes_every_function_anew(translate: Translate, layer: str) -> None:
    before, after = translate(), translate(artifacts={layer: "s3://artifacts/changed"})
    assert len(versions(before)) == len(of_type(before, "AWS::Lambda::Function"))
    assert versions(before).isdisjoint(versions(after))


def test_an_unchanged_template_publishes_nothing(translate: Translate) -> None:
    assert versions(translate()) == versions(translate())


def test_another_code_sha_publishes_every_function_anew(translate: Translate) -> None:
    before, after = (translate(parameters={"CodeSha": first + SHA}) for first in "12")
    assert versions(before).isdisjoint(versions(after))


def test_another_code_sha_is_another_configuration(deployed: Resources) -> None:
    """Lambda publishes no version of a function in which nothing has changed, and the deployment fails:
    https://github.com/aws/serverless-application-model/issues/1497
    """
    for function in of_type(deployed, "AWS::Lambda::Function").values():
        assert function["Properties"]["Environment"]["Variables"]["GATEWAY_RELEASE"] == {"Ref": "CodeSha"}


def test_a_setting_changes_the_code_sha() -> None:
    def sha(origin: str) -> str:
        config = f'[dev.deploy.parameters]\nparameter_overrides = ["AllowedOrigin={origin}"]'
        return release_parameters.parameters("dev", config)[-1]

    assert sha("https://a.example") != sha("https://b.example")
    assert sha("https://a.example") == sha("https://a.example")
    assert sha("") == f"CodeSha={fingerprint.of_deployment('AllowedOrigin=')}"


CONFIG = '[dev.deploy.parameters]\nparameter_overrides = ["TrafficShifting=AtOnce", "RetentionDays=7"]'


def test_what_is_set_for_one_deployment_comes_in_place_of_what_the_file_has() -> None:
    *given, sha = release_parameters.parameters(
        "dev", CONFIG, "TrafficShifting=Linear10PercentEvery1Minute", "Tracing=A=B"
    )
    assert given == ["TrafficShifting=Linear10PercentEvery1Minute", "RetentionDays=7", "Tracing=A=B"]
    assert sha == f"CodeSha={fingerprint.of_deployment(*given)}"


@pytest.mark.parametrize("others", [["AtOnce"], ["Tracing=Active", "AtOnce"]])
def test_what_has_no_name_is_not_taken_for_a_parameter(others: list[str]) -> None:
    with pytest.raises(ValueError, match="AtOnce"):
        release_parameters.parameters("dev", CONFIG, *others)


def test_the_alias_points_at_the_version_and_takes_the_traffic(deployed: Resources) -> None:
    aliases = of_type(deployed, "AWS::Lambda::Alias")
    pointed = {alias["Properties"]["FunctionVersion"]["Fn::GetAtt"][0] for alias in aliases.values()}
    assert pointed == versions(deployed)
    permitted = {
        permission["Properties"]["FunctionName"]["Ref"]
        for permission in of_type(deployed, "AWS::Lambda::Permission").values()
    }
    # Four are invoked by roles only, the fifth takes its messages itself.
    asking = {"JobAskFunctionAliaslive", "BatchWorkFunctionAliaslive", "RealtimeSessionFunctionAliaslive"}
    by_roles = {*asking, "MediaFetchFunctionAliaslive", "WebhookSendFunctionAliaslive"}
    assert permitted == set(aliases) - by_roles - {"RecordsFunctionAliaslive"}


def test_old_versions_go_because_each_costs_for_its_snapshot(deployed: Resources) -> None:
    for version in of_type(deployed, "AWS::Lambda::Version").values():
        assert version["DeletionPolicy"] == "Delete"


def test_functions_start_from_a_snapshot_on_aws_only(deployed: Resources) -> None:
    """Those whose first token or sound somebody waits for: each GB costs a month what a thousand starts do not."""
    of_versions, nothing = {"ApplyOn": "PublishedVersions"}, {"Ref": "AWS::NoValue"}
    functions = of_type(deployed, "AWS::Lambda::Function").items()
    begun = {name: each["Properties"]["SnapStart"] for name, each in functions if "SnapStart" in each["Properties"]}
    waited_for = ("Chat", "Embeddings", "Speech", "MediaFetch", "Realtime", "RealtimeSession")
    condition = {"ChatFunction": "SnapshotsChat"}  # which may be on instances
    assert begun == {
        name: {"Fn::If": [condition.get(name, "FromSnapshots"), of_versions, nothing]}
        for name in (f"{each}Function" for each in waited_for)
    }


def test_what_a_stack_costs_unused_is_what_the_page_says() -> None:
    [found] = idle_costs.PLACE.findall(idle_costs.PAGE.read_text())
    assert found == idle_costs.table()
    [total] = re.findall(r"\*\*together\*\* \(`prod`\) \| (\d+)\.", found)
    assert f"idle about ${round(int(total), -1)} a month" in (REPOSITORY / "README.md").read_text()
