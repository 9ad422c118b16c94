"""docs/deploy.md lists what the template makes: it is also the list of rights that whoever deploys needs."""

from __future__ import annotations

import json
import re

from local.places import REPOSITORY
from tests.deploy.conftest import Resources

PAGE = (REPOSITORY / "docs" / "deploy.md").read_text()
LISTED = PAGE.partition("\n## What it creates\n")[2].partition("\n## ")[0]
NAMES = {
    "AWS::Lambda::Function": "FunctionName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
    "AWS::SQS::Queue": "QueueName",
}
SERVICES = {
    "ApiGateway": "API Gateway",
    "ApiGatewayV2": "WebSocket API",
    "CloudWatch": "CloudWatch",
    "CodeDeploy": "CodeDeploy",
    "DynamoDB": "DynamoDB",
    "Events": "EventBridge",
    "Glue": "Glue",
    "IAM": "role",
    "Lambda": "Lambda",
    "Logs": "log groups",
    "Route53": "Route 53",
    "S3": "S3",
    "SNS": "SNS",
    "SQS": "SQS",
    "SecretsManager": "Secrets Manager",
    "StepFunctions": "Step Functions",
    "WAFv2": "WAF",
}


def test_what_has_a_name_is_listed_by_it(deployed: Resources) -> None:
    names = {
        re.sub(
            r".*\$\{AWS::StackName\}[-/]", "", json.dumps(resource["Properties"][NAMES[resource["Type"]]]).rstrip('"}')
        )
        for resource in deployed.values()
        if resource["Type"] in NAMES
    }
    assert len(names) > 30
    assert [name for name in names if not re.search(rf"[`…/-]{name}`", LISTED)] == []


def test_every_service_is_listed(deployed: Resources) -> None:
    services = {resource["Type"].split("::")[1] for resource in deployed.values()} | {"CodeDeploy"}
    assert [service for service in services if SERVICES[service] not in LISTED] == []


def test_every_command_names_the_stack_by_its_variable() -> None:
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    assert "llm-gateway" not in commands.replace("STACK=llm-gateway-dev", "").replace("~/.llm-gateway", "").replace(
        "its name there: prod is llm-gateway.", ""
    )
