"""Prints what `sam deploy --parameter-overrides` takes: one environment's parameters of samconfig.toml, and CodeSha.

    python3 -m scripts.release_parameters dev

An option on SAM's command line replaces the file's, so both have to be given together.
"""

from __future__ import annotations

import sys
import tomllib

from local import fingerprint
from local.places import REPOSITORY


def parameters(environment: str, config_text: str) -> list[str]:
    """Raises KeyError for an environment that the file does not have."""
    written: list[str] = tomllib.loads(config_text)[environment]["deploy"]["parameters"]["parameter_overrides"]
    return [*written, f"CodeSha={fingerprint.of_deployment(*written)}"]


def main(arguments: list[str]) -> int:
    config = REPOSITORY / "samconfig.toml"
    try:
        [environment] = arguments
        print(" ".join(parameters(environment, config.read_text())))
    except (ValueError, KeyError):
        print(f"ENV must be an environment of {config.name}: {' '.join(arguments) or '(none)'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
