"""`make clean`: removes the state, what was built and the logs; with --all the installed environments too."""

from __future__ import annotations

import shutil
import sys

from local import venvs
from local.console import Problem
from local.places import LOCAL, PEERS, REPOSITORY, STATE
from local.processes import only_run

_CACHES = (".aws-sam", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache")


def clean(everything: bool) -> None:
    """Raises Problem while the local stack runs."""
    installed = set() if everything else {PEERS, *(venv.folder for venv in venvs.ALL.values())}
    with only_run(STATE):
        for path in [*LOCAL.iterdir(), *(REPOSITORY / name for name in _CACHES), venvs.DEV.folder]:
            if path in installed:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    try:
        clean("--all" in arguments)
    except Problem as problem:
        print(f"Problem: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
