"""Which deployed APIs the front port leads to, kept on disk so that a restart needs no deployment."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


class BadRoutes(ValueError):
    """The routes posted are not what `Routes.parse` takes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One stage of one API."""

    api_id: str
    stage: str


@dataclass(frozen=True, slots=True)
class Routes:
    """`warm` are functions (name, name:alias or ARN) of which an environment is started ahead of the first call."""

    rest: Target | None = None
    websocket: Target | None = None
    warm: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: Any) -> Routes:
        """From `{"rest": {"api_id", "stage"}, "websocket": {...} | null, "warm": [...]}`. Raises BadRoutes."""
        try:
            targets = [Target(**data[kind]) if data.get(kind) else None for kind in ("rest", "websocket")]
            routes = cls(targets[0], targets[1], tuple(data.get("warm") or ()))
        except (AttributeError, TypeError) as error:
            raise BadRoutes(f"expected rest, websocket ({{api_id, stage}} or null) and warm: {error}") from error
        given: list[Any] = [text for target in targets if target for text in (target.api_id, target.stage)]
        if not all(isinstance(text, str) and text for text in [*given, *routes.warm]):
            raise BadRoutes("api_id, stage and the names in warm are non-empty strings")
        return routes

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class RoutesFile:
    """The routes in force, in memory and on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.current = Routes()

    def load(self) -> None:
        """Raises BadRoutes for a file that was damaged; a missing one means nothing is deployed."""
        if self._path.exists():
            try:
                self.current = Routes.parse(json.loads(self._path.read_text()))
            except ValueError as error:
                raise BadRoutes(f"{self._path}: {error}; remove the file and deploy again") from error

    def store(self, routes: Routes) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(routes.as_json()))
        draft.replace(self._path)
        self.current = routes
