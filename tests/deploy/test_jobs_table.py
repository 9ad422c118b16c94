"""The table of jobs as it is deployed has the keys and indexes that its adapter asks for."""

from __future__ import annotations

from tests.deploy.conftest import Resources


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
