"""How a runtime process is started: its command line and its variables, as Lambda sets them.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html (wrapper scripts)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from local.execution.function import FunctionSpec

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

_FROM_HOST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
"""Without these a function behind a company's proxy would not reach its provider; nothing else leaks in."""

_RESERVED = frozenset(
    {
        "_HANDLER",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_FORMAT",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A function version unpacked on disk: `task` is its /var/task, `opt` its /opt."""

    task: Path
    opt: Path

    def local_path(self, path: str) -> Path:
        """Where a path of the Lambda file system is here."""
        for prefix, folder in (("/opt/", self.opt), ("/var/task/", self.task)):
            if path.startswith(prefix):
                return folder / path.removeprefix(prefix)
        return Path(path)


def command(function: FunctionSpec, prepared: Prepared, interpreter: Path) -> list[str]:
    """Interpreter and bootstrap, or the wrapper script with the two as its arguments."""
    runtime = [str(interpreter), str(BOOTSTRAP)]
    if function.exec_wrapper is None:
        return runtime
    return [str(prepared.local_path(function.exec_wrapper)), *runtime]


def variables(
    function: FunctionSpec,
    prepared: Prepared,
    interpreter: Path,
    *,
    runtime_api: str,
    endpoint_url: str,
    log_stream: str,
    scratch: Path,
) -> dict[str, str]:
    """The process's whole environment. The function's own variables win, except over the reserved ones."""
    own = {name: value for name, value in function.variables.items() if name not in _RESERVED}
    return {
        **{name: os.environ[name] for name in _FROM_HOST if name in os.environ},
        "NO_PROXY": "127.0.0.1,localhost",
        "PATH": f"{interpreter.parent}:/usr/local/bin:/usr/bin:/bin:{prepared.opt}/bin",
        "LD_LIBRARY_PATH": f"{prepared.task}:{prepared.task}/lib:{prepared.opt}/lib",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "TMPDIR": str(scratch),
        "LAMBDA_OPT_ROOT": str(prepared.opt),
        "AWS_ENDPOINT_URL": endpoint_url,
        # botocore would put "sync-" or the like before the host name, which 127.0.0.1 cannot carry
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        **own,
        "_HANDLER": function.handler,
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": function.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        **function.credentials,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(prepared.task),
        "LAMBDA_RUNTIME_DIR": str(BOOTSTRAP.parent),
    }
