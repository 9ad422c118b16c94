"""Creates a tenant if it is missing and issues an API key for one of its users. The key is shown once.

    python -m scripts.create_key --table llm-gateway-tenants --tenant acme --user alice --approve 'openai/*'

AWS credentials and region come from the environment, as for the AWS CLI.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError


def create_key(table: Any, tenant_id: str, user_id: str, approvals: list[str]) -> str:
    """The new key; only its SHA-256 is stored. `table`: a boto3 Table. An existing tenant stays as it is."""
    tenant = {"id": tenant_id, "name": tenant_id, "approvals": approvals}
    try:
        table.put_item(
            Item={"pk": f"T#{tenant_id}", "sk": "T", "document": json.dumps(tenant)},
            ConditionExpression="attribute_not_exists(pk)",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
    key = f"gwk_{secrets.token_urlsafe(32)}"
    holder = {
        "id": f"key_{secrets.token_hex(8)}",
        "tenant_id": tenant_id,
        "user_id": user_id,
        "hint": key[:8],
        "created_at_s": int(time.time()),
    }
    hashed = hashlib.sha256(key.encode()).hexdigest()
    table.put_item(Item={"pk": f"K#{hashed}", "sk": "K", "document": json.dumps(holder)})
    return key


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, help="output TenantsTableName of the stack")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--approve", action="append", help="pattern over provider/model; may be repeated; default *")
    given = parser.parse_args()
    table = boto3.resource("dynamodb").Table(given.table)
    print(create_key(table, given.tenant, given.user, given.approve or ["*"]))


if __name__ == "__main__":
    main()
