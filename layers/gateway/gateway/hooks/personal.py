"""What looks personal in a text: patterns whose time grows with the text alone, and the check digits that go with them.

A pattern finds candidates, a check throws out most of what only looks like one. Names and addresses have no pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from gateway.hooks.iban import iban_end
from gateway.model.hook import PiiKind


class Found(NamedTuple):
    """From `start` to before `end`, in characters."""

    start: int
    end: int
    kind: PiiKind


Span: TypeAlias = tuple[int, int]


class Pattern(Struct, frozen=True):
    """`span`: of a candidate's match, what of the text it is; None where it only looks like it.

    `needs`: one of these is in every text that has a candidate; found faster than the pattern. `re` compiles an
    expression when it is first used, which takes milliseconds, and remembers it.
    """

    expression: str
    span: Callable[[re.Match[str]], Span | None]
    needs: tuple[str, ...] = ()

    def find(self, text: str) -> Iterator[Span]:
        if self.needs and not any(part in text for part in self.needs):
            return
        for candidate in re.finditer(self.expression, text):
            if (span := self.span(candidate)) is not None:
                yield span


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
    if not 2 <= text.count(":") <= 8 or text.count("::") > 1 or not any(character.isdigit() for character in text):
        return False
    try:
        return bool(IPv6Address(text))
    except AddressValueError:
        return False


def _pattern(expression: str, check: Callable[[str], bool] | None = None, needs: tuple[str, ...] = ()) -> Pattern:
    """A candidate is what matches, and the group `rest` behind it, so that the next one may begin within that."""

    def span(candidate: re.Match[str]) -> Span | None:
        end = candidate.end("rest") if "rest" in candidate.re.groupindex else candidate.end()
        return (candidate.start(), end) if check is None or check(candidate.string[candidate.start() : end]) else None

    return Pattern(expression, span, needs)


def _email(candidate: re.Match[str]) -> Span | None:
    """From the sign on, backwards: at most 64 characters, the first of them a letter or digit."""
    at = candidate.start()
    local = re.compile(r"\w[\w.%+'-]*\Z").search(candidate.string, max(0, at - 64), at)
    return None if local is None else (local.start(), candidate.end())


def _ipv6(candidate: re.Match[str]) -> Span | None:
    """From two colons that stand near each other, both ways, as far as an address can reach."""
    text, at = candidate.string, candidate.start()
    before = re.compile(r"[0-9A-Fa-f:]*\Z").search(text, max(0, at - 39), at)
    after = re.compile(r"[0-9A-Fa-f:]{0,39}").match(text, candidate.end())
    start = at if before is None else before.start()
    end = candidate.end() if after is None else after.end()
    goes_on = re.match(r"[\w:.]", text[max(0, start - 1) : start]) or re.match(r"[\w:]", text[end : end + 1])
    return (start, end) if not goes_on and _is_ipv6(text[start:end]) else None


def _iban(candidate: re.Match[str]) -> Span | None:
    start = candidate.start() - 2
    end = iban_end(candidate.string, start)
    return None if end is None else (start, end)


_DOMAIN = r"(?:[^\W_][\w-]{0,62}\.){1,8}(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})"
_KEYS = ("sk-", "sk_", "pk_", "rk_", "whsec_", "gwk_", "glpat-", "hf_", "npm_", "xox")
# Each begins with a character that is looked for fast, and then looks back at what stands before it: where a candidate
# can begin is limited to the beginnings of runs, and what it can take to some length, so that no text makes a pattern
# try the same characters again and again.
PATTERNS: dict[PiiKind, tuple[Pattern, ...]] = {
    # Keys of well-known services by their prefixes, tokens and private keys by their form.
    "secret": (
        _pattern(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,16384}-----END [A-Z ]{0,30}KEY-----"),
        _pattern(r"eyJ(?<![\w-]eyJ)[\w-]{8,4096}+\.eyJ[\w-]{8,8192}+\.[\w-]{16,2048}"),
        _pattern(r"A(?<!\wA)(?:3T|KIA|SIA|GPA|IDA|ROA)[A-Z0-9]{16}(?!\w)"),
        _pattern(r"(?<![\w-])(?:sk[-_]|[pr]k_|whsec_|gwk_|glpat-|hf_|npm_|xox[abeoprs]-)[\w-]{16,256}", is_key, _KEYS),
        _pattern(r"g(?<!\wg)(?:h[opsur]_[A-Za-z0-9]{36,255}|ithub_pat_\w{22,255})", needs=("gh", "github_pat_")),
        _pattern(r"AIza(?<!\wAIza)[\w-]{35}"),
    ),
    "iban": (Pattern(r"\d(?<=[A-Za-z]{2}\d)(?<![A-Za-z0-9][A-Za-z]{2}\d)\d(?=(?: ?[A-Za-z0-9]){11})", _iban),),
    "card": (
        _pattern(r"\d(?<![\d.-]\d)\d{12,18}(?![\d-])", is_card),
        _pattern(r"\d(?<!\d\d)(?=(?P<rest>\d{3}([ -])\d{4}\2\d{4}\2\d{1,7})(?!\d))", is_card),
        _pattern(r"\d(?<!\d\d)(?=(?P<rest>\d{3}([ -])\d{6}\2\d{4,5})(?!\d))", is_card),
    ),
    "email": (Pattern(rf"@{_DOMAIN}(?!\w)", _email),),
    "us_ssn": (_pattern(r"\d(?<![\d-]\d)\d\d-\d\d-\d{4}(?![\d-])", is_social_security_number, needs=("-",)),),
    "ip": (
        _pattern(r"\d(?<![\d.]\d)\d{0,2}(?:\.\d{1,3}){3}(?![\d.]*\d)", _is_ipv4, needs=(".",)),
        Pattern(r":(?<!::)[0-9A-Fa-f]{0,4}:", _ipv6),
    ),
    "phone": (
        _pattern(r"\+(?<![\w+]\+)\d{1,3}(?:[ ./-]?\(\d{1,4}\))?(?:[ ./-]?\d){6,13}(?!\w)", is_telephone),
        _pattern(
            r"[\d(](?<![\w.-][\d(])(?:(?<=1)[ .-](?:\(\d{3}\) ?|\d{3}[ .-])|(?<=\()\d{3}\) ?|(?<=\d)\d\d[ .-])"
            r"\d{3}[ .-]\d{4}(?![\w-])",
            is_telephone,
        ),
        _pattern(
            r"[(0](?<![\w./-][(0])(?:(?<=\()0\d{1,5}\)|(?<=0)\d{1,5})[ /-]{1,3}\d{1,8}(?: ?\d){3,9}(?![\w/-])",
            is_telephone,
        ),
        _pattern(r"0(?<![\w./-]0)\d([.-])\d\d(?:\1\d\d){3}(?![\w/-])"),
    ),
}
# Names come by the thousand. Each kind has a sign, a colon or four digits, or as many characters as the shortest IBAN.
_SHORTEST_WITHOUT = 15
_SHORT = re.compile(r"[@:]|(?:\d\D*){4}")
_RANK = {kind: rank for rank, kind in enumerate(PATTERNS)}


def find(text: str, kinds: Iterable[PiiKind]) -> list[Found]:
    """In the text's order. What overlaps is one, of the kind that is checked best."""
    if len(text) < _SHORTEST_WITHOUT and _SHORT.search(text) is None:
        return []
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
