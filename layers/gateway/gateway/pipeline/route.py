"""Which provider and model a name means, and whether the tenant may use it. Pure but for the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct

from gateway.model.catalog import ModelFacts
from gateway.model.errors import (
    CapabilityNotSupported,
    GatewayError,
    ModelDeprecated,
    ModelNotApproved,
    ModelNotFound,
)
from gateway.model.group import ModelGroup
from gateway.model.tenant import Principal
from gateway.ports import Catalog
from gateway.providers.contract import (
    ChatWire,
    EmbeddingsWire,
    ImagesWire,
    Provider,
    SpeechWire,
    TranscriptionWire,
    VideoWire,
)
from gateway.providers.lookup import provider_named

W = TypeVar("W")
T = TypeVar("T")


class Capability(Struct, Generic[W], frozen=True):
    """What a model can be asked for. `name`: as a refusal calls it. `wires`: a provider's for it, by catalog `api`.

    `needs`: what the catalog has to say of a model, where the `api` does not tell. `takes`: what may be sent to it,
    where its models read more; empty: all that they read.
    """

    name: str
    wires: Callable[[Provider], Mapping[str, W]]
    needs: str = ""
    takes: tuple[str, ...] = ()

    def is_done_by(self, provider: Provider, facts: ModelFacts) -> bool:
        return facts.api in self.wires(provider) and (not self.needs or facts.can(self.needs))


CHAT: Capability[ChatWire] = Capability("chat completions", lambda provider: provider.wires)
EMBEDDINGS: Capability[EmbeddingsWire] = Capability("embeddings", lambda provider: provider.embeddings)
IMAGES: Capability[ImagesWire] = Capability(
    "image generation", lambda provider: provider.images, needs="image_generation"
)
VIDEOS: Capability[VideoWire] = Capability("videos", lambda provider: provider.videos)
SPEECH: Capability[SpeechWire] = Capability("speech", lambda provider: provider.speech, needs="speech")
TRANSCRIPTIONS: Capability[TranscriptionWire] = Capability(
    "transcription", lambda provider: provider.transcriptions, needs="transcription"
)
REALTIME: Capability[str] = Capability(
    "realtime sessions", lambda provider: provider.realtime, needs="realtime", takes=("text", "audio")
)
"""Of a wire only the name, by which `realtime_wire` loads it."""
CAPABILITIES: tuple[Capability[Any], ...] = (CHAT, EMBEDDINGS, IMAGES, VIDEOS, SPEECH, TRANSCRIPTIONS, REALTIME)


class Route(Struct, Generic[W], frozen=True):
    """A model that may be called, and how it is spoken to."""

    provider: Provider
    facts: ModelFacts
    wire: W

    @property
    def model_id(self) -> str:
        return f"{self.provider.name}/{self.facts.id}"


ChatRoute: TypeAlias = Route[ChatWire]
AnyRoute: TypeAlias = Route[Any]


def resolve(capability: Capability[W], model: str, principal: Principal, catalog: Catalog, now_s: float) -> Route[W]:
    """The route of a call for that, of a group its first member's that does it. Raises as `find_approved`, and
    CapabilityNotSupported (400).
    """
    target = principal.tenant.aliases.get(model, model)
    if isinstance(target, ModelGroup):
        return _first_of(model, target, lambda member: resolve(capability, member, principal, catalog, now_s))
    provider_name, facts = _approved(target, model, principal, catalog, now_s)
    provider = provider_named(provider_name)
    wires = capability.wires(provider)
    wire = wires.get(facts.api)
    if wire is None and not facts.is_known:
        wire = next(iter(wires.values()), None)  # a model that is passed on by name alone is what it is taken for
    if wire is None or (capability.needs and not facts.can(capability.needs)):
        raise CapabilityNotSupported(f"The model '{model}' does not do {capability.name}.", param="model")
    return Route(provider, facts, wire)


def can_be_called(provider_name: str, facts: ModelFacts) -> bool:
    """Whether there is a way to speak to a model of the catalog, which knows more than the gateway does."""
    provider = provider_named(provider_name)
    return any(capability.is_done_by(provider, facts) for capability in CAPABILITIES)


def input_of(provider_name: str, facts: ModelFacts) -> list[str]:
    """What may be sent to a model, by one or another of the ways to speak to it."""
    provider = provider_named(provider_name)
    ways = [capability.takes for capability in CAPABILITIES if capability.is_done_by(provider, facts)] or [()]
    return [kind for kind in facts.input if any(not takes or kind in takes for takes in ways)]


def find_approved(model: str, principal: Principal, catalog: Catalog, now_s: float) -> tuple[str, ModelFacts]:
    """(provider, facts) of a tenant's alias, "provider/model", or a bare model id that means one provider only; of a
    group, of its first member that may be used.

    Raises ModelNotFound (404), ModelNotApproved (403), ModelDeprecated (410).
    """
    target = principal.tenant.aliases.get(model, model)
    if isinstance(target, ModelGroup):
        return _first_of(model, target, lambda member: find_approved(member, principal, catalog, now_s))
    return _approved(target, model, principal, catalog, now_s)


def _approved(target: str, model: str, principal: Principal, catalog: Catalog, now_s: float) -> tuple[str, ModelFacts]:
    """`model`: what the caller calls it."""
    provider, facts = _find(target, catalog)
    if not principal.approves(f"{provider}/{facts.id}"):
        raise ModelNotApproved(f"The model '{model}' is not approved for this key.", param="model")
    if is_shut_down(facts, now_s):
        raise ModelDeprecated(f"The model '{model}' has been shut down by its provider.", param="model")
    return provider, facts


def _first_of(name: str, group: ModelGroup, find: Callable[[str], T]) -> T:
    """In the order in which its members are listed. Raises `none_of`."""
    refusals = []
    for member in group.members:
        try:
            return find(member.model)
        except GatewayError as refusal:
            refusals.append((member.model, refusal))
    raise none_of(name, refusals)


def none_of(name: str, refusals: Sequence[tuple[str, GatewayError]]) -> GatewayError:
    """What a call of a group is refused with by all members of which each has refused it.

    That of the first that can be used at all, for about the others the caller can do nothing; with the reasons of all.
    """
    (_, refusal), *_ = sorted(refusals, key=lambda one: isinstance(one[1], _UNUSABLE))
    if len({other.message for _, other in refusals}) > 1:
        reasons = " ".join(f"{model}: {other.message}" for model, other in refusals)
        refusal.message = f"No model of '{name}' can answer this. {reasons}"
    return refusal


_UNUSABLE = (ModelNotFound, ModelNotApproved, ModelDeprecated)


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
