"""What a simulated voice model hears and says, in plain samples: the same for the same sound, and countable.

What the user says is written into the samples: ``<<Hello>>`` among the bytes of a turn is its transcript; a turn
without is "[1200 ms of sound]". Speech begins with a loud frame and ends with enough silence.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from typing import Any

from local.simulators.script import TOKENS_PER_MESSAGE, Prompt, ToolCall, compose, count_tokens
from local.simulators.sounds import recording
from local.simulators.switches import Switches, build, strip_directives

LOUD = 500
FRAME_MS = 100
_WORDS = re.compile(rb"<<(.*?)>>", re.DOTALL)


class Ear:
    """``silence_ms``: after so much of it a turn is over; None: the client says so itself."""

    def __init__(self, rate_hz: int, silence_ms: int | None) -> None:
        self.rate_hz, self.silence_ms = rate_hz, silence_ms
        self.is_hearing = False
        self._sound = bytearray()
        self._silent_ms = 0.0
        self._before_ms = 0.0

    @property
    def ms(self) -> int:
        """Of all that came since the session began."""
        return round(self._before_ms + self._ms_of(len(self._sound)))

    @property
    def has_sound(self) -> bool:
        return bool(self._sound)

    def hear(self, samples: bytes) -> str | None:
        """ "started" or "stopped" when that is now."""
        if self.silence_ms is None:
            self._sound += samples
            return None
        loud = _peak(samples) >= LOUD
        if not self.is_hearing:
            if not loud:
                self._before_ms += self._ms_of(len(samples))
                return None
            self.is_hearing, self._silent_ms = True, 0.0
            self._sound += samples
            return "started"
        self._sound += samples
        self._silent_ms = 0.0 if loud else self._silent_ms + self._ms_of(len(samples))
        return "stopped" if self._silent_ms >= self.silence_ms else None

    def take(self) -> bytes:
        """The turn, which is over."""
        sound = bytes(self._sound)
        self._before_ms += self._ms_of(len(sound))
        self._sound.clear()
        self.is_hearing = False
        return sound

    def ms_of(self, sound: bytes) -> int:
        return round(self._ms_of(len(sound)))

    def _ms_of(self, size: int) -> float:
        return size * 1000 / (2 * self.rate_hz)


def words_of(sound: bytes, ms: int) -> str:
    """What is written in a turn."""
    found = [words.decode("utf-8", "replace").strip() for words in _WORDS.findall(sound)]
    return " ".join(found) if found else f"[{ms} ms of sound]"


def _peak(samples: bytes) -> int:
    heard = array("h", samples[: len(samples) // 2 * 2])
    return max(*heard, -min(heard)) if heard else 0


class Memory:
    """The conversation in tokens, which every answer reads anew. ``units_ms``: of sound, one token each."""

    def __init__(self, heard_ms: int, said_ms: int) -> None:
        self._heard_ms, self._said_ms = heard_ms, said_ms
        self.text = self.audio = 0

    def read(self, text: str) -> None:
        self.text += TOKENS_PER_MESSAGE + count_tokens(text)

    def hear(self, ms: int) -> None:
        self.audio += -(-ms // self._heard_ms)

    def speak(self, ms: int) -> int:
        """The tokens of this much of its own voice."""
        spoken = -(-ms // self._said_ms)
        self.audio += spoken
        return spoken


class Reply:
    """One answer: words, and sound that is the user's own, else made of the words."""

    def __init__(
        self, text: str, tools: dict[str, Any], results: list[str], sound: bytes | None, armed: dict[str, str]
    ):
        said, settings = strip_directives(text)
        self.switches: Switches = build(armed | settings)
        prompt = Prompt(model="", user_text=said, tools=tools, tool_results=results)
        answer = compose(prompt, self.switches)
        self.calls: list[ToolCall] = answer.calls
        self.words: list[str] = [] if answer.calls else list(answer.pieces)
        self._sound = sound

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def sound(self) -> bytes:
        return self._sound or recording(self.text, "pcm")

    def spoken(self, bytes_per_ms: int = 48) -> Iterator[tuple[bytes, str]]:
        """Pieces of sound, each with the words that go with it: of 100 ms, or as many as ``chunks`` says."""
        sound = self.sound
        count = self.switches.chunks or max(1, -(-len(sound) // (FRAME_MS * bytes_per_ms)))
        edges = [len(sound) // 2 * at // count * 2 for at in range(count + 1)]
        for at in range(count):
            words = self.words[at : at + 1] if at < count - 1 else self.words[at:]
            yield sound[edges[at] : edges[at + 1]], "".join(words)
