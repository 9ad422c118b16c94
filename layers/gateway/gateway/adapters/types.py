"""Types and instances that are deployed with the gateway: one file each, named by the id."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

_OF_TYPE, _OF_INSTANCE = ".schema.json", ".json"


class DeployedTypes:
    """The folder `shared/schemas/gts`. A file is read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, dict[str, Any]] = {}

    def find(self, type_id: str) -> dict[str, Any] | None:
        if type_id not in self._files:
            return None
        if type_id not in self._read:
            document: dict[str, Any] = msgspec.json.decode(self._files[type_id].read_bytes())
            self._read[type_id] = document
        return self._read[type_id]

    def ids(self, prefix: str) -> list[str]:
        return sorted(type_id for type_id in self._files if type_id.startswith(prefix))

    @cached_property
    def _files(self) -> dict[str, Path]:
        paths = self._folder.glob(f"*{_OF_INSTANCE}")
        return {path.name.removesuffix(_OF_TYPE).removesuffix(_OF_INSTANCE): path for path in paths}
