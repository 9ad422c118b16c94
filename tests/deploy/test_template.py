"""What the template promises: data that is kept, logs that are not kept forever, no secret in an environment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.places import REPOSITORY
from tests.deploy.conftest import KEPT, Resources, of_type


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
            "GATEWAY_RELEASE",
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
