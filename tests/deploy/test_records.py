"""Where usage and audit are kept: the queue and its function, the archive and its tables, the mail."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.record import AuditEvent, BudgetAlert
from gateway.pipeline.archive_lines import line_of
from tests.deploy.conftest import KEPT, Resources, of_type
from tests.record_fakes import NOW_S, alert, record

AUDIT = AuditEvent(id="a", event="request.completed", at_s=NOW_S, tenant_id="acme", of=record().of)
TYPES = {"string": str, "bigint": int, "int": int, "double": float, "boolean": bool, "map<string,bigint>": dict}


def test_the_queue_hands_over_batches_and_gets_back_what_failed(deployed: Resources) -> None:
    [mapping] = of_type(deployed, "AWS::Lambda::EventSourceMapping").values()
    properties = mapping["Properties"]
    assert properties["EventSourceArn"] == {"Fn::GetAtt": ["RecordsQueue", "Arn"]}
    assert properties["FunctionName"] == {"Ref": "RecordsFunctionAliaslive"}
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_a_message_is_hidden_long_enough(deployed: Resources, template: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: six times, and the gathering."""
    timeout_s = deployed["RecordsFunction"]["Properties"]["Timeout"]
    gathering_s = template["Parameters"]["RecordsBatchingSeconds"]["MaxValue"]
    assert deployed["RecordsQueue"]["Properties"]["VisibilityTimeout"] >= 6 * timeout_s + gathering_s


def test_the_sweeps_run_every_minute_once(deployed: Resources) -> None:
    """That over holds, that over jobs, and that over batches."""
    rules = [rule["Properties"] for rule in of_type(deployed, "AWS::Events::Rule").values()]
    schedules = [rule for rule in rules if "ScheduleExpression" in rule]
    assert {rule["ScheduleExpression"] for rule in schedules} == {"rate(1 minute)"}
    swept = {rule["Targets"][0]["Arn"]["Ref"]: rule["Targets"][0].get("Input") for rule in schedules}
    tasks = ("JobTaskFunctionAliaslive", "BatchTaskFunctionAliaslive")
    assert swept == {"SweepFunctionAliaslive": None, **dict.fromkeys(tasks, '{"step": "sweep"}')}
    configs = of_type(deployed, "AWS::Lambda::EventInvokeConfig").values()
    once = {config["Properties"]["FunctionName"]["Ref"]: config["Properties"] for config in configs}
    assert {config["MaximumRetryAttempts"] for config in once.values()} == {0}
    assert once.keys() == {
        *("SweepFunction", "JobTaskFunction", "BatchTaskFunction", "BatchWorkFunction"),
        "RealtimeSessionFunction",
    }


def test_a_session_whose_function_fails_is_told_of(deployed: Resources) -> None:
    """To the function that asks the next one to hold it."""
    configs = [one["Properties"] for one in of_type(deployed, "AWS::Lambda::EventInvokeConfig").values()]
    [session] = [one for one in configs if one["FunctionName"]["Ref"].startswith("Realtime")]
    assert session["DestinationConfig"]["OnFailure"]["Destination"] == {"Ref": "RealtimeFunctionAliaslive"}


def test_the_archive_is_private_encrypted_and_kept(deployed: Resources) -> None:
    bucket = deployed["ArchiveBucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == KEPT
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    [statement] = deployed["ArchiveBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    [cheaper, _] = properties["LifecycleConfiguration"]["Rules"]
    assert cheaper["Transitions"][0]["StorageClass"] == "GLACIER_IR"


def test_objects_can_always_be_locked_and_are_by_a_parameter(deployed: Resources, template: dict[str, Any]) -> None:
    properties = deployed["ArchiveBucket"]["Properties"]
    assert properties["ObjectLockEnabled"] is True
    condition, locked, otherwise = properties["ObjectLockConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("LocksArchive", {"Ref": "AWS::NoValue"})
    assert locked["Rule"] == {
        "DefaultRetention": {"Mode": {"Ref": "ArchiveLockMode"}, "Days": {"Ref": "ArchiveLockDays"}}
    }
    assert template["Parameters"]["ArchiveLockMode"]["Default"] == "NONE"


@pytest.mark.parametrize(
    ("name", "told"), [("UsageArchive", record()), ("AuditArchive", AUDIT), ("AlertArchive", alert())]
)
def test_a_table_has_the_columns_of_its_lines(deployed: Resources, name: str, told: Any) -> None:
    table = deployed[name]["Properties"]["TableInput"]
    columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    line = line_of(told)
    assert table["Name"] == line.folder
    members = {**line.members, "archived_at_s": NOW_S}
    assert set(columns) == set(members)
    for column, value in members.items():
        assert value is None or isinstance(value, TYPES[columns[column]]), column


@pytest.mark.parametrize("name", ["UsageArchive", "AuditArchive", "AlertArchive"])
def test_days_need_no_partitions_to_be_added(deployed: Resources, name: str) -> None:
    table = deployed[name]["Properties"]["TableInput"]
    assert table["PartitionKeys"] == [{"Name": "dt", "Type": "string"}]
    parameters = table["Parameters"]
    assert (parameters["projection.enabled"], parameters["projection.dt.format"]) == ("true", "yyyy-MM-dd")
    assert parameters["storage.location.template"] == {
        "Fn::Sub": f"s3://${{ArchiveBucket}}/{table['Name']}/dt=${{!dt}}/"
    }


def test_alerts_are_mailed_where_somebody_wants_them(deployed: Resources) -> None:
    for name in ("AlertTopic", "AlertRule", "AlertTopicPolicy"):
        assert deployed[name]["Condition"] == "MailsAlerts"
    [target] = deployed["AlertRule"]["Properties"]["Targets"]
    paths = target["InputTransformer"]["InputPathsMap"]
    members = {path.removeprefix("$.detail.") for path in paths.values()}
    assert members <= set(BudgetAlert.__struct_fields__)
    template = target["InputTransformer"]["InputTemplate"]
    assert all(f"<{name}>" in template for name in paths)
    assert template.startswith('"') and template.endswith('"')
