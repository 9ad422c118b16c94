"""A call for a transcript and the transcript, as hooks see them: the words of both, and not the recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from gateway.hooks.call_subject import CallSubject, shown
from gateway.hooks.media import without_media
from gateway.hooks.subject import Change, Fixed
from gateway.model.chat import Json
from gateway.model.hook import HookFailed
from gateway.model.transcription import Segment, Transcript, TranscriptionCall, Word


class TranscriptionRequest(CallSubject[TranscriptionCall], frozen=True):
    PATCHED = frozenset({"keywords", "language", "languages", "prompt", "temperature"})
    """What a hook may change. Not whose request it is, which recording it is about, which model answers, and how."""

    def with_texts(self, change: Change) -> TranscriptionRequest:
        call = self.call
        prompt = change(call.prompt) if call.prompt else call.prompt
        keywords = [change(word) for word in call.keywords] if call.keywords else call.keywords
        return self.of(replace(call, prompt=prompt, keywords=keywords, **self.common_with(change)))

    def body(self) -> Json:
        """Where the recording is, unless that is the recording itself."""
        body = shown(self.call)
        if (file := body.get("file")) is not None:
            body["file"] = without_media({"url": file}, [])["url"]
        return body


class TranscriptReply(msgspec.Struct, frozen=True):
    """`transcript`: with the segments and words that the client is to get. `model`: as the client is told it."""

    transcript: Transcript
    model: str

    def with_texts(self, change: Change) -> TranscriptReply:
        """Segments are changed together, and so are words, for a number may be said in several of them. Where they do
        not come out as the text does, one segment has all of it, and no word is left.
        """
        made = self.transcript
        text = change(made.text)
        lines = [" ".join(one.text.splitlines()) for one in made.segments]
        changed_lines = change("\n".join(lines)).split("\n") if lines else []
        words = [one.word for one in made.words]
        changed_words = change(" ".join(words)).split(" ") if words else []
        if (text, changed_lines, changed_words) == (made.text, lines, words):
            return self
        fits = len(changed_lines) == len(lines) and _letters(changed_lines) == _letters([text])
        segments = _with_lines(made.segments, changed_lines) if fits else _one(made.segments, text)
        fits = len(changed_words) == len(words) and _letters(changed_words) == _letters([text])
        kept = _with_words(made.words, changed_words) if fits else ()
        return self._with(replace(made, text=text, segments=segments, words=kept))

    def restored(self, change: Change) -> TranscriptReply:
        """One by one: a token stands in one word."""
        made = self.transcript
        segments = _with_lines(made.segments, [change(one.text) for one in made.segments])
        words = _with_words(made.words, [change(one.word) for one in made.words])
        return self._with(replace(made, text=change(made.text), segments=segments, words=words))

    def fixed(self) -> Iterable[Fixed]:
        return ()

    def written(self) -> TranscriptReply:
        return self

    def documents(self) -> Iterable[bytes]:
        yield msgspec.json.encode(self.body())

    def body(self) -> Json:
        made = self.transcript
        timed = {"segments": msgspec.to_builtins(made.segments), "words": msgspec.to_builtins(made.words)}
        return {"text": made.text, "model": self.model, **{name: value for name, value in timed.items() if value}}

    def patched(self, patch: Json) -> TranscriptReply:
        """With another text, of which nobody knows the times. Raises HookFailed for any other member."""
        text = patch.get("text")
        if patch.keys() != {"text"} or not isinstance(text, str):
            raise HookFailed("patch_member")
        if text == self.transcript.text:
            return self
        return self._with(replace(self.transcript, text=text, segments=_one(self.transcript.segments, text), words=()))

    def _with(self, changed: Transcript) -> TranscriptReply:
        """Probabilities are those of the words that were."""
        return self if changed == self.transcript else replace(self, transcript=replace(changed, logprobs=None))


def _letters(texts: Iterable[str]) -> str:
    """Texts of the same speech may differ in their signs and spaces."""
    return "".join(letter for text in texts for letter in text if letter.isalnum())


def _with_lines(segments: tuple[Segment, ...], lines: Sequence[str]) -> tuple[Segment, ...]:
    """A segment's `tokens` spell out the text that was."""
    return tuple(
        one if one.text == line else replace(one, text=line, tokens=UNSET)
        for one, line in zip(segments, lines, strict=True)
    )


def _with_words(words: tuple[Word, ...], texts: Sequence[str]) -> tuple[Word, ...]:
    return tuple(replace(one, word=text) for one, text in zip(words, texts, strict=True))


def _one(segments: tuple[Segment, ...], text: str) -> tuple[Segment, ...]:
    """From the first to the last second; what a provider told of each goes."""
    return (Segment(id=0, start=segments[0].start, end=segments[-1].end, text=text),) if segments else ()
