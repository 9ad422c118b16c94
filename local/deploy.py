"""`sam deploy` of the real template into the embedded stack; skipped while what is deployed is what would be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local import build, fingerprint
from local.aws import Aws
from local.build import BUILT_TEMPLATE, SAM
from local.commands import fresh_log, run_logged
from local.console import Problem, Progress
from local.simulators.identity import AUDIENCE, ISSUER

STACK_NAME = "llm-gateway"
_ALIAS = "live"
_DEPLOYED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
_POLL_DELAY_S = "0.2"
"""How often sam deploy asks how far the stack is; its default is for AWS."""


@dataclass(frozen=True)
class Deployment:
    """Outputs of the deployed stack, by name."""

    outputs: dict[str, str]

    def routes(self) -> dict[str, Any]:
        """What the front port has to know: where requests go, and which functions to start ahead of them."""
        functions = [value for name, value in self.outputs.items() if name.endswith("FunctionName")]
        return {
            "rest": {"api_id": self.outputs["ApiId"], "stage": self.outputs["StageName"]},
            "websocket": {"api_id": self.outputs["RealtimeApiId"], "stage": self.outputs["RealtimeStageName"]},
            "warm": [f"{name}:{_ALIAS}" for name in functions],
        }


def ensure(
    aws: Aws, built: str, simulators: str, given: Mapping[str, str], record: Path, progress: Progress
) -> Deployment:
    """Deploy what `built` is the fingerprint of, unless `record` and the stack say it is there. Raises Problem.

    `simulators`: host:port of theirs, the one address on this machine that media may be fetched from and that issues
    tokens. `given`: parameters in place of these.
    """
    parameters = {
        "LocalEndpoint": aws.endpoint_url,
        "LocalFetchExceptions": simulators,
        "OidcIssuer": f"http://{simulators}{ISSUER}",
        "OidcAudience": AUDIENCE,
        "DeletionProtection": "false",
        "LostAfterSeconds": "10",
        "VideoLookSeconds": "1",
        "CallbackSeconds": "15",
        "AdmissionTimeoutMs": "5000",  # the emulator is one process; its answers take their time under load
        "RealtimeWindowMs": "150",
        **given,
    }
    parameters["CodeSha"] = fingerprint.of_text(built, json.dumps(parameters, sort_keys=True))
    present = _present(aws)
    if present and record.exists() and record.read_text() == parameters["CodeSha"]:
        return present
    with progress.step("sam deploy"):
        _sam_deploy(aws, parameters)
        deployed = _present(aws)
        if deployed is None:
            raise Problem(f"After sam deploy there is no complete stack {STACK_NAME}; `make clean` starts over.")
        record.write_text(parameters["CodeSha"])
    return deployed


def _sam_deploy(aws: Aws, parameters: dict[str, str]) -> None:
    bucket = f"{STACK_NAME}-deployments"
    aws.client("s3").create_bucket(Bucket=bucket)
    command = [
        *(str(SAM), "deploy", "--template-file", str(BUILT_TEMPLATE), "--stack-name", STACK_NAME),
        *("--s3-bucket", bucket, "--capabilities", "CAPABILITY_IAM"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())),
    ]
    environment = {**build.sam_environment(), "AWS_ENDPOINT_URL": aws.endpoint_url, "SAM_CLI_POLL_DELAY": _POLL_DELAY_S}
    run_logged("sam deploy", command, fresh_log("sam-deploy"), environment)


def _present(aws: Aws) -> Deployment | None:
    """The complete stack, or None. Raises Problem for one that can only be removed."""
    try:
        [stack] = aws.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError:
        return None
    status = stack["StackStatus"]
    if status.startswith(("ROLLBACK", "CREATE_FAILED", "DELETE")):
        raise Problem(f"The stack {STACK_NAME} is {status}; `make clean` starts over.")
    if status not in _DEPLOYED:
        return None
    return Deployment({output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])})
