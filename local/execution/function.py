"""What the local stack must know of a Lambda function to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

EXEC_WRAPPER_VARIABLE = "AWS_LAMBDA_EXEC_WRAPPER"


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One function version: its code, its layers and its configuration.

    `key` names the version (account, region, function, version); `revision` changes with every update of it, so
    an environment of an older revision is never used again. `code` and `layers` are zip archives; the layers are in
    the order of attachment, later ones on top.
    """

    key: str
    revision: str
    name: str
    version: str
    arn: str
    region: str
    handler: str
    runtime: str
    memory_mb: int
    timeout_s: float
    log_group: str
    log_format: str
    variables: Mapping[str, str]
    credentials: Mapping[str, str]
    code: bytes
    layers: tuple[bytes, ...]

    @property
    def exec_wrapper(self) -> str | None:
        """Path of the wrapper script that starts the runtime, as the function's configuration says it."""
        return self.variables.get(EXEC_WRAPPER_VARIABLE)
