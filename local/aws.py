"""Clients of the embedded AWS stack. Runs in the stack's environment, the only one that must have boto3."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"


class Aws:
    """boto3 against `endpoint_url`, whatever the person's own AWS configuration says."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        self._session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106 - no secret: the emulator takes any

    def client(self, service: str) -> Any:
        config = Config(retries={"max_attempts": 2}, proxies={}, connect_timeout=5, read_timeout=60)
        return self._session.client(service, endpoint_url=self.endpoint_url, config=config)
