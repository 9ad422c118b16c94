"""What a provider is to the gateway: pure functions between normalised values and HTTP values.

One file for each capability (`chat`, `embeddings`, ...) with the protocol of its wires, whose verbs are the same:
`render` a call as a request, `parse` a 2xx answer, `fail` any other. `provider.py` brings them together. `realtime`
is imported from its own file, by the few that need it: its many structures take time to load.
"""

from gateway.model.money import BATCH_TIER
from gateway.providers.contract.background import BackgroundState, BackgroundWire
from gateway.providers.contract.batch import (
    ITEM_ID,
    Answered,
    BatchCounts,
    Batches,
    BatchLimits,
    BatchResult,
    BatchState,
    BatchStatus,
    BatchWire,
    Carrier,
    Ending,
    Filling,
    Frame,
    ResultParser,
    Step,
    batch_input,
)
from gateway.providers.contract.callback import Callback
from gateway.providers.contract.chat import ANY_SCHEMA, CONSTRAINED_SCHEMA, ONE_CALL, ChatWire, StreamParser
from gateway.providers.contract.embeddings import EmbeddingsWire
from gateway.providers.contract.images import ImagesWire
from gateway.providers.contract.media import PDF, TEXT, WEB_IMAGES, FileApi, InlineLimits, RemoteFile, for_every_model
from gateway.providers.contract.provider import Provider, base_url_of, bearer, key_header, setting
from gateway.providers.contract.server_work import ServerWork
from gateway.providers.contract.speech import SpeechParser, SpeechWire
from gateway.providers.contract.target import Target
from gateway.providers.contract.transcription import TranscriptionWire, TranscriptParser
from gateway.providers.contract.video import VideoWire

__all__ = [
    "ANY_SCHEMA",
    "BATCH_TIER",
    "CONSTRAINED_SCHEMA",
    "ITEM_ID",
    "ONE_CALL",
    "PDF",
    "TEXT",
    "WEB_IMAGES",
    "Answered",
    "BackgroundState",
    "BackgroundWire",
    "BatchCounts",
    "BatchLimits",
    "BatchResult",
    "BatchState",
    "BatchStatus",
    "BatchWire",
    "Batches",
    "Callback",
    "Carrier",
    "ChatWire",
    "EmbeddingsWire",
    "Ending",
    "FileApi",
    "Filling",
    "Frame",
    "ImagesWire",
    "InlineLimits",
    "Provider",
    "RemoteFile",
    "ResultParser",
    "ServerWork",
    "SpeechParser",
    "SpeechWire",
    "Step",
    "StreamParser",
    "Target",
    "TranscriptParser",
    "TranscriptionWire",
    "VideoWire",
    "base_url_of",
    "batch_input",
    "bearer",
    "for_every_model",
    "key_header",
    "setting",
]
