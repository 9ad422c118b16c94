"""The template as SAM translates it, for the tests of what is deployed."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from local import venvs
from local.console import Progress
from scripts import sam_template

Resources = dict[str, dict[str, Any]]
Translate = Callable[..., Resources]

KEPT = ("RetainExceptOnCreate", "Retain")
"""What outlives the stack, but for one whose first deployment fails: the next one has to find its names free."""

_DEFAULTS = {"DepsLayer": "s3://artifacts/deps-1", "GatewayLayer": "s3://artifacts/gateway-1"}


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """template.yaml, its functions in long form."""
    return sam_template.read()


def translated(
    template: dict[str, Any], artifacts: dict[str, str] | None = None, parameters: dict[str, str] | None = None
) -> Resources:
    """Resources after SAM's transform; `artifacts` says where packed layers lie, `parameters` what deploy passes."""
    venvs.ensure([venvs.SAM], Progress())
    packed = copy.deepcopy(template)
    for name, resource in packed["Resources"].items():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = {**_DEFAULTS, **(artifacts or {})}[name]
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://artifacts/{name}"
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = f"s3://artifacts/{name}"
    request = json.dumps({"template": packed, "parameters": parameters or {}})
    done = subprocess.run(  # noqa: S603 - SAM's own environment, made above
        [str(venvs.SAM.python), str(Path(__file__).with_name("translate.py"))],
        input=request,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
    )
    resources: Resources = json.loads(done.stdout)["Resources"]
    return resources


@pytest.fixture(scope="session")
def translate(template: dict[str, Any]) -> Translate:
    """`translated` for template.yaml."""
    return partial(translated, template)


@pytest.fixture(scope="session")
def deployed(translate: Translate) -> Resources:
    return translate()


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement
