"""Writes docs/capabilities.md from the catalog and the matrix that tests/e2e/test_matrix.py proves.

PYTHONPATH=layers/gateway .venv/bin/python -m scripts.write_capabilities
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from scripts.catalog_overlay import read_overlays
from scripts.refresh_catalog import MODELS_DEV
from tests.e2e.matrix import CATALOG, CELLS, REASONING, ROWS, SCHEMAS, Row, refusal

PAGE = Path(__file__).resolve().parent.parent / "docs" / "capabilities.md"
HEAD = """\
# Capabilities

What comes of the same request at every provider. `scripts/write_capabilities.py` writes this page from the catalog and
from the cells that [`tests/e2e/test_matrix.py`](../tests/e2e/test_matrix.py) runs, each of them whole and streamed.

- **✓** The official SDK asked the deployed gateway; a simulator of the provider, which checks requests as the provider
  does, received exactly its own form of the request, and the client got the ids, the order, the arguments, the JSON or
  the notes on its media. Tool results go back in another order than the calls came in.
- **refused** The answer is 400 `capability_not_supported`, names the parameter and the model, and nothing was sent to
  the provider. The link leads to the source of the catalog that says what the model takes.

A provider has as many rows as it needs to show all that a chat model of its catalog does, and every API that it is
spoken to through. What a certain model does is in [`GET /v1/models`](models.md).
"""


def page() -> str:
    """The whole file."""
    parts = [HEAD, _matrix(), _words("Structured output", SCHEMAS), _words("Reasoning", REASONING), _models()]
    return "\n".join(parts)


def _matrix() -> str:
    lines = [_line("Model", *(heading.capitalize() for heading in CELLS.values())), "|---" * (len(CELLS) + 1) + "|"]
    lines += [_line(f"`{row.name}`", *(_cell(row, cell) for cell in CELLS)) for row in ROWS]
    return "\n".join(lines) + "\n"


def _cell(row: Row, cell: str) -> str:
    if (refused := refusal(row, cell)) is not None:
        return f"refused: [{_host(refused.source)}]({_place(row, refused.source)})"
    schema = f"{row.schema}, streamed {row.streamed_schema}" if row.streamed_schema else row.schema
    said = {"structured_output": schema, "reasoning": row.reasoning}.get(cell, "")
    return f"✓ {said}".rstrip()


def _host(source: str) -> str:
    return "models.dev" if source.startswith(MODELS_DEV) else urlsplit(source).netloc


def _place(row: Row, source: str) -> str:
    """Of a commit of models.dev, the folder with the provider's models."""
    if not source.startswith(f"{MODELS_DEV}/tree/") or source.count("/") > MODELS_DEV.count("/") + 2:
        return source
    overlay = next(overlay for overlay in read_overlays(CATALOG / "overlay") if overlay.provider == row.provider)
    return f"{source}/providers/{overlay.models_dev}/models"


def _words(heading: str, meanings: Mapping[str, str]) -> str:
    lines = [f"## {heading}\n", "| | |", "|---|---|"]
    lines += [_line(word, meaning) for word, meaning in meanings.items()]
    return "\n".join(lines) + "\n"


def _models() -> str:
    lines = ["## The models\n", _line("Model", "API", "Why this one"), "|---|---|---|"]
    lines += [_line(f"`{row.name}`", _apis(row), row.why) for row in ROWS]
    return "\n".join(lines) + "\n"


def _apis(row: Row) -> str:
    tools_api = row.facts.tools_api
    said = f"`{row.facts.api}`" + (f"; with tools, when it reasons, `{tools_api}`" if tools_api else "")
    return said + ("; with office documents `responses`" if row.word_form else "")


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page())
