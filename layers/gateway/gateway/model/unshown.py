"""Values that are not shown as a whole where they are printed, in a log or a traceback: bytes, and URLs that open."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Unshown(Struct, frozen=True):
    """`UNSHOWN`: names of the members that `repr` leaves out."""

    UNSHOWN: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        names = (name for name in self.__struct_fields__ if name not in self.UNSHOWN)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
