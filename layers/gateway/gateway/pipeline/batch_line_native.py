"""The two halves of a line that its provider is given with many others: what it is asked, and the reply, later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.model.batch import PartLine
from gateway.model.errors import GatewayError
from gateway.pipeline.batch_line import CarriedOut, Closing, Lines
from gateway.pipeline.contact import Contact
from gateway.pipeline.job_end import Unforeseen
from gateway.ports import World
from gateway.providers.contract import BatchResult, BatchWire, Target


@dataclass(frozen=True, slots=True)
class Native:
    """How the provider of a native group is given its batches. `own_key`: whether that is with the tenant's own key."""

    wire: BatchWire[Any, Any]
    reached: Contact

    @property
    def target(self) -> Target:
        return self.reached.target

    @property
    def own_key(self) -> bool:
        return self.reached.key_of is not None


async def native_of(lines: Lines, world: World, *, own_key: bool | None = None) -> Native:
    """Of the lines' group, whatever its model is approved for by now. `own_key`: of a batch that was made; None: as the
    tenant has it now.

    Raises ProviderError (502) without a credential, or without a setting that the base URL needs;
    CapabilityNotSupported (400) where the provider has no such batches any more.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Ready:
    """`piece`: of a batch's input. `inputs`: texts to embed, as `Filling.takes` counts them. `kept`: all that is needed
    to give the reply later, as secret as the request.
    """

    piece: bytes
    inputs: int
    kept: bytes


Outcome: TypeAlias = BatchResult[Any] | Closing | GatewayError
"""What came of a line that was ready: what its provider says of it; why nobody was asked; or an error by which nothing
was done for it, and nothing is paid. JobInterrupted: nobody knows, so it costs what its tenant's `lost_requests` says.
"""


async def ready_line(
    item_id: str,
    at: int,
    line: PartLine,
    lines: Lines,
    native: Native,
    world: World,
    *,
    unforeseen: Unforeseen | None = None,
) -> Ready | CarriedOut:
    """As far as its provider would be asked. It may be repeated, as long as nothing has been made of its piece.
    CarriedOut: it ended here, and nothing was paid. Never raises a GatewayError.

    `item_id`: matches ITEM_ID, the same whenever the line is made ready.
    """
    raise NotImplementedError


async def given_line(
    kept: bytes,
    outcome: Outcome,
    at: int,
    line: PartLine,
    lines: Lines,
    world: World,
    *,
    unforeseen: Unforeseen | None = None,
) -> CarriedOut:
    """Its end. Never raises a GatewayError. What it costs and what is told of it stand in the end alone: nothing else
    is written but media, and the log's line, until the end is.
    """
    raise NotImplementedError
