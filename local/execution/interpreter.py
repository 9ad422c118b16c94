"""The managed runtime's interpreter: a bare Python with boto3 and nothing else.

On AWS a managed Python function finds boto3 and its dependencies, and otherwise only what its package and layers
carry. The stack's own environment also holds MiniStack, the SAM translator and what they pull in; a function that saw
those would run here and fail on AWS. https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import venv
from pathlib import Path

RUNTIME_DISTRIBUTIONS = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")
_RUNTIME_MODULES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
_STAMP = "stamp.txt"


def managed_interpreter(root: Path) -> Path:
    """Path of the interpreter below `root`, made anew when the host's Python or boto3 changed."""
    executable = root / "bin" / "python3"
    stamp = _stamp()
    stamp_file = root / _STAMP
    if executable.exists() and stamp_file.exists() and stamp_file.read_text() == stamp:
        return executable
    venv.EnvBuilder(with_pip=False, symlinks=True, clear=True).create(root)
    site_packages = root / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for module in _RUNTIME_MODULES:
        location = _location(module)
        (site_packages / location.name).symlink_to(location)
    stamp_file.write_text(stamp)
    return executable


def _stamp() -> str:
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in RUNTIME_DISTRIBUTIONS]
    return "\n".join([sys.version, sys.prefix, *versions])


def _location(module: str) -> Path:
    """The package's folder, or the file of a single-file module."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{module} is not installed in the stack's environment", name=module)
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin
