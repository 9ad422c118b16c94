"""Identifiers and patterns against the values that spec 0.11 and its conformance suite give."""

from __future__ import annotations

import random
import re

import pytest

from gateway.gts.ids import MAX_ID_CHARS, MalformedId, newest_minor, parse, parse_pattern

UUID_TAIL = "7a1d2f34-5678-49ab-9012-abcdef123456"
ORDER_PLACED = "gts.x.core.events.type.v1~x.commerce.orders.order_placed.v1.0~"
GOOD = [
    "gts.x.test1.events.type.v1~",
    "gts.abc.commerce.orders.order.v2.15~",
    "gts.vendor.pkg.ns.type.v0~",
    "gts.v123.p456.n789.t000.v999.888~",
    "gts.x.pkg._.type.v1~",
    "gts._.pkg.ns.type.v1~",
    "gts.vendor._.ns.type.v1~",
    "gts.vendor.pkg.ns._.v1~",
    "gts._._._._.v1~",
    "gts._a.b2.c3._d4.v1~",
    "gts.v.v.v.v.v1~",
    "gts.x.pkg.ns.type.v1.999999~",
    "gts.x.pkg.ns.type.v0.0~",
    "gts.vendor_with_many_underscores_123.package_456.namespace_789.type_000.v1~",
    "gts.x.test1.events.type.v1~abc.app._.custom_event.v1~",
    "gts.x.test1.events.type.v1~abc.app._.custom_event.v1.2",
    "gts.a.b.c.d.v1~e.f.g.h.v2~i.j.k.l.v3~",
    "gts.x.test1.events.type.v1~a.b.c.d.v1~e.f.g.h.v1~i.j.k.l.v1.0",
    ORDER_PLACED + UUID_TAIL,
    f"gts.x.y.z.a.v1~{UUID_TAIL}",
]
BAD = [
    "",
    "gts.",
    "gts.~",
    "GTS.x.test1.events.type.v1~",
    "gts.X.core.events.type.v1~",
    "gts.vendor.Pkg.ns.type.v1~",
    "gts.x.test1.events.type.V1~",
    "x.test1.events.type.v1~",
    "gts.x.test1.events.type.1~",
    "gts.x.test1.events.type.v1.2.3~",
    "gts.x.test1.events.type.v-1~",
    "gts.x.test1.events.type.v1.-1~",
    "gts.x.test1.events.type.v1.~",
    "gts.x.test1.events.type.v01~",
    "gts.x.test1.events.type.v1.01~",
    "gts.x.pkg.ns.type.~",
    "gts.x.pkg.ns.type.version1~",
    "gts.1vendor.core.events.type.v1~",
    "gts.vendor.pkg.ns.4type.v1~",
    "gts.x.core-events.events.type.v1~",
    "gts.vendor.pkg.ns.type@name.v1~",
    "gts.x.test1.events..event.v1~",
    "gts..pkg.ns.type.v1~",
    "gts.vendor.pkg.name.space.type.v1~",
    "gts.x.test1.events.type.v1.0~~",
    "gts.x.test1.events.type.v1~gts.abc.app._.custom.v1~",
    "gts.x.test1.events.type.v1.abc.app.namespace.custom.v1",
    "gts.x.test1.events.event~",
    "gts.x.test1.events.v1~",
    "gts.x.test1.namespace.type.v1~a.b.c.v1",
    ORDER_PLACED + "not-a-uuid",
    ORDER_PLACED + UUID_TAIL.upper(),
    ORDER_PLACED + UUID_TAIL + "~",
    UUID_TAIL,
    f"gts.{UUID_TAIL}",
    # An instance alone, which 0.7 still allowed.
    "gts.x.test1.events.type.v1",
    "gts.abc.commerce.orders.order.v2.15",
    "gts.x.mq.messages._._.v1",
    # The form for $id and $ref only.
    "gts://gts.x.test1.events.type.v1~",
    "gts://gts.x.test1.events.type.v1~x.vendor._.item.v1.0",
    # Patterns are no ids.
    "gts.a.b.c.d.v1~a.*",
    "gts.*",
    # Nothing round it, and digits and letters are ASCII.
    " gts.x.test1.events.type.v1~",
    "gts.x.test1.events.type.v1~\n",
    "gts.x.test1.events.type.v\u0661~",
    "gts.x.test1.évents.type.v1~",
]


@pytest.mark.parametrize("text", GOOD)
def test_an_id_reads(text: str) -> None:
    gts_id = parse(text)
    assert (gts_id.text, gts_id.is_type) == (text, text.endswith("~"))
    parts = [str(segment) for segment in gts_id.segments]
    assert "gts." + "~".join([*parts, gts_id.uuid_tail or ""][: None if gts_id.uuid_tail else -1]) == text.rstrip("~")


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_and_told_why(text: str) -> None:
    with pytest.raises(MalformedId, match=r"\w"):
        parse(text)


def test_an_id_has_a_greatest_length() -> None:
    longest = "gts." + "a" * (MAX_ID_CHARS - len("gts..b.c.d.v1~")) + ".b.c.d.v1~"
    assert len(parse(longest).text) == MAX_ID_CHARS
    with pytest.raises(MalformedId, match="1024"):
        parse(longest.replace("gts.a", "gts.aa"))


@pytest.mark.parametrize(
    ("text", "minors", "vendors"),
    [
        ("gts.x.test3.events.type.v1~", [None], ["x"]),
        ("gts.x.pkg.ns.type.v2.5~", [5], ["x"]),
        ("gts.x.test3.events.type.v1~abc.app._.custom_event.v1.2", [None, 2], ["x", "abc"]),
        (
            "gts.x.test3.events.type.v1~abc.app._.custom.v1~abc.app._.instance.v1.0",
            [None, None, 0],
            ["x", "abc", "abc"],
        ),
    ],
)
def test_an_id_has_segments(text: str, minors: list[int | None], vendors: list[str]) -> None:
    segments = parse(text).segments
    assert [segment.minor for segment in segments] == minors
    assert [segment.vendor for segment in segments] == vendors


def test_a_segment_has_its_parts() -> None:
    first = parse("gts.vendor.pkg._.type.v0.3~").segments[0]
    assert (first.vendor, first.package, first.namespace, first.type) == ("vendor", "pkg", "_", "type")
    assert (first.major, first.minor) == (0, 3)


@pytest.mark.parametrize(
    ("text", "parent"),
    [
        ("gts.a.b.c.d.v1~", None),
        ("gts.a.b.c.d.v1~e.f.g.h.v2~", "gts.a.b.c.d.v1~"),
        ("gts.a.b.c.d.v1~e.f.g.h.v2~i.j.k.l.v3.0", "gts.a.b.c.d.v1~e.f.g.h.v2~"),
        (ORDER_PLACED + UUID_TAIL, ORDER_PLACED),
    ],
)
def test_a_chain_is_a_line_of_descent(text: str, parent: str | None) -> None:
    assert parse(text).parent == parent


@pytest.mark.parametrize(
    ("text", "uuid"),
    [
        ("gts.x.test5.events.type.v1~", "de567dcc-10ef-597d-8f82-3c999ed9b979"),
        ("gts.x.test5.events.type.v1.1~", "b9a18e35-890b-586c-81fa-a156b9a26e2b"),
        ("gts.x.test5.events.type.v1~abc.app._.custom_event.v1.2", "c7f8cca7-3af6-58af-b72b-3febfd93f1a8"),
        (ORDER_PLACED + UUID_TAIL, "4a31b759-722b-5bb1-a1dc-2cf40963e81b"),
    ],
)
def test_an_id_has_a_uuid(text: str, uuid: str) -> None:
    assert str(parse(text).uuid) == uuid


V0 = "gts.vendor.pkg.ns.type.v0~"
MESSAGE = "gts.x.llm.chat.message."
MATCHES = [
    ("gts.x.test4.events.type.v1~abc.*", "gts.x.test4.events.type.v1~abc.app._.custom_event.v1.2", True),
    ("gts.x.test4.events.type.v1~abc.*", "gts.x.test4.events.type.v1~abc.app._.custom.v1~", True),
    ("gts.x.test4.events.type.v2~abc.*", "gts.x.test4.events.type.v1~abc.app._.custom_event.v1.3", False),
    # A pattern without minor version takes any.
    ("gts.x.pkg.ns.type.v1~", "gts.x.pkg.ns.type.v1.5~", True),
    ("gts.x.pkg.ns.type.v1~a.b.c.*", "gts.x.pkg.ns.type.v1.5~a.b.c.d.v1", True),
    ("gts.x.pkg.ns.type.v1~a.b.c.d.v1", "gts.x.pkg.ns.type.v1.5~a.b.c.d.v1.2", True),
    ("gts.x.pkg.ns.type.v1.2~", "gts.x.pkg.ns.type.v1.2~", True),
    ("gts.x.pkg.ns.type.v1.2~", "gts.x.pkg.ns.type.v1.3~", False),
    ("gts.x.pkg.ns.type.v1.2~", "gts.x.pkg.ns.type.v1~", False),
    ("gts.x.pkg.ns.type.v1~", "gts.x.pkg.ns.type.v2~", False),
    ("gts.a.b.c.d.v1.1~*", "gts.a.b.c.d.v1.0~a.b.c.d.v1", False),
    # A type covers what derives from it.
    ("gts.a.b.c.d.v1~", "gts.a.b.c.d.v1.0~a.b.c.d.v1", True),
    ("gts.a.b.c.d.v1~", "gts.a.b.c.d.v1~a.b.c.d.v1~", True),
    ("gts.a.b.c.d.v1~", f"gts.a.b.c.d.v1~{UUID_TAIL}", True),
    ("gts.a.b.c.d.v1~e.f.g.h.v1~", "gts.a.b.c.d.v1~e.f.g.h.v1", False),
    ("gts.a.b.c.d.v1~e.f.g.h.v1", "gts.a.b.c.d.v1~e.f.g.h.v1~", False),
    ("gts.a.b.c.d.v1~e.f.g.h.v1~", "gts.a.b.c.d.v1~", False),
    (f"gts.a.b.c.d.v1~{UUID_TAIL}", f"gts.a.b.c.d.v1~{UUID_TAIL}", True),
    # `~*` is what derives from a type, and not the type: so the suite of 0.11.
    (V0 + "*", V0, False),
    (V0 + "*", V0 + "a.b.c.d.v1", True),
    (V0 + "*", "gts.vendor.pkg.ns.type.v0.1~", False),
    (V0 + "*", "gts.vendor.pkg.ns.type.v0.1~a.b.c.d.v1", True),
    (V0 + "*", V0 + UUID_TAIL, True),
    (V0 + "*", "gts.vendor.pkg.ns.type.v1.1~", False),
    (V0 + "abc.*", "gts.vendor.pkg.ns.type.v0.1~", False),
    # From a token on, or from within the version.
    ("gts.*", "gts.vendor.pkg.ns.type.v1~", True),
    ("gts.*", "gts.vendor.pkg.ns.type.v1~a.b.c.d.v1", True),
    ("gts.myvendor.*", "gts.myvendor.pkg.ns.type.v1.0~", True),
    ("gts.myvendor.*", "gts.myvendors.pkg.ns.type.v1.0~", False),
    ("gts.x.pkg.events.*", "gts.x.pkg.events.order_placed.v1~", True),
    ("gts.vendor.pkg.ns.type.v0.*", "gts.vendor.pkg.ns.type.v0.2~", True),
    ("gts.vendor.pkg.ns.type.v0.*", "gts.vendor.pkg.ns.type.v1.2~", False),
    (MESSAGE + "v*", MESSAGE + "v2~", True),
    (MESSAGE + "v1.*", MESSAGE + "v1.0~x.llm.chat.system_message.v1.0~", True),
    (MESSAGE + "v1.*", MESSAGE + "v10~", False),
    (MESSAGE + "v1.0~*", MESSAGE + "v1.0~x.llm.chat.system_message.v1.0~", True),
    (MESSAGE + "v1.0~*", MESSAGE + "v1.1~x.llm.chat.user_message.v1.1~", False),
    (MESSAGE + "*", MESSAGE + "v1.1~x.llm.chat.user_message.v1.1~", True),
]


@pytest.mark.parametrize(("pattern", "candidate", "expected"), MATCHES)
def test_a_pattern_matches(pattern: str, candidate: str, expected: bool) -> None:
    read = parse_pattern(pattern)
    assert read.matches(parse(candidate)) is expected
    assert candidate.startswith(read.prefix) or not expected


@pytest.mark.parametrize(
    "text",
    [
        *("gts.x.*.events.type.v1~", "gts.*.pkg.ns.*", "gts.vendor*", "gts.a.b.c.d.v1~a*", "gts.a.b.c.d.v1~a.*~"),
        *("gts.a.b.c.*.v1~a.*", "gts.vendor.pkg.ns.type.v1~a-b.*", "gts.a.b.c.d~", "GTS.vendor.pkg.ns.type.v0.*"),
        *("gts.x.test4.events.type.v1*abc", "gts.x.test4.events.type", "gts.x.llm.chat.msg*", "gts.x.llm.chat.v*"),
        *("gts.x.llm.chat.message.v*~*", "gts.x.test4.events.type.v1~abc", "*", "gts*", "gts.a.b.c.d.v1*", "gts.~*"),
        *("gts.a.b.c.d.e.*", "gts.a.b.c.d.v01.*", "gts." + "a" * MAX_ID_CHARS + ".*"),
    ],
)
def test_a_pattern_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(MalformedId):
        parse_pattern(text)


REGISTERED = [
    *("gts.a.b.c.d.v1.9~", "gts.a.b.c.d.v1.10~", "gts.a.b.c.d.v1.11", "gts.a.b.c.d.v1.12~e.f.g.h.v1~"),
    *("gts.a.b.c.d.v2.20~", "gts.a.b.c.d.v10.30~", "gts.a.b.c.dd.v1.40~", "gts.a.b.c.d.v1~e.f.g.h.v3.4"),
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("gts.a.b.c.d.v1~", "gts.a.b.c.d.v1.10~"),
        ("gts.a.b.c.d.v2~", "gts.a.b.c.d.v2.20~"),
        ("gts.a.b.c.d.v3~", None),
        ("gts.a.b.c.d.v1.8~", None),
        ("gts.a.b.c.d.v1~e.f.g.h.v3", "gts.a.b.c.d.v1~e.f.g.h.v3.4"),
        ("gts.a.b.c.d.v1~e.f.g.h.v3~", None),
        (f"gts.a.b.c.d.v1~{UUID_TAIL}", None),
    ],
)
def test_an_open_minor_version_means_the_newest_of_the_last_segment(wanted: str, found: str | None) -> None:
    assert newest_minor(parse(wanted), REGISTERED) == found


# Section 8.2 of the spec, with its rule that an instance needs a type to its left.
SPEC_TOKENS = r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*"
SPEC_SEGMENT = SPEC_TOKENS + r"\.v(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))?"
SPEC_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SPEC = re.compile(rf"gts\.{SPEC_SEGMENT}~(?:(?:{SPEC_SEGMENT}~)*(?:{SPEC_SEGMENT}|{SPEC_UUID})?)")


def test_ids_are_those_of_the_grammar_however_they_are_bent() -> None:
    chance = random.Random(11)  # noqa: S311 - the same texts every time
    outcomes = {True: 0, False: 0}
    for _ in range(5_000):
        text = bent(chance.choice(GOOD), chance)
        expected = SPEC.fullmatch(text) is not None and len(text) <= MAX_ID_CHARS
        try:
            parsed = parse(text)
        except MalformedId:
            assert not expected, text
        else:
            assert expected, text
            assert parsed == parse(parsed.text)
            assert parsed.parent is None or parse(parsed.parent).is_type
        outcomes[expected] += 1
    assert min(outcomes.values()) > 500


def bent(text: str, chance: random.Random) -> str:
    for _ in range(chance.randrange(3)):
        at = chance.randrange(len(text) + 1)
        piece = chance.choice(["", ".", "~", "_", "v", "0", "1", "7", "a", "Z", "*", "-", "v1", ".b.c.d.v2~", "gts."])
        text = text[:at] + piece + text[at + chance.randrange(3) :]
    return text
