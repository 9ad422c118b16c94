"""Where the facts lie, and how they are read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT / "shared"
CATALOG = SHARED / "catalog"
# The models.dev copy that shared/catalog was last built from; a checkout alone does not have it.
CATALOG_DATA = Path(os.environ.get("CATALOG_DATA", ROOT.parent / "shared" / "catalog-data" / "models-dev.json"))


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def error_rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_json(SHARED / "errors.json")["errors"]
    return rows
