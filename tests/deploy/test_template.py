"""What the template promises: streaming, least privilege, data that is kept, logs that are not kept forever."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.model.call import MAX_BEGIN_MS, MAX_JOB_MS
from gateway.pipeline.exchange import ANSWER_S, RECORD_S, RESULT_S
from gateway.pipeline.remote_look import LEASE_S, LOOK_TIMEOUT_S
from gateway.pipeline.videos import WAIT_MS
from gateway.pipeline.watch import BEFORE_AND_AFTER_S
from local.places import REPOSITORY
from tests.deploy.conftest import KEPT, Resources, of_type

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


def operation(resources: Resources, path: str, method: str) -> dict[str, Any]:
    body: dict[str, Any] = resources["Api"]["Properties"]["Body"]["paths"][path][method]
    return body


def integration(resources: Resources, path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = operation(resources, path, method)["x-amazon-apigateway-integration"]
    return found


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def test_chat_streams_through_the_alias(deployed: Resources) -> None:
    chat = integration(deployed, "/v1/chat/completions", "post")
    assert chat["responseTransferMode"] == "STREAM"
    assert chat["timeoutInMillis"] == 900_000
    uri = chat["uri"]["Fn::Sub"]
    assert "2021-11-15" in uri
    assert uri.endswith("${ChatFunction.Alias}/response-streaming-invocations") or "ChatFunctionAliaslive" in uri
    assert deployed["ChatFunction"]["Properties"]["Timeout"] == 900


def test_what_everybody_may_send_leaves_room_for_clients(deployed: Resources) -> None:
    everywhere, strangers = deployed["ApiStage"]["Properties"]["MethodSettings"]
    assert (everywhere["ResourcePath"], strangers["ResourcePath"]) == ("/*", "/~1webhooks~1{provider}")
    assert (strangers["HttpMethod"], strangers["MetricsEnabled"]) == ("POST", True)
    assert strangers["ThrottlingRateLimit"] == 50


def test_what_consumers_reach_can_be_kept_from_taking_all(deployed: Resources) -> None:
    """By a parameter each, those that answer within a moment by one together; but not the administration."""
    behind_the_api = {
        permission["Properties"]["FunctionName"]["Ref"].removesuffix("Aliaslive")
        for permission in of_type(deployed, "AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }
    reserved = {
        name: function["Properties"]["ReservedConcurrentExecutions"]["Fn::If"]
        for name, function in of_type(deployed, "AWS::Lambda::Function").items()
        if "ReservedConcurrentExecutions" in function["Properties"]
    }
    held = {"JobAskFunction", "BatchWorkFunction", "RealtimeSessionFunction"}
    assert reserved.keys() - held == behind_the_api - {"AdminFunction"}
    quick = {"JobsFunction", "BatchesFunction", "ModelsFunction", "FilesFunction", "TypesFunction", "UsageFunction"}
    quick.add("RealtimeSecretsFunction")
    for name, (condition, number, otherwise) in reserved.items():
        what = "Other" if name in {*quick, "ProviderWebhooksFunction"} else name.removesuffix("Function")
        what = "JobTask" if name == "JobAskFunction" else what
        assert (condition, number) == (f"Reserves{what}", {"Ref": f"{what}ReservedConcurrency"})
        assert otherwise == {"Ref": "AWS::NoValue"}


def test_the_reservations_of_the_documentation_add_up(template: dict[str, Any]) -> None:
    """And leave the hundred that Lambda lets nobody reserve."""
    page = (REPOSITORY / "docs" / "deploy.md").read_text()
    rows = {name: int(number) for name, number in re.findall(r"\| `(\w+ReservedConcurrency)` \| (\d+) \|", page)}
    assert rows.keys() == {name for name in template["Parameters"] if name.endswith("ReservedConcurrency")}
    total = sum(rows.values()) + 7 * rows["OtherReservedConcurrency"]
    assert f"| | {total} | and 100 that nobody may reserve: {total + 100} of 1,000 |" in page
    settings = (REPOSITORY / "samconfig.toml").read_text()
    assert {name: int(number) for name, number in re.findall(r'"(\w+ReservedConcurrency)=(\d+)"', settings)} == rows


def test_embeddings_may_be_larger_than_a_buffered_answer(deployed: Resources) -> None:
    """2,048 vectors of 3,072 numbers are some 80 MB; the function outlives the longest wait for a provider."""
    embeddings = integration(deployed, "/v1/embeddings", "post")
    assert embeddings["responseTransferMode"] == "STREAM"
    assert deployed["EmbeddingsFunction"]["Properties"]["Timeout"] * 1000 == embeddings["timeoutInMillis"]
    assert deployed["EmbeddingsFunction"]["Properties"]["Timeout"] == MAX_BEGIN_MS / 1000 + BEFORE_AND_AFTER_S


def test_a_job_has_its_result_before_lambda_kills_its_worker(deployed: Resources) -> None:
    timeout_s = deployed["JobAskFunction"]["Properties"]["Timeout"]
    assert MAX_JOB_MS / 1000 + 30 <= RESULT_S <= timeout_s - 30
    assert RESULT_S < RECORD_S <= timeout_s - 10


def test_a_video_is_answered_before_api_gateway_gives_up_and_lambda_kills(deployed: Resources) -> None:
    """300 s without a byte: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html"""
    assert ANSWER_S <= 300 - 15
    assert WAIT_MS / 1000 + LOOK_TIMEOUT_S + 50 <= ANSWER_S  # the last look may find it, which has to be stored
    assert ANSWER_S < LEASE_S
    timeout_s = deployed["VideosFunction"]["Properties"]["Timeout"]
    assert timeout_s >= ANSWER_S + BEFORE_AND_AFTER_S
    for path, method in (("/v1/videos", "post"), ("/v1/videos/{id}", "get"), ("/v1/videos/{id}/content", "get")):
        assert integration(deployed, path, method)["timeoutInMillis"] == timeout_s * 1000


def test_the_routes_are_the_published_ones(deployed: Resources) -> None:
    paths = deployed["Api"]["Properties"]["Body"]["paths"]
    methods = {path: sorted(set(operations) - {"options"}) for path, operations in paths.items()}
    assert methods == {
        "/v1/chat/completions": ["post"],
        "/v1/embeddings": ["post"],
        "/v1/realtime/client_secrets": ["post"],
        "/v1/images/generations": ["post"],
        "/v1/videos": ["get", "post"],
        "/v1/videos/{id}": ["delete", "get"],
        "/v1/videos/{id}/content": ["get"],
        "/v1/jobs": ["get", "post"],
        "/v1/jobs/{id}": ["delete", "get"],
        "/v1/jobs/{id}/cancel": ["post"],
        "/v1/batches": ["get", "post"],
        "/v1/batches/{id}": ["get"],
        "/v1/batches/{id}/cancel": ["post"],
        "/v1/batches/{id}/results": ["get"],
        "/webhooks/{provider}": ["post"],
        "/v1/audio/speech": ["post"],
        "/v1/audio/transcriptions": ["post"],
        "/v1/models": ["get"],
        "/v1/models/{id+}": ["get"],
        "/openapi.json": ["get"],
        "/asyncapi.json": ["get"],
        "/v1/files": ["get", "post"],
        "/v1/files/{id}": ["delete", "get"],
        "/v1/files/{id}/complete": ["post"],
        "/v1/files/{id}/content": ["get"],
        "/v1/usage": ["get"],
        "/v1/usage/requests/{request_id}": ["get"],
        "/v1/types": ["get", "post"],
        "/v1/types/{id}": ["delete", "get"],
        "/admin/{proxy+}": ["x-amazon-apigateway-any-method"],
    }


def test_a_browser_is_told_only_of_the_origin_that_was_allowed(deployed: Resources) -> None:
    preflight = integration(deployed, "/v1/models", "options")["responses"]["default"]["responseParameters"]
    allowed = preflight["method.response.header.Access-Control-Allow-Origin"]
    assert allowed == {"Fn::If": ["HasOrigin", {"Fn::Sub": "'${AllowedOrigin}'"}, {"Ref": "AWS::NoValue"}]}


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


@pytest.mark.parametrize("name", ["TenantsTable", "LedgerTable", "UsageTable"])
def test_tables_outlive_the_stack_and_a_mistake(deployed: Resources, name: str) -> None:
    table = deployed[name]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == KEPT
    properties = table["Properties"]
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at_s", "Enabled": True}


def test_what_outlives_the_stack_is_in_no_ones_way_when_its_first_deployment_fails(deployed: Resources) -> None:
    """But for API Gateway's role, which has no name of its own and may be others' by then."""
    kept = {name: each for name, each in deployed.items() if each.get("DeletionPolicy", "Delete") != "Delete"}
    plainly = {name for name, each in kept.items() if each["DeletionPolicy"] == "Retain"}
    assert plainly == {"ApiLoggingAccount", "ApiLoggingRole"}
    assert {"JobsTable", "FilesBucket", "ArchiveBucket", "AuditLogs"} < kept.keys()
    assert of_type(deployed, "AWS::SecretsManager::Secret").keys() < kept.keys()  # their tables would be of no use


def test_every_log_ends_some_day(deployed: Resources) -> None:
    groups = of_type(deployed, "AWS::Logs::LogGroup")
    assert groups
    kept = {name: group["Properties"]["RetentionInDays"] for name, group in groups.items()}
    assert kept.pop("AuditLogs") == {"Ref": "AuditRetentionDays"}
    assert set(map(str, kept.values())) == {str({"Ref": "RetentionDays"})}


def test_the_access_log_is_one_json_object_without_content_or_keys(deployed: Resources) -> None:
    line = json.loads(deployed["ApiStage"]["Properties"]["AccessLogSetting"]["Format"])
    assert {"request_id", "status", "response_ms", "integration_ms", "integration_first_byte_ms"} <= set(line)
    assert not [source for source in line.values() if "header" in source or "authorizer" in source]


def test_no_environment_variable_holds_a_secret(deployed: Resources) -> None:
    for function in of_type(deployed, "AWS::Lambda::Function").values():
        names = set(function["Properties"]["Environment"]["Variables"])
        assert names <= {
            "AWS_LAMBDA_EXEC_WRAPPER",
            "GATEWAY_ADMISSION_TIMEOUT_MS",
            "GATEWAY_ALLOWED_ORIGIN",
            "GATEWAY_ARCHIVE_BUCKET",
            "GATEWAY_AUDIT_LOG_GROUP",
            "GATEWAY_BATCH_LINES_AT_ONCE",
            "GATEWAY_BATCH_MACHINE",
            "GATEWAY_CALLBACK_SECONDS",
            "GATEWAY_CIRCUIT_FAILURES",
            "GATEWAY_CIRCUIT_OPEN_S",
            "GATEWAY_EVENT_BUS",
            "GATEWAY_FETCH_EXCEPTIONS",
            "GATEWAY_FILES_BUCKET",
            "GATEWAY_HEALTH_TABLE",
            "GATEWAY_JOBS_TABLE",
            "GATEWAY_JOB_MACHINE",
            "GATEWAY_JOB_RESULT_HOURS",
            "GATEWAY_LEDGER_TABLE",
            "GATEWAY_LOCAL_ENDPOINT",
            "GATEWAY_LOG_LEVEL",
            "GATEWAY_LOST_AFTER_S",
            "GATEWAY_OIDC_AUDIENCE",
            "GATEWAY_OIDC_ISSUER",
            "GATEWAY_OIDC_SCOPE_CLAIM",
            "GATEWAY_OIDC_TENANT_CLAIM",
            "GATEWAY_REALTIME_IDLE_S",
            "GATEWAY_REALTIME_LONGEST_MINUTES",
            "GATEWAY_REALTIME_ROLLOVER_S",
            "GATEWAY_REALTIME_TABLE",
            "GATEWAY_REALTIME_WINDOW_MS",
            "GATEWAY_RECORDS_QUEUE_URL",
            "GATEWAY_SLOW_FIRST_CONTENT_S",
            "GATEWAY_STACK",
            "GATEWAY_TENANTS_TABLE",
            "GATEWAY_USAGE_RECORD_DAYS",
            "GATEWAY_USAGE_TABLE",
            "GATEWAY_VIDEO_LOOK_SECONDS",
            "GATEWAY_WATCHED_PROVIDERS",
        }


def test_the_handlers_exist(deployed: Resources, template: dict[str, Any]) -> None:
    for name in of_type(deployed, "AWS::Lambda::Function"):
        properties = template["Resources"][name]["Properties"]
        module, _, attribute = properties["Handler"].partition(".")
        source = (REPOSITORY / properties["CodeUri"] / f"{module}.py").read_text()
        assert f"\n{attribute} = " in source
