"""How large an image is: in pixels, "1536x1024", or as a shape and a resolution, "16:9@2K"."""

from __future__ import annotations

import re
from typing import NamedTuple

_PIXELS = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")
_SHAPE = re.compile(r"(?P<ratio>\d{1,2}(?:\.\d)?:\d{1,2}(?:\.\d)?)(?:@(?P<resolution>[0-9A-Za-z.]{1,8}))?")


class Pixels(NamedTuple):
    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height


class Shape(NamedTuple):
    """`ratio`: of width to height. `resolution`: by the provider's name for it, None: its own choice."""

    ratio: str
    resolution: str | None

    @property
    def text(self) -> str:
        return f"{self.ratio}@{self.resolution}" if self.resolution else self.ratio


def pixels_of(size: str | None) -> Pixels | None:
    found = _PIXELS.fullmatch(size or "")
    return Pixels(int(found[1]), int(found[2])) if found else None


def shape_of(size: str | None) -> Shape | None:
    found = _SHAPE.fullmatch(size or "")
    return Shape(found["ratio"], found["resolution"]) if found else None
