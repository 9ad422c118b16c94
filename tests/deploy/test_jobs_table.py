"""The store of jobs as it is deployed has the keys and indexes that its adapter asks for."""

from __future__ import annotations

from gateway.model.job import KEPT_S
from tests.deploy.conftest import Resources


def test_a_reply_outlives_the_time_that_it_is_kept(deployed: Resources) -> None:
    rules = deployed["FilesBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    days = {rule.get("Prefix"): rule.get("ExpirationInDays") for rule in rules}
    assert days["replies/"] * 86_400 >= KEPT_S + 86_400
    assert days["jobs/"] == 2


def test_indexes_copy_nothing_of_what_is_large(deployed: Resources) -> None:
    """Every change of a record writes what its indexes have of it again."""
    table = deployed["JobsTable"]["Properties"]
    found = {
        index["IndexName"]: (
            [key["AttributeName"] for key in index["KeySchema"]],
            index["Projection"].get("NonKeyAttributes", []),
        )
        for index in table["GlobalSecondaryIndexes"]
        if index["Projection"]["ProjectionType"] != "ALL"
    }
    assert found == {"due": (["due_shard", "due_at_s"], ["status"]), "by_status": (["status_key", "sk"], [])}
