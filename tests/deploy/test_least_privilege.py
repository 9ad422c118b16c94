"""What a list of actions by role does not say: on what, under which condition, and who else may come in.

Where a table here changes, somebody can do more or less than before: say why in the same change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.conftest import Resources, Translate, of_type, statements

CHATS = {"BatchWork", "Chat", "Embeddings", "Images", "JobAsk", "JobTask", "Speech", "Transcriptions", "Videos"}
"""Those that carry out requests, hooks included."""

SECRETS = {
    "AdminKey": {"Admin"},
    "WebhookRoot": {"Admin", "JobTask"},
    "/providers/*": CHATS | {"Jobs", "RealtimeSession"},
    "/providers/bedrock*": {"Realtime"},  # guardrails of hooks, signed with a key where the owner gave one
    "/hooks/*": CHATS | {"Realtime"},
    "/callbacks/*": {"ProviderWebhooks"},
}
WRITES_TO_TABLES = {
    ("TenantsTable", "dynamodb:PutItem"): {"Admin", "Types"},
    ("TenantsTable", "dynamodb:DeleteItem"): {"Admin", "Sweep", "Types"},
    ("TenantsTable", "dynamodb:BatchWriteItem"): {"Admin"},
    ("UsageTable", "dynamodb:PutItem"): {"Records", "Sweep"},
    ("UsageTable", "dynamodb:UpdateItem"): {"Records", "Sweep"},
    ("UsageTable", "dynamodb:BatchWriteItem"): {"Records"},
    ("JobsTable", "dynamodb:UpdateItem"): {"JobTask", "ProviderWebhooks"},
    ("JobsTable", "dynamodb:DeleteItem"): {"JobTask"},
    ("RealtimeTable", "dynamodb:PutItem"): {"Realtime", "RealtimeSecrets"},
    ("RealtimeTable", "dynamodb:UpdateItem"): {"Realtime", "RealtimeSession"},
}
"""But for the ledger, jobs and health, which everybody adds to who lets requests in or asks providers."""
ONLY_KEYS = {
    ("Types", "TenantsTable", "dynamodb:PutItem"): "TYPES#*",
    ("Types", "TenantsTable", "dynamodb:DeleteItem"): "TYPES#*",
    ("Sweep", "TenantsTable", "dynamodb:DeleteItem"): "OUTBOX",
    ("Sweep", "TenantsTable", "dynamodb:Query"): "OUTBOX",
    ("JobTask", "JobsTable", "dynamodb:UpdateItem"): "CALL#*",
    ("JobTask", "JobsTable", "dynamodb:DeleteItem"): "CALL#*",
    ("ProviderWebhooks", "JobsTable", "dynamodb:UpdateItem"): "CALL#*",
    ("RealtimeSecrets", "RealtimeTable", "dynamodb:PutItem"): "K#*",
}
"""Of which items alone, by their partition keys."""
INVOKES = {
    "MediaFetchFunctionAliaslive": CHATS - {"Embeddings", "JobTask", "Speech"},
    "WebhookSendFunctionAliaslive": {"JobTask"},
    "JobAskFunctionAliaslive": {"JobMachine"},
    "JobTaskFunctionAliaslive": {"BatchMachine", "JobMachine"},
    "BatchTaskFunctionAliaslive": {"BatchMachine"},
    "BatchWorkFunctionAliaslive": {"BatchMachine", "BatchTask"},
    "RealtimeFunctionAliaslive": {"RealtimeSession"},
    "-realtime-session:live": {"Realtime", "RealtimeSession"},
    ":function:gateway-hook-*": CHATS | {"Realtime"},
}


def granted(resources: Resources) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Role, action, what a resource ends with, and the statement, for each that is allowed."""
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for statement in statements(role):
            given = statement["Resource"]
            for resource in given if isinstance(given, list) else [given]:
                [(function, value)] = resource.items()
                text = value[0] if function == "Fn::GetAtt" else value
                for action in statement["Action"]:
                    yield name.removesuffix("Role"), action, text, statement


def who(resources: Resources, action: str, ending: str) -> set[str]:
    return {role for role, may, on, _ in granted(resources) if may == action and on.endswith(ending)}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_read_by_those_who_need_it(deployed: Resources, secret: str) -> None:
    assert who(deployed, "secretsmanager:GetSecretValue", secret) == SECRETS[secret]


def test_there_is_no_other_secret_and_nobody_writes_one(deployed: Resources) -> None:
    of_secrets = {(action, on) for _, action, on, _ in granted(deployed) if action.startswith("secretsmanager:")}
    assert {action for action, _ in of_secrets} == {"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
    assert {on.rpartition("${AWS::StackName}")[2] for _, on in of_secrets} == set(SECRETS)


def test_tables_are_written_by_those_who_keep_them(deployed: Resources) -> None:
    shared = {("LedgerTable", "dynamodb:UpdateItem"), ("HealthTable", "dynamodb:UpdateItem")}
    shared.add(("JobsTable", "dynamodb:PutItem"))
    writes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}
    found: dict[tuple[str, str], set[str]] = {}
    for role, action, on, _ in granted(deployed):
        if action in writes and on.endswith("Table") and (on, action) not in shared:
            found.setdefault((on, action), set()).add(role)
    assert found == WRITES_TO_TABLES


def test_some_may_touch_some_items_alone(deployed: Resources) -> None:
    """API keys are K#…, accounts of tenants T#…, their types TYPES#…: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html"""
    found = {
        (role, on, action): key
        for role, action, on, statement in granted(deployed)
        for operator, tested in statement.get("Condition", {}).items()
        if "dynamodb:LeadingKeys" in tested and operator.startswith("ForAllValues:")
        for key in tested["dynamodb:LeadingKeys"]
    }
    assert found == ONLY_KEYS


def test_functions_invoke_whom_they_have_to(deployed: Resources) -> None:
    endings = {on for _, action, on, _ in granted(deployed) if action == "lambda:InvokeFunction"}
    assert len(endings) == len(INVOKES)
    assert {ending: who(deployed, "lambda:InvokeFunction", ending) for ending in INVOKES} == INVOKES


def test_the_archive_is_only_ever_added_to(deployed: Resources) -> None:
    found = {(role, action) for role, action, on, _ in granted(deployed) if "ArchiveBucket" in on}
    assert found == {("Records", "s3:PutObject")}


def test_the_whole_ledger_is_read_by_the_sweep_alone(deployed: Resources) -> None:
    assert {(role, on) for role, action, on, _ in granted(deployed) if action == "dynamodb:Scan"} == {
        ("Sweep", "LedgerTable")
    }


def test_a_function_writes_its_own_log(deployed: Resources) -> None:
    for role, action, on, _ in granted(deployed):
        if action.startswith("logs:"):
            assert on == f"{role}Logs" or (role, on) == ("Records", "AuditLogs")


def test_your_key_is_used_through_services_alone(deployed: Resources) -> None:
    for _, action, on, statement in granted(deployed):
        if action.startswith("kms:"):
            assert on == "KmsKeyArn"
            assert "kms:ViaService" in statement["Condition"]["StringEquals"]


def test_statements_say_what_they_allow_and_nothing_by_exception(deployed: Resources) -> None:
    for role in of_type(deployed, "AWS::IAM::Role").values():
        sids = [statement["Sid"] for statement in statements(role) if "Sid" in statement]
        assert len(sids) == len(set(sids))
        for statement in statements(role):
            assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
            assert statement["Effect"] == "Allow"
            assert not [action for action in statement["Action"] if "*" in action or action.startswith("iam:")]


@pytest.fixture(params=["AtOnce", "Canary10Percent5Minutes"])
def in_any_way(request: pytest.FixtureRequest, translate: Translate) -> Resources:
    """As `dev` and as `prod` are deployed: SAM adds roles of its own to the one and not to the other."""
    return translate(parameters={"TrafficShifting": request.param})


def test_nobody_has_policies_that_aws_writes_but_who_has_to(in_any_way: Resources) -> None:
    """API Gateway checks for that very one before it writes logs."""
    roles = of_type(in_any_way, "AWS::IAM::Role")
    assert [name for name, role in roles.items() if role["Properties"].get("ManagedPolicyArns")] == ["ApiLoggingRole"]


def test_policies_beside_the_roles_send_traces_and_nothing_else(in_any_way: Resources) -> None:
    for policy in of_type(in_any_way, "AWS::IAM::Policy").values():
        [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
        assert all(action.startswith("xray:") for action in statement["Action"])
    assert not of_type(in_any_way, "AWS::IAM::ManagedPolicy")


def test_roles_are_for_one_service_and_machines_for_this_account(in_any_way: Resources) -> None:
    for name, role in of_type(in_any_way, "AWS::IAM::Role").items():
        [trust] = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        service = {"ApiLoggingRole": "apigateway", "JobMachineRole": "states", "BatchMachineRole": "states"}
        service["ShiftingRole"] = "codedeploy"
        assert trust["Principal"] == {"Service": f"{service.get(name, 'lambda')}.amazonaws.com"}
        if name.endswith("MachineRole"):
            assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_function_is_invoked_by_its_alias_and_by_sources_of_ours(deployed: Resources) -> None:
    for permission in of_type(deployed, "AWS::Lambda::Permission").values():
        properties = permission["Properties"]
        assert properties["FunctionName"]["Ref"].endswith("Aliaslive")
        assert "SourceArn" in properties


def test_what_is_open_to_services_is_open_to_one_source(deployed: Resources) -> None:
    for name, resource in deployed.items():
        if resource["Type"] not in {"AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy"}:
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                assert "*" not in json.dumps(statement["Principal"]), name
                assert "aws:SourceArn" in json.dumps(statement["Condition"]), name
