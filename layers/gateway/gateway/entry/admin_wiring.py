"""Which adapters fulfil what the administration needs: decided once per execution environment."""

from __future__ import annotations

from gateway.adapters.aws.admin_key import SecretsManagerAdminKey
from gateway.adapters.aws.directory import DynamoDirectory
from gateway.adapters.aws.ledger import DynamoLedger
from gateway.adapters.catalog import FileCatalog
from gateway.entry.runtime.snapshot import after_restore, before_snapshot
from gateway.entry.wiring import Cloud
from gateway.ports import AdminWorld


def admin_world() -> AdminWorld:
    cloud = Cloud.from_environment()
    settings, dynamodb = cloud.settings, cloud.dynamodb()
    admin_key = SecretsManagerAdminKey(cloud.secrets(), settings.stack, cloud.clock)
    before_snapshot(admin_key.forget)
    after_restore(cloud.client.aclose)
    return AdminWorld(
        admin_key=admin_key,
        directory=DynamoDirectory(dynamodb, settings.tenants_table, settings.ledger_table),
        ledger=DynamoLedger(dynamodb, settings.ledger_table, settings.admission_timeout_s),
        events=cloud.events(),
        catalog=FileCatalog(settings.shared / "catalog"),
        clock=cloud.clock,
    )
