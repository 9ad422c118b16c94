"""Prints what `sam deploy --parameter-overrides` takes: one environment's parameters of samconfig.toml, and CodeSha.

    python3 -m scripts.release_parameters dev [TrafficShifting=AtOnce ...]

What is given besides comes in place of what the file has for this one deployment. An option on SAM's command line
replaces the file's, so all have to be given together.
"""

from __future__ import annotations

import sys
import tomllib

from local import fingerprint
from local.places import REPOSITORY


def parameters(environment: str, config_text: str, *others: str) -> list[str]:
    """Raises KeyError for an environment that the file does not have, ValueError for what is not name=value."""
    if unnamed := [other for other in others if "=" not in other]:
        raise ValueError(unnamed)
    written: list[str] = tomllib.loads(config_text)[environment]["deploy"]["parameters"]["parameter_overrides"]
    given = [f"{name}={value}" for name, value in dict(each.split("=", 1) for each in (*written, *others)).items()]
    return [*given, f"CodeSha={fingerprint.of_deployment(*given)}"]


def main(arguments: list[str]) -> int:
    config = REPOSITORY / "samconfig.toml"
    try:
        environment, *others = arguments
        print(" ".join(parameters(environment, config.read_text(), *others)))
    except (ValueError, KeyError):
        print(
            f"ENV must be an environment of {config.name}, SET parameters like TrafficShifting=AtOnce: "
            f"{' '.join(arguments) or '(none)'}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
