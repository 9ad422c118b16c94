"""One stack of ours and one MiniStack without patches, each with the fixtures deployed, for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local import stack_process
from tests.local.stack_process import Stack


@pytest.fixture(scope="session")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Our stack, its routes open."""
    with stack_process.stopped_afterwards(stack_process.launch(tmp_path_factory.mktemp("patched"))) as stack:
        stack_process.deploy(stack)
        stack_process.open_routes(stack)
        yield stack


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """MiniStack as it comes."""
    with stack_process.stopped_afterwards(stack_process.launch_stock(tmp_path_factory.mktemp("stock"))) as stack:
        stack_process.deploy(stack)
        yield stack
