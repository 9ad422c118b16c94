"""How long the sound is that goes one way or the other, and how much of the client's is silence that nobody counts.

A provider forgets sound in which it hears nobody speak, and charges nothing for it. That somebody speaks it tells when
it has heard it, which for sound in real time is soon. Of a recording that is sent as fast as it can be read, many
minutes may be in before it is told, so what comes faster than it is spoken is counted whatever it holds.
"""

from __future__ import annotations

from gateway.model.realtime import ALaw, Audio, AudioInput, AudioOutput, MuLaw, SessionConfig
from gateway.pipeline.realtime_pace import Bucket

BURST_S = 10.0
"""Of sound that may come at once and still count as spoken now: a network that was down for a moment."""
_PCM_BYTES_PER_S, _G711_BYTES_PER_S = 48_000, 8_000


def heard_s(base64: str, config: SessionConfig) -> float:
    """Of what the client says."""
    audio = config.audio if isinstance(config.audio, Audio) else Audio()
    return _seconds(base64, audio.input)


def said_s(base64: str, config: SessionConfig) -> float:
    """Of what the provider says."""
    audio = config.audio if isinstance(config.audio, Audio) else Audio()
    return _seconds(base64, audio.output)


def _seconds(base64: str, side: object) -> float:
    form = side.format if isinstance(side, AudioInput | AudioOutput) else None
    bytes_per_s = _G711_BYTES_PER_S if isinstance(form, MuLaw | ALaw) else _PCM_BYTES_PER_S
    return len(base64) * 3 / 4 / bytes_per_s


def unspoken() -> Bucket:
    """Of seconds of sound, of a session in one function: as long as there is room, it comes no faster than spoken."""
    return Bucket(per_s=1.0, burst=BURST_S)
