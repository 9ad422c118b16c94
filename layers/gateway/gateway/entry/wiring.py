"""Which adapters fulfil the ports: decided once per execution environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from msgspec import Struct

import gateway
from gateway.adapters.aws.access import DynamoAccess
from gateway.adapters.aws.api import AwsApi, Service
from gateway.adapters.aws.batch_parts import DynamoBatchParts, DynamoShipments
from gateway.adapters.aws.batch_store import S3BatchStore
from gateway.adapters.aws.batch_workers import LambdaBatchWorkers
from gateway.adapters.aws.callbacks import DynamoCallbacks
from gateway.adapters.aws.claims import DynamoClaims
from gateway.adapters.aws.credentials import RoleKeys
from gateway.adapters.aws.events import BusEvents
from gateway.adapters.aws.executions import JobExecutions
from gateway.adapters.aws.fetcher import LambdaMediaFetcher
from gateway.adapters.aws.files import S3Files
from gateway.adapters.aws.hook_secrets import HookSecrets
from gateway.adapters.aws.invoke import LambdaApi
from gateway.adapters.aws.jobs import DynamoJobs
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.aws.payloads import S3Payloads
from gateway.adapters.aws.s3 import Bucket, Place
from gateway.adapters.aws.secrets import Role, SecretsManagerCredentials
from gateway.adapters.aws.slots import DynamoSlots
from gateway.adapters.aws.types import DynamoTypes
from gateway.adapters.aws.webhook_secrets import DerivedWebhookSecrets
from gateway.adapters.aws.webhook_sender import LambdaWebhookSender
from gateway.adapters.catalog import FileCatalog
from gateway.adapters.clock import SystemClock
from gateway.adapters.downloads import GuardedDownloads
from gateway.adapters.google_token import GoogleCredentials, GoogleTokens
from gateway.adapters.guarded_fetch.address import local_exempt
from gateway.adapters.guarded_fetch.post import GuardedPost
from gateway.adapters.http_client import HttpClient
from gateway.adapters.memory_ledger import MemoryLedger
from gateway.adapters.no_tokens import NoTokens
from gateway.adapters.outbound import PooledCarriers, PooledOutbound
from gateway.adapters.remote_hooks import Functions, Guardrails, RemoteHooksByKind, Webhooks
from gateway.adapters.telemetry import StdoutRecords
from gateway.adapters.types import DeployedTypes
from gateway.adapters.webhook_urls import GuardedUrls
from gateway.batch_ports import LinesAtOnce
from gateway.entry.health_wiring import shared_health
from gateway.entry.runtime.snapshot import after_restore, before_snapshot
from gateway.hooks.deny_list import has_phrase
from gateway.hooks.personal import PATTERNS, find
from gateway.model.json_schema import text_violations
from gateway.ports import Tokens, World
from gateway.providers.lookup import provider_named

TYPES_TIMEOUT_S = 2.0
MAX_TO_PROVIDERS, MAX_TO_ONE_PROVIDER = 600, 200
"""Connections, apart from those to AWS, so that a provider whose streams stall holds up neither others nor AWS."""


class OidcSettings(Struct, frozen=True):
    """The owner's identity provider; none when one of the first two is empty, for a token for anybody is for nobody."""

    issuer: str
    audience: str
    tenant_claim: str
    scope_claim: str

    @classmethod
    def from_environment(cls) -> OidcSettings:
        names = ("ISSUER", "AUDIENCE", "TENANT_CLAIM", "SCOPE_CLAIM")
        return cls(*(os.environ.get(f"GATEWAY_OIDC_{name}", "") for name in names))


class Settings(Struct, frozen=True):
    """The function's environment. `local_endpoint`: of the local AWS stack, empty on AWS."""

    stack: str
    tenants_table: str
    ledger_table: str
    jobs_table: str
    job_machine: str
    batch_machine: str
    event_bus: str
    records_queue_url: str
    files_bucket: str
    region: str
    local_endpoint: str
    fetch_exceptions: str
    admission_timeout_s: float
    job_kept_s: int
    lines_at_once: LinesAtOnce
    shared: Path
    oidc: OidcSettings

    @classmethod
    def from_environment(cls) -> Settings:
        environment = os.environ
        return cls(
            stack=environment["GATEWAY_STACK"],
            tenants_table=environment["GATEWAY_TENANTS_TABLE"],
            ledger_table=environment["GATEWAY_LEDGER_TABLE"],
            jobs_table=environment["GATEWAY_JOBS_TABLE"],
            job_machine=environment["GATEWAY_JOB_MACHINE"],
            batch_machine=environment["GATEWAY_BATCH_MACHINE"],
            event_bus=environment["GATEWAY_EVENT_BUS"],
            records_queue_url=environment["GATEWAY_RECORDS_QUEUE_URL"],
            files_bucket=environment["GATEWAY_FILES_BUCKET"],
            region=environment["AWS_REGION"],
            local_endpoint=environment.get("GATEWAY_LOCAL_ENDPOINT", ""),
            fetch_exceptions=environment.get("GATEWAY_FETCH_EXCEPTIONS", ""),
            admission_timeout_s=int(environment.get("GATEWAY_ADMISSION_TIMEOUT_MS", "100")) / 1000,
            job_kept_s=int(environment.get("GATEWAY_JOB_RESULT_HOURS", "24")) * 3600,
            lines_at_once=LinesAtOnce.of(environment.get("GATEWAY_BATCH_LINES_AT_ONCE", "8")),
            shared=shared_folder(),
            oidc=OidcSettings.from_environment(),
        )

    def endpoint(self, service: str) -> str:
        """Without a slash at its end."""
        return self.local_endpoint or f"https://{service}.{self.region}.amazonaws.com"

    @property
    def files_place(self) -> Place:
        on_aws = f"https://{self.files_bucket}.s3.{self.region}.amazonaws.com"
        url = f"{self.local_endpoint}/{self.files_bucket}" if self.local_endpoint else on_aws
        return Place(self.files_bucket, self.region, url)


def shared_folder() -> Path:
    """The facts: beside `python/` in the layer, or where GATEWAY_SHARED_DIR says."""
    if given := os.environ.get("GATEWAY_SHARED_DIR"):
        return Path(given)
    return Path(gateway.__file__).parents[2] / "shared"


def aws_world() -> World:
    """The world on AWS, and on the local stack, which answers the same APIs."""
    settings = Settings.from_environment()
    clock, client = SystemClock(), HttpClient()
    to_providers = client.beside(MAX_TO_PROVIDERS, MAX_TO_ONE_PROVIDER)
    keys = RoleKeys(client, clock)

    def api(name: str, target: str, version: str) -> AwsApi:
        service = Service(name, target, version, f"{settings.endpoint(name)}/")
        return AwsApi(service, settings.region, keys=keys, client=client, clock=clock)

    dynamodb = api("dynamodb", "DynamoDB_20120810", "1.0")
    secrets, states = api("secretsmanager", "secretsmanager", "1.1"), api("states", "AWSStepFunctions", "1.0")
    bus, queue = api("events", "AWSEvents", "1.1"), api("sqs", "AmazonSQS", "1.0")
    stored = SecretsManagerCredentials(secrets, settings.stack, clock, Role(keys, settings.region))
    credentials = GoogleCredentials(stored, GoogleTokens(to_providers, clock))
    guardrails = Guardrails(credentials, to_providers, clock)
    catalog = FileCatalog(settings.shared / "catalog")
    bucket = Bucket(settings.files_place, keys=keys, client=client, clock=clock)
    functions = LambdaApi(settings.endpoint("lambda"), settings.region, keys, client, clock)
    exempt = local_exempt(os.environ)
    post = GuardedPost(client, clock, exempt=exempt)
    hook_secrets = HookSecrets(secrets, settings.stack, clock)
    webhook_secrets = DerivedWebhookSecrets(secrets, settings.stack, clock)
    records = StdoutRecords()
    _before_snapshots(catalog, stored, credentials, hook_secrets, webhook_secrets, post)
    _renew_when_restored(client, to_providers)
    return World(
        access=DynamoAccess(dynamodb, settings.tenants_table, settings.admission_timeout_s, clock),
        tokens=_tokens(settings, client, clock),
        ledger=DynamoLedger(dynamodb, settings.ledger_table, settings.admission_timeout_s),
        local_ledger=MemoryLedger(),
        events=BusEvents(bus, settings.event_bus, queue, settings.records_queue_url),
        credentials=credentials,
        catalog=catalog,
        outbound=PooledOutbound(to_providers),
        carriers=PooledCarriers(to_providers),
        files=S3Files(bucket, clock),
        fetcher=LambdaMediaFetcher(functions, f"{settings.stack}-media-fetch:live", bucket),
        downloads=GuardedDownloads(settings.fetch_exceptions if settings.local_endpoint else ""),
        jobs=DynamoJobs(dynamodb, settings.jobs_table),
        batch_parts=DynamoBatchParts(dynamodb, settings.jobs_table),
        batch_store=S3BatchStore(bucket),
        shipments=DynamoShipments(dynamodb, settings.jobs_table),
        batch_workers=LambdaBatchWorkers(functions, f"{settings.stack}-batch-work:live"),
        claims=DynamoClaims(dynamodb, settings.jobs_table, settings.admission_timeout_s),
        payloads=S3Payloads(bucket),
        executions=JobExecutions(states, settings.job_machine, settings.batch_machine),
        callbacks=_callbacks(settings, dynamodb, states, secrets, clock),
        types=_types(dynamodb, settings),
        hooks=RemoteHooksByKind(Functions(functions), Webhooks(post, hook_secrets, clock), guardrails),
        webhook_urls=GuardedUrls(exempt),
        webhook_sender=LambdaWebhookSender(functions, f"{settings.stack}-webhook-send:live", webhook_secrets, clock),
        records=records,
        clock=clock,
        slots=DynamoSlots(dynamodb, settings.ledger_table, settings.admission_timeout_s, clock),
        job_kept_s=settings.job_kept_s,
        lines_at_once=settings.lines_at_once,
        health=shared_health(dynamodb, clock, records),
    )


class _Knowing(Protocol):
    def forget(self) -> None: ...


def _before_snapshots(catalog: FileCatalog, *knowing: _Knowing) -> None:
    before_snapshot(lambda: warm_up(catalog))
    for one in knowing:
        before_snapshot(one.forget)


def _renew_when_restored(*clients: HttpClient) -> None:
    for client in clients:
        after_restore(client.aclose)


def _callbacks(
    settings: Settings, dynamodb: AwsApi, states: AwsApi, secrets: AwsApi, clock: SystemClock
) -> DynamoCallbacks:
    return DynamoCallbacks(dynamodb, states, secrets, table=settings.jobs_table, stack=settings.stack, clock=clock)


def _types(dynamodb: AwsApi, settings: Settings) -> DynamoTypes:
    deployed = DeployedTypes(settings.shared / "schemas" / "gts")
    return DynamoTypes(dynamodb, settings.tenants_table, deployed, TYPES_TIMEOUT_S)


def _tokens(settings: Settings, client: HttpClient, clock: SystemClock) -> Tokens:
    oidc = settings.oidc
    if not oidc.issuer or not oidc.audience:
        return NoTokens()
    from gateway.adapters.oidc import Issuer, OidcTokens  # noqa: PLC0415 - for those who have an identity provider

    allows_http = bool(settings.local_endpoint)
    return OidcTokens(
        Issuer(oidc.issuer, oidc.audience, oidc.tenant_claim, oidc.scope_claim, allows_http), client, clock
    )


def warm_up(catalog: FileCatalog) -> None:
    """What a first request would otherwise wait for goes into the snapshot: catalog, wires, schema validator, hooks."""
    for provider in {provider for provider, _ in catalog.models()}:
        provider_named(provider)
    text_violations("{}", {})
    find("0-_@.:+A", PATTERNS)
    has_phrase(["-"], ("a", "-"))
