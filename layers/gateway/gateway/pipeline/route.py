"""Step 3: which provider and model a name means, and whether the tenant may use it. Pure but for the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.model.catalog import ModelFacts
from gateway.model.errors import CapabilityNotSupported, ModelDeprecated, ModelNotApproved, ModelNotFound
from gateway.model.tenant import Principal
from gateway.ports import Catalog
from gateway.providers.contract import ChatWire, Provider
from gateway.providers.lookup import provider_named


@dataclass(frozen=True, slots=True)
class Route:
    """A model that may be called, and how it is spoken to."""

    provider: Provider
    facts: ModelFacts
    wire: ChatWire

    @property
    def model_id(self) -> str:
        return f"{self.provider.name}/{self.facts.id}"


def resolve(model: str, principal: Principal, catalog: Catalog, now_s: float) -> Route:
    """The route of a chat call. Raises as `find_approved`, and CapabilityNotSupported (400)."""
    provider_name, facts = find_approved(model, principal, catalog, now_s)
    provider = provider_named(provider_name)
    wire = provider.wires.get(facts.api)
    if wire is None:
        raise CapabilityNotSupported(f"The model '{model}' does not do chat completions.", param="model")
    return Route(provider, facts, wire)


def find_approved(model: str, principal: Principal, catalog: Catalog, now_s: float) -> tuple[str, ModelFacts]:
    """(provider, facts) of a tenant's alias, "provider/model", or a bare model id that means one provider only.

    Raises ModelNotFound (404), ModelNotApproved (403), ModelDeprecated (410).
    """
    provider, facts = _find(principal.tenant.aliases.get(model, model), catalog)
    if not principal.approves(f"{provider}/{facts.id}"):
        raise ModelNotApproved(f"The model '{model}' is not approved for this key.", param="model")
    if is_shut_down(facts, now_s):
        raise ModelDeprecated(f"The model '{model}' has been shut down by its provider.", param="model")
    return provider, facts


def is_shut_down(facts: ModelFacts, now_s: float) -> bool:
    """By its announced date. A deprecated model without one may still serve: its provider decides."""
    return facts.shutdown is not None and facts.shutdown <= datetime.fromtimestamp(now_s, UTC).date().isoformat()


def _find(name: str, catalog: Catalog) -> tuple[str, ModelFacts]:
    provider, slash, model = name.partition("/")
    if slash and (facts := catalog.find(provider, model)):
        return provider, facts
    candidates = catalog.providers_of(name)
    if len(candidates) > 1:
        raise ModelNotFound(
            f"The model '{name}' is offered by several providers: name one, as in '{candidates[0]}/{name}'.",
            param="model",
        )
    if candidates and (facts := catalog.find(candidates[0], name)):
        return candidates[0], facts
    raise ModelNotFound(f"The model '{name}' does not exist. GET /v1/models lists yours.", param="model")
