"""Which adapters fulfil what the administration needs: decided once per execution environment."""

from __future__ import annotations

import os

from gateway.adapters.catalog import FileCatalog
from gateway.adapters.guarded_fetch.address import local_exempt
from gateway.adapters.webhook_urls import GuardedUrls
from gateway.admin_ports import AdminWorld
from gateway.entry.record_wiring import Aws
from gateway.entry.runtime.snapshot import before_snapshot
from gateway.entry.wiring import shared_folder
from gateway.record_ports import UsageStore


def admin_world() -> tuple[AdminWorld, UsageStore]:
    aws = Aws()
    admin_key = aws.admin_key()
    webhook_secrets = aws.webhook_secrets()
    before_snapshot(admin_key.forget)
    before_snapshot(webhook_secrets.forget)
    world = AdminWorld(
        admin_key=admin_key,
        directory=aws.directory(),
        outbox=aws.outbox(),
        ledger=aws.ledger(),
        events=aws.events(),
        catalog=FileCatalog(shared_folder() / "catalog"),
        webhook_urls=GuardedUrls(local_exempt(os.environ)),
        webhook_secrets=webhook_secrets,
        jobs=aws.jobs(),
        executions=aws.executions(),
        clock=aws.clock,
    )
    return world, aws.usage()
