"""What looks personal in a text: patterns whose time grows with the text alone, and the check digits that go with them.

A pattern finds candidates, a check throws out most of what only looks like one. Names and addresses have no pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple, TypeAlias

from gateway.hooks.iban import iban_end
from gateway.model.hook import PiiKind


class Found(NamedTuple):
    """From `start` to before `end`, in characters."""

    start: int
    end: int
    kind: PiiKind


End: TypeAlias = Callable[[str, int, int], int | None]
"""Of a text, and a candidate's start and end: where what was looked for really ends; None where it is not there."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A candidate is the group `it` of a pattern that has one, so that candidates may overlap.

    `needs`: characters without one of which no candidate can be there, found faster than the pattern.
    """

    expression: re.Pattern[str]
    end: End
    needs: str = ""

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        if self.needs and not any(character in text for character in self.needs):
            return
        group = self.expression.groupindex.get("it", 0)
        for candidate in self.expression.finditer(text):
            start, end = candidate.span(group)
            if (found_end := self.end(text, start, end)) is not None:
                yield start, found_end


def is_card(text: str) -> bool:
    """By Luhn's check digit, and by the first digits that payment cards have (https://www.iso.org/standard/70484.html)."""
    if text[0] not in "23456":
        return False
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_social_security_number(text: str) -> bool:
    """Not what is never given out: https://www.ssa.gov/employer/randomization.html."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def is_telephone(text: str) -> bool:
    """At most 15 digits (https://www.itu.int/rec/T-REC-E.164); with fewer than nine it could be anything."""
    digits = sum(character.isdigit() for character in text)
    return (8 if text.startswith("+") else 9) <= digits <= 15


def is_key(text: str) -> bool:
    """Not words with hyphens: a key has digits."""
    return any(character.isdigit() for character in text)


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    """Not what programs write much like it: times of day, and names in namespaces, which have no digit."""
    if text.count(":") < 2 or not any(character.isdigit() for character in text):
        return False
    try:
        return bool(IPv6Address(text))
    except AddressValueError:
        return False


def _pattern(expression: str, check: Callable[[str], bool] | None = None, needs: str = "") -> Pattern:
    def end(text: str, start: int, end: int) -> int | None:
        return end if check is None or check(text[start:end]) else None

    return Pattern(re.compile(expression), end, needs)


_DOMAIN = r"(?:[^\W_][\w-]{0,62}\.){1,8}(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})"
# Where a candidate can begin is limited to the beginnings of runs, and what it can take to some length: no text makes
# them try the same characters again and again.
PATTERNS: dict[PiiKind, tuple[Pattern, ...]] = {
    # Keys of well-known services by their prefixes, tokens and private keys by their form.
    "secret": (
        _pattern(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,16384}-----END [A-Z ]{0,30}KEY-----", needs="-"),
        _pattern(r"(?<![\w-])eyJ[\w-]{8,4096}+\.eyJ[\w-]{8,8192}+\.[\w-]{16,2048}", needs="."),
        _pattern(r"(?<!\w)(?:A3T|AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}(?!\w)", needs="A"),
        _pattern(r"(?<![\w-])(?:sk|pk|rk|whsec|gwk|glpat|hf|npm|xox[abeoprs])[-_][\w-]{16,256}", is_key, needs="-_"),
        _pattern(r"(?<!\w)(?:gh[opsur]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}|AIza[\w-]{35})", needs="_A"),
    ),
    "iban": (Pattern(re.compile(r"(?<![A-Za-z0-9])(?=(?P<it>[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}))"), iban_end),),
    "card": (
        _pattern(r"(?<![\d.-])\d{13,19}(?![\d-])", is_card),
        _pattern(r"(?<!\d)(?=(?P<it>\d{4}([ -])\d{4}\2\d{4}\2\d{1,7})(?!\d))", is_card),
        _pattern(r"(?<!\d)(?=(?P<it>\d{4}([ -])\d{6}\2\d{4,5})(?!\d))", is_card),
    ),
    "email": (_pattern(rf"(?<!\w)\w[\w.%+'-]{{0,63}}+@{_DOMAIN}(?!\w)", needs="@"),),
    "us_ssn": (_pattern(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])", is_social_security_number, needs="-"),),
    "ip": (
        _pattern(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)", _is_ipv4, needs="."),
        _pattern(r"(?<![\w:.])[0-9A-Fa-f:]{3,39}(?![\w:])", _is_ipv6, needs=":"),
    ),
    "phone": (
        _pattern(r"(?<![\w+])\+\d{1,3}(?:[ ./-]?\(\d{1,4}\))?(?:[ ./-]?\d){6,13}(?!\w)", is_telephone, needs="+"),
        _pattern(r"(?<![\w.-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])", is_telephone),
        _pattern(r"(?<![\w./-])(?:\(0\d{1,5}\)|0\d{1,5})[ /-]{1,3}\d{1,8}(?: ?\d){3,9}(?![\w/-])", is_telephone, "0"),
        _pattern(r"(?<![\w./-])0\d([.-])\d\d(?:\1\d\d){3}(?![\w/-])", needs="0"),
    ),
}
_RANK = {kind: rank for rank, kind in enumerate(PATTERNS)}


def find(text: str, kinds: Iterable[PiiKind]) -> list[Found]:
    """In the text's order. What overlaps is one, of the kind that is checked best."""
    found = sorted(
        Found(start, end, kind)
        for kind in set(kinds)
        for pattern in PATTERNS[kind]
        for start, end in pattern.find(text)
    )
    joined: list[Found] = []
    for one in found:
        if joined and one.start < joined[-1].end:
            last = joined.pop()
            kind = min(last.kind, one.kind, key=_RANK.__getitem__)
            joined.append(Found(last.start, max(last.end, one.end), kind))
        else:
            joined.append(one)
    return joined
