"""What `make policy-check` lets pass: each finding with its reason, in one file, and no server asked."""

from __future__ import annotations

import re

import yaml

from local.places import REPOSITORY

CONFIG = REPOSITORY / "local" / "checkov.yaml"


def test_each_finding_that_is_let_pass_has_a_reason_above_it() -> None:
    listed = CONFIG.read_text().partition("skip-check:\n")[2]
    groups = re.findall(r"((?:  # .+\n)+)((?:  - CKV_AWS_\d+\n)+)", listed)
    assert "".join(reason + checks for reason, checks in groups) == listed
    assert all(len(reason.split()) > 8 for reason, _ in groups)


def test_nothing_is_let_pass_twice_and_no_server_is_asked() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    assert len(config["skip-check"]) == len(set(config["skip-check"]))
    assert config["skip-download"] is True
    assert config["download-external-modules"] is False
    assert config["file"] == ["template.yaml"]
