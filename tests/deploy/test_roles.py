"""What each role may do, action by action. On what, and who else comes in: `test_least_privilege.py`."""

from __future__ import annotations

import json

import pytest

from tests.deploy.conftest import Resources, of_type, statements

LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TENANTS = {"dynamodb:GetItem", "dynamodb:BatchGetItem"}
METERED = {"dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"}
WHOLE_FILES = {
    *("s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:PutObjectTagging"),
    *("s3:AbortMultipartUpload", "s3:DeleteObject"),
}
ACCEPTS_JOBS = {"dynamodb:PutItem", "s3:PutObject", "kms:GenerateDataKey", "states:StartExecution"}
SHARES_HEALTH = {"dynamodb:UpdateItem", "dynamodb:Query"}
ALLOWED = {
    "ChatRole": LOGS
    | TENANTS
    | ACCEPTS_JOBS
    | {"dynamodb:Query", "secretsmanager:GetSecretValue", "kms:Decrypt"}
    | {"s3:GetObject", "s3:ListBucket", "lambda:InvokeFunction"}  # media: files, and what was fetched
    | {"s3:PutObject", "s3:PutObjectTagging", "kms:GenerateDataKey"}  # media that a model made
    | {"s3:DeleteObject"}  # what was kept of a request while it waited for work in the background
    | {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}
    | {"bedrock:ApplyGuardrail"}  # a tenant's hook; functions and signing keys of hooks by the actions above
    | {"dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"},  # the ledger; what is told, and where else
    "EmbeddingsRole": LOGS
    | TENANTS
    | SHARES_HEALTH
    | ACCEPTS_JOBS
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "bedrock:InvokeModel"}
    | {"lambda:InvokeFunction", "bedrock:ApplyGuardrail"}  # hooks
    | {"dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"},  # as chat
    "ImagesRole": LOGS
    | TENANTS
    | SHARES_HEALTH
    | ACCEPTS_JOBS
    | {
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "bedrock:InvokeModel",
        "bedrock:ApplyGuardrail",
    }
    | {"s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", "lambda:InvokeFunction"}  # kept, linked, and fetched
    | {"dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"},  # as chat
    "VideosRole": LOGS
    | TENANTS
    | ACCEPTS_JOBS
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey", "bedrock:ApplyGuardrail"}
    | {"dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"}  # as chat
    | {"dynamodb:PutItem", "dynamodb:Query"}  # jobs
    | {"states:SendTaskSuccess"}  # of a cancelled one, whose execution waits for its provider's call
    | {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject"}  # videos are files
    | {"s3:AbortMultipartUpload", "lambda:InvokeFunction"},  # of one that broke off; pictures to begin with
    "SpeechRole": LOGS
    | TENANTS
    | SHARES_HEALTH
    | ACCEPTS_JOBS
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey", "bedrock:ApplyGuardrail"}
    | {"s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"}  # kept and linked
    | {"lambda:InvokeFunction"}  # hooks
    | {"dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"},  # as chat
    "TranscriptionsRole": LOGS
    | TENANTS
    | SHARES_HEALTH
    | ACCEPTS_JOBS
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "bedrock:ApplyGuardrail"}
    | {"s3:GetObject", "s3:ListBucket", "lambda:InvokeFunction"}  # recordings, fetched and hooks
    | {"dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"},  # as chat
    "JobsRole": LOGS
    | TENANTS
    | ACCEPTS_JOBS
    | {"dynamodb:Query", "dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"}
    | {"s3:GetObject", "s3:ListBucket", "s3:DeleteObject"}  # links to results; requests of cancelled jobs
    | {"states:SendTaskSuccess"}  # as videos
    | {"secretsmanager:GetSecretValue", "kms:Decrypt"},  # to stop a provider
    "JobTaskRole": LOGS
    | TENANTS
    | {"dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"}
    | {"states:StartExecution", "states:DescribeExecution"}  # the sweep
    | {"dynamodb:DeleteItem", "states:SendTaskSuccess", "secretsmanager:DescribeSecret"}  # who waits for a call
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey"}
    | {"lambda:InvokeFunction", "bedrock:ApplyGuardrail"}  # a chat in the background that is found finished
    | WHOLE_FILES,  # a video that is found finished is stored
    "JobAskRole": LOGS
    | TENANTS
    | {"dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"}
    | {"secretsmanager:DescribeSecret"}  # whether its provider calls back
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey", "lambda:InvokeFunction"}
    | WHOLE_FILES
    | {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream", "bedrock:ApplyGuardrail"},
    "BatchesRole": LOGS
    | TENANTS
    | ACCEPTS_JOBS
    | {"dynamodb:Query", "dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage", "kms:Decrypt"}
    | {"s3:GetObject", "s3:ListBucket", "s3:DeleteObject"},  # results; how large an input is
    "BatchTaskRole": LOGS  # it asks no provider and knows no key of one
    | TENANTS
    | {"dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"}
    | {"states:StartExecution", "states:DescribeExecution"}  # the sweep
    | {"lambda:InvokeFunction"}  # of who knows the keys
    | {"kms:Decrypt", "kms:GenerateDataKey"}
    | WHOLE_FILES,  # inputs are read, lines stored and dropped, results merged
    "BatchWorkRole": LOGS
    | TENANTS
    | {"dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "events:PutEvents", "sqs:SendMessage"}
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey", "lambda:InvokeFunction"}
    | WHOLE_FILES
    | {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream", "bedrock:ApplyGuardrail"},
    "ProviderWebhooksRole": LOGS  # it reads strangers' messages: no job, no tenant, no key of a provider
    | {"dynamodb:UpdateItem", "states:SendTaskSuccess", "secretsmanager:GetSecretValue", "kms:Decrypt"},
    "JobMachineRole": {"lambda:InvokeFunction"},
    "ShiftingRole": {"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"}
    | {"cloudwatch:DescribeAlarms"},
    "BatchMachineRole": {"lambda:InvokeFunction"}
    | {"states:StartExecution", "states:DescribeExecution", "states:StopExecution"},  # of its own parts
    "ModelsRole": LOGS | TENANTS | METERED | {"kms:Decrypt", "dynamodb:Query"},  # the health of models
    "FilesRole": LOGS
    | TENANTS
    | METERED
    | {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:PutObjectTagging"}
    | {"kms:Decrypt", "kms:GenerateDataKey"},
    "MediaFetchRole": LOGS | {"s3:PutObject", "kms:GenerateDataKey"},  # it reads strangers' URLs: nothing else
    "WebhookSendRole": LOGS,  # as well
    "RecordsRole": LOGS
    | {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
    | {
        "dynamodb:UpdateItem",
        "dynamodb:PutItem",
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
    }  # and transactions
    | {"s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey"},
    "SweepRole": LOGS
    | {"dynamodb:Scan", "dynamodb:UpdateItem"}  # the ledger
    | {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"}  # usage
    | {"dynamodb:DeleteItem"}  # what waits in the outbox
    | {"dynamodb:BatchGetItem", "events:PutEvents", "sqs:SendMessage", "kms:Decrypt"},
    "UsageRole": LOGS | TENANTS | METERED | {"dynamodb:Query", "kms:Decrypt"},
    "AdminRole": LOGS
    | TENANTS
    | {"dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}  # a tenant, all of it
    | {"dynamodb:UpdateItem"}  # the ledger, when a tenant is spread over more or fewer accounts
    | {"states:DescribeExecution"}  # where a job is carried on
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "events:PutEvents", "sqs:SendMessage"},
    "RealtimeRole": LOGS
    | TENANTS
    | METERED
    | {"dynamodb:PutItem", "execute-api:ManageConnections"}  # what is said; that it was lost
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey"}
    | {"lambda:InvokeFunction", "bedrock:ApplyGuardrail"},  # who holds a session, and hooks
    "RealtimeSessionRole": LOGS
    | TENANTS
    | METERED
    | {"dynamodb:Query", "execute-api:ManageConnections"}  # what is said, both ways
    | {"lambda:InvokeFunction"}  # who follows
    | {"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey"},
    "RealtimeSecretsRole": LOGS | TENANTS | METERED | {"dynamodb:PutItem", "kms:Decrypt", "kms:GenerateDataKey"},
    "TypesRole": LOGS
    | TENANTS
    | METERED
    | {"dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem", "kms:Decrypt"},
}
"""Everything that a role may do. A new action is added here in the same change, with a reason."""


BELOW = (
    *("/usage/*", "/audit/*", "/alerts/*"),
    *("/providers/*", "/files/*", "/pending/*", "/uploads/*", "/idempotency/*", "/fetched/*"),
    *("/jobs/*", "/replies/*", ":execution:${AWS::StackName}-job:*", "/callbacks/*"),
    *("/batches/*", ":execution:${AWS::StackName}-batch:*", ":execution:${AWS::StackName}-batch/*"),
    *(":function:gateway-hook-*", "/hooks/*", ":guardrail/*", "/providers/bedrock*"),
    *("/@connections/*", "Function.Arn}:*", ":alarm:${AWS::StackName}-*"),
    *(":foundation-model/*", ":inference-profile/*", ":application-inference-profile/*"),
)
"""What a resource may say for "everything below"."""


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_a_role_may_do_what_is_written_down_and_nothing_else(deployed: Resources, name: str) -> None:
    actions = {action for statement in statements(deployed[name]) for action in statement["Action"]}
    assert actions == ALLOWED[name]


def test_inference_may_invoke_hooks_and_chat_the_media_fetcher_too(deployed: Resources) -> None:
    [embeddings] = [one for one in statements(deployed["EmbeddingsRole"]) if "lambda:InvokeFunction" in one["Action"]]
    assert ":function:gateway-hook-*" in json.dumps(embeddings["Resource"])
    chat = [one for one in statements(deployed["ChatRole"]) if "lambda:InvokeFunction" in one["Action"]]
    fetcher, hooks = (json.dumps(statement["Resource"]) for statement in chat)
    assert "MediaFetchFunctionAliaslive" in fetcher
    assert ":function:gateway-hook-*" in hooks
    functions = of_type(deployed, "AWS::Lambda::Function").values()
    assert all(
        function["Properties"]["FunctionName"]["Fn::Sub"].startswith("${AWS::StackName}-") for function in functions
    )


def test_what_callers_are_told_is_signed_by_one_function_and_sent_by_another(deployed: Resources) -> None:
    """Who speaks to strangers knows no secret, and who signs may invoke nobody but him and hooks."""
    job_task = [one for one in statements(deployed["JobTaskRole"]) if "lambda:InvokeFunction" in one["Action"]]
    invoked = json.dumps([statement["Resource"] for statement in job_task])
    assert invoked.count("Aliaslive") == 1
    assert '{"Ref": "WebhookSendFunctionAliaslive"}' in invoked
    readers = {
        name
        for name in of_type(deployed, "AWS::IAM::Role")
        for statement in statements(deployed[name])
        if statement["Resource"] == {"Ref": "WebhookRoot"}
    }
    assert readers == {"JobTaskRole", "AdminRole"}


def test_every_function_has_a_role_of_its_own(deployed: Resources) -> None:
    functions = of_type(deployed, "AWS::Lambda::Function")
    roles = [function["Properties"]["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert sorted([*roles, "JobMachineRole", "BatchMachineRole", "ShiftingRole"]) == sorted(ALLOWED)


def test_whoever_asks_providers_shares_their_health_and_the_models_function_reads_it(deployed: Resources) -> None:
    table = {"Fn::GetAtt": ["HealthTable", "Arn"]}
    found = {
        role: set(statement["Action"])
        for role in of_type(deployed, "AWS::IAM::Role")
        for statement in statements(deployed[role])
        if statement["Resource"] == table
    }
    assert found.pop("ModelsRole") == {"dynamodb:Query"}
    at_once = ("Chat", "Embeddings", "Images", "Speech", "Transcriptions", "Videos")
    asking = (*at_once, "JobAsk", "BatchWork", "RealtimeSession")
    assert found == {f"{name}Role": SHARES_HEALTH for name in asking}


def test_no_statement_is_about_every_resource(deployed: Resources) -> None:
    for role in of_type(deployed, "AWS::IAM::Role").values():
        for statement in statements(role):
            resources = statement["Resource"]
            for resource in resources if isinstance(resources, list) else [resources]:
                text = json.dumps(resource)
                assert text != '"*"'
                assert "*" not in text or any(allowed in text for allowed in BELOW)
