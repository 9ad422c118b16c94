"""The catalog from the files in `shared/catalog`, each read when a model of its provider is first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import msgspec

from gateway.model.catalog import ModelFacts, ProviderCatalog
from gateway.providers.lookup import has_provider

_decoder = msgspec.json.Decoder(ProviderCatalog)


class FileCatalog:
    """Only providers that the gateway can speak to are in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, _Provider] = {}

    def find(self, provider: str, model: str) -> ModelFacts | None:
        known = self._provider(provider)
        if known is None:
            return None
        facts = known.models.get(model)
        if facts is None and known.open and model:
            return ModelFacts(id=model, name=model)
        return facts

    def providers_of(self, model: str) -> list[str]:
        """Makers of models come before hosts of others' models; a bare id means a host only if no maker has it."""
        having = [name for name in self._names if (known := self._provider(name)) and model in known.models]
        makers = [name for name in having if (known := self._provider(name)) and known.maker]
        return makers or having

    def models(self) -> Iterator[tuple[str, ModelFacts]]:
        for name in self._names:
            if known := self._provider(name):
                for facts in known.models.values():
                    yield name, facts

    @cached_property
    def _names(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.json") if has_provider(path.stem))

    def _provider(self, name: str) -> _Provider | None:
        if name not in self._read and name in self._names:
            self._read[name] = _Provider(_decoder.decode((self._folder / f"{name}.json").read_bytes()))
        return self._read.get(name)


class _Provider:
    def __init__(self, catalog: ProviderCatalog) -> None:
        self.open, self.maker = catalog.open, catalog.maker
        self.models = {facts.id: facts for facts in catalog.models}
