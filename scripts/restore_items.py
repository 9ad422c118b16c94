"""Copies items of a table that was restored from a backup into the one that functions use, which has its name for good.

    python -m scripts.restore_items --from llm-gateway-tenants-restored --to llm-gateway-tenants [--below 'T#acme']

What is there already is left as it is, unless `--replace` says otherwise; nothing is removed. `--below` takes only
items whose partition key begins so. It may be run again: what was copied is there already. AWS credentials and region
come from the environment, as for the AWS CLI.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError


def items(dynamodb: Any, table: str, below: str) -> Iterator[dict[str, Any]]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from (item for item in page["Items"] if item["pk"]["S"].startswith(below))


def copy(dynamodb: Any, source: str, target: str, below: str = "", *, replace: bool = False) -> tuple[int, int]:
    """How many items were written, and how many were there already."""
    only_new = {} if replace else {"ConditionExpression": "attribute_not_exists(pk)"}
    written = there = 0
    for item in items(dynamodb, source, below):
        try:
            dynamodb.put_item(TableName=target, Item=item, **only_new)
            written += 1
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            there += 1
    return written, there


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", required=True, dest="source", help="the table that was restored")
    parser.add_argument("--to", required=True, dest="target", help="the table of the stack")
    parser.add_argument("--below", default="", help="only items whose partition key begins so")
    parser.add_argument("--replace", action="store_true", help="write over what is there")
    given = parser.parse_args()
    written, there = copy(boto3.client("dynamodb"), given.source, given.target, given.below, replace=given.replace)
    print(f"{written} items written, {there} were there already")


if __name__ == "__main__":
    main()
