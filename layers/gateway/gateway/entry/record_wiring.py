"""Which adapters keep what was told, and read it: for functions that no request waits for, reports, administration."""

from __future__ import annotations

import os

from gateway.adapters.aws.access import DynamoAccess
from gateway.adapters.aws.admin_key import SecretsManagerAdminKey
from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.archive import S3Archive
from gateway.adapters.aws.audit_log import CloudWatchAuditLog
from gateway.adapters.aws.callback_secrets import SecretsManagerCallbackSecrets
from gateway.adapters.aws.callbacks import DynamoCallbacks
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.directory import DynamoDirectory
from gateway.adapters.aws.events import BusEvents
from gateway.adapters.aws.executions import JobExecutions
from gateway.adapters.aws.jobs import DynamoJobs
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.outbox import DynamoOutbox
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.aws.usage import DynamoUsage
from gateway.adapters.aws.usage_writes import Tables
from gateway.adapters.aws.webhook_secrets import DerivedWebhookSecrets
from gateway.adapters.clock import SystemClock
from gateway.adapters.http_client import HttpClient
from gateway.adapters.telemetry import StdoutRecords
from gateway.entry.runtime.snapshot import after_restore, before_snapshot
from gateway.pipeline.callbacks import CallbackWorld
from gateway.record_ports import RecordsWorld, SweepWorld

PATIENT_S = 5.0
"""Nobody waits for these functions."""


class Aws:
    """The services of one environment. What a function does not ask for needs no variable of its own."""

    def __init__(self) -> None:
        self.clock, self._client = SystemClock(), HttpClient()
        self._keys = RoleKeys(self._client, self.clock)
        self._region = os.environ["AWS_REGION"]
        self._local_endpoint = os.environ.get("GATEWAY_LOCAL_ENDPOINT", "")
        after_restore(self._client.aclose)
        self._dynamodb = self._api("dynamodb", "DynamoDB_20120810", "1.0")

    def _api(self, name: str, target: str, version: str) -> AwsApi:
        endpoint = self._local_endpoint or f"https://{name}.{self._region}.amazonaws.com"
        service = Service(name, target, version, f"{endpoint}/")
        return AwsApi(service, self._region, keys=self._keys, client=self._client, clock=self.clock)

    def _secrets(self) -> AwsApi:
        return self._api("secretsmanager", "secretsmanager", "1.1")

    @property
    def _life_s(self) -> float:
        return int(os.environ["GATEWAY_USAGE_RECORD_DAYS"]) * 86_400.0

    def usage(self) -> DynamoUsage:
        tables = Tables(os.environ["GATEWAY_USAGE_TABLE"], os.environ.get("GATEWAY_LEDGER_TABLE", ""))
        return DynamoUsage(self._dynamodb, tables, self._life_s, self.clock)

    def archive(self) -> S3Archive:
        place = Place.of(os.environ["GATEWAY_ARCHIVE_BUCKET"], self._region, self._local_endpoint)
        return S3Archive(Bucket(place, keys=self._keys, client=self._client, clock=self.clock), self.clock)

    def audit_log(self) -> CloudWatchAuditLog:
        return CloudWatchAuditLog(
            self._api("logs", "Logs_20140328", "1.1"),
            os.environ["GATEWAY_AUDIT_LOG_GROUP"],
            self._dynamodb,
            os.environ["GATEWAY_USAGE_TABLE"],
            life_s=self._life_s,
            clock=self.clock,
        )

    def events(self) -> BusEvents:
        bus, queue = self._api("events", "AWSEvents", "1.1"), self._api("sqs", "AmazonSQS", "1.0")
        return BusEvents(bus, os.environ["GATEWAY_EVENT_BUS"], queue, os.environ["GATEWAY_RECORDS_QUEUE_URL"])

    def ledger(self) -> DynamoLedger:
        return DynamoLedger(self._dynamodb, os.environ["GATEWAY_LEDGER_TABLE"], PATIENT_S)

    def directory(self) -> DynamoDirectory:
        tables = (os.environ["GATEWAY_TENANTS_TABLE"], os.environ["GATEWAY_LEDGER_TABLE"])
        return DynamoDirectory(self._dynamodb, *tables)

    def outbox(self) -> DynamoOutbox:
        return DynamoOutbox(self._dynamodb, os.environ["GATEWAY_TENANTS_TABLE"])

    def admin_key(self) -> SecretsManagerAdminKey:
        return SecretsManagerAdminKey(self._secrets(), os.environ["GATEWAY_STACK"], self.clock)

    def webhook_secrets(self) -> DerivedWebhookSecrets:
        secrets = self._api("secretsmanager", "secretsmanager", "1.1")
        return DerivedWebhookSecrets(secrets, os.environ["GATEWAY_STACK"], self.clock)

    def jobs(self) -> DynamoJobs:
        return DynamoJobs(self._dynamodb, os.environ["GATEWAY_JOBS_TABLE"])

    def executions(self) -> JobExecutions:
        machines = (os.environ["GATEWAY_JOB_MACHINE"], os.environ["GATEWAY_BATCH_MACHINE"])
        return JobExecutions(self._api("states", "AWSStepFunctions", "1.0"), *machines)

    def callbacks(self) -> DynamoCallbacks:
        states, secrets = self._api("states", "AWSStepFunctions", "1.0"), self._secrets()
        stack, table = os.environ["GATEWAY_STACK"], os.environ["GATEWAY_JOBS_TABLE"]
        return DynamoCallbacks(self._dynamodb, states, secrets, table=table, stack=stack, clock=self.clock)

    def callback_secrets(self) -> SecretsManagerCallbackSecrets:
        return SecretsManagerCallbackSecrets(self._secrets(), os.environ["GATEWAY_STACK"], self.clock)

    def holders(self) -> DynamoAccess:
        return DynamoAccess(self._dynamodb, os.environ["GATEWAY_TENANTS_TABLE"], PATIENT_S, self.clock)


def callback_world() -> CallbackWorld:
    aws = Aws()
    secrets = aws.callback_secrets()
    before_snapshot(secrets.forget)
    return CallbackWorld(secrets, aws.callbacks(), aws.clock)


def records_world() -> RecordsWorld:
    aws = Aws()
    return RecordsWorld(aws.usage(), aws.archive(), aws.audit_log(), StdoutRecords(), aws.clock)


def sweep_world() -> SweepWorld:
    aws = Aws()
    return SweepWorld(aws.ledger(), aws.usage(), aws.holders(), aws.events(), aws.outbox(), StdoutRecords(), aws.clock)
