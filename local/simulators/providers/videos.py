"""A checked request for a video, whatever the provider."""

from collections.abc import Callable

from local.simulators.switches import Switches, strip_directives
from local.simulators.videos import VIDEOS, MadeVideo
from local.simulators.wire import Asked, Json, Said, encode


class VideoAsked(Asked):
    """`begun`: what is said to it, of the video that it begins. Directives stand in the prompt."""

    def __init__(
        self, model: str, prompt: str, place: tuple[int, int], seconds: int, begun: Callable[[MadeVideo], Json]
    ) -> None:
        self._model, self._place, self._seconds, self._begun = model, place, seconds, begun
        self.prompt, self.settings = strip_directives(prompt)

    @property
    def model(self) -> str:
        return self._model

    def say(self, switches: Switches) -> Said:
        made = VIDEOS.add(*self._place, self._seconds, switches)
        return Said(int(made.id[-8:]), lambda: encode(self._begun(made)))
