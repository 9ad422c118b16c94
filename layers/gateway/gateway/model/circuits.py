"""All circuits of one environment: of endpoints, of their models, and of tenants alone. Pure.

Whose fault it is shows by who else fails. Failures of one tenant close a model to that tenant, those of several close
it to all; an endpoint is closed by failures of several of its models, or because nobody reaches it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

from gateway.model.circuit import (
    MAX_CIRCUITS,
    TENANT_GROUPS,
    Call,
    Change,
    Circuit,
    Hurried,
    Mark,
    Minutes,
    Place,
    Rules,
    Verdict,
)
from gateway.model.health import Numbers, Tallies, minute_of

SLOT_S, SLOTS = 10, 4
"""What is shared is counted in such slots; the running one and those before it are judged."""
LEAST_CALLS, OPENS_AT_PERCENT = 20, 50
LEAST_CALLS_OF_OTHERS, PERCENT_OF_OTHERS, LEAST_FAILURES_OF_OTHERS = 5, 25, 2
"""Without the tenants, or the model, that most failures are of."""
ASKED, BROKEN = "a", "x"

C = TypeVar("C", Circuit, Hurried)
Cells: TypeAlias = dict[tuple[str, str], list[int]]
"""How many calls there were and how many of them failed, by model and by group of tenants."""


class Circuits:
    """`marks`: what has happened to shared ones here and is not told yet. `asks_others`: whether environments agree on
    who tries; then `refused`: those that refused a call since others were asked.
    """

    def __init__(self, rules: Rules, tallies: Tallies) -> None:
        self.rules, self._tallies = rules, tallies
        self._circuits: dict[Place, Circuit] = {}
        self._own: dict[Place, Circuit] = {}
        self._hurried: dict[Place, Hurried] = {}
        self.marks: dict[Place, Mark] = {}
        self.refused: set[Place] = set()
        self.asks_others = False

    def enter(self, call: Call) -> float:
        """How long until it may be made; 0 for now, and then it is."""
        if (wait_s := self.wait_s(call)) > 0:
            return wait_s
        if (hurried := self._hurried.get(call.places[-1])) is not None:
            hurried.enter(call, self.rules.open_s)
        for _, circuit in self._standing(call):
            circuit.enter(call.entered_s, self.rules.open_s)
        return 0.0

    def wait_s(self, call: Call) -> float:
        """As `enter` would say; it is not made. Who is in too much of a hurry has no use for a try."""
        hurried = self._hurried.get(call.places[-1])
        if hurried is not None and (wait_s := hurried.wait_s(call)) > 0:
            return wait_s
        for place, circuit in self._standing(call):
            asks_others = self.asks_others and place.is_shared
            if (wait_s := circuit.wait_s(call.entered_s, asks_others=asks_others)) > 0:
                if asks_others:
                    self.refused.add(place)
                return wait_s
        return 0.0

    def is_tried_by(self, call: Call) -> bool:
        return any(circuit.is_tried_by(call.entered_s) for _, circuit in self._standing(call))

    def note(self, call: Call, verdict: Verdict, now_s: float) -> list[tuple[Place, Change]]:
        """What that has done to circuits."""
        if verdict == "slow":
            self._tries_again(call, now_s)
            _at(self._hurried, call.places[-1], Hurried).slow(call, now_s, self.rules.open_s)
            return []
        self._count(call, now_s, has_failed=verdict != "answered")
        if verdict == "answered":
            return self.begun(call, now_s)
        return self._failed(call, now_s, is_reached=verdict == "failed")

    def begun(self, call: Call, now_s: float) -> list[tuple[Place, Change]]:
        """It goes well, which is known of a stream long before its end."""
        if self._hurried:
            self._hurried_is_well(call, now_s)
        closed = [place for place, circuit in self._standing(call) if circuit.answered(call.entered_s, now_s)]
        return [self._changed(place, "closed") for place in closed]

    def _hurried_is_well(self, call: Call, now_s: float) -> None:
        own = call.places[-1]
        if (hurried := self._hurried.get(own)) is not None and hurried.is_well(call, now_s):
            del self._hurried[own]

    def give_up(self, call: Call, now_s: float) -> None:
        """One that says nothing: where it was to try whether all is well again, the next one is."""
        self._tries_again(call, now_s)
        if (hurried := self._hurried.get(call.places[-1])) is not None:
            hurried.give_up(call, now_s)

    def may_try(self, place: Place) -> None:
        """It is this environment that tries."""
        if (circuit := self._of(place).get(place)) is not None:
            circuit.may_try = True

    def wanted(self, now_s: float) -> list[Place]:
        """Those that refused a call, and whose time is over."""
        known = ((place, self._of(place).get(place)) for place in sorted(self.refused))
        return [place for place, circuit in known if circuit is not None and 0 < circuit.until_s <= now_s]

    def forget(self, told: dict[Place, Mark]) -> None:
        """What others know by now, unless it has changed since."""
        for place, mark in told.items():
            if self.marks.get(place) == mark:
                del self.marks[place]

    def learn(self, place: Place, mark: Mark, minutes: Minutes, now_s: float) -> None:
        """What happened to it in another environment, where that is newer. One that was opened there is opened here
        only if it fails everywhere: what keeps failing may be that environment, or one tenant's request.
        """
        opened_s, closed_s = mark
        circuit = _at(self._of(place), place, Circuit)
        if closed_s > max(circuit.opened_s, circuit.closed_s):
            circuit.close(closed_s)
        is_news = opened_s > max(circuit.opened_s, circuit.closed_s) and now_s < opened_s + self.rules.open_s
        if not is_news or self._is_covered(place):
            return
        if circuit.until_s or _fails(*_sum(self._cells(place, minutes, now_s))):
            self._open(place, circuit, opened_s)

    def judge(self, minutes: Minutes, now_s: float) -> list[Place]:
        """Opens those of which too many calls of all environments failed, and names them; the widest first."""
        known = sorted((place for place, _ in self._all() if place.is_shared), key=lambda each: (each.tenant, each))
        return [place for place in known if self._opens(place, minutes, now_s)]

    def is_open(self, provider: str, model: str, tenant_id: str, now_s: float) -> bool:
        """Whether it is left alone at the moment, with the owner's key, for this tenant."""
        return any(
            now_s < circuit.until_s and place.concerns(provider, model, tenant_id) for place, circuit in self._all()
        )

    def _of(self, place: Place) -> dict[Place, Circuit]:
        """Those of tenants alone are many, and push nobody else's out."""
        return self._own if place.tenant or not place.is_shared else self._circuits

    def _all(self) -> Iterator[tuple[Place, Circuit]]:
        yield from self._circuits.items()
        yield from self._own.items()

    def _standing(self, call: Call) -> list[tuple[Place, Circuit]]:
        """In its way, where they are open. The widest first."""
        if not (self._circuits or self._own):
            return []
        endpoint, model, own = call.places
        if not model.is_shared:
            found = [(place, self._own.get(place)) for place in call.places]
        else:
            shared = self._circuits
            found = [(endpoint, shared.get(endpoint)), (model, shared.get(model)), (own, self._own.get(own))]
        return [(place, circuit) for place, circuit in found if circuit is not None]

    def _tries_again(self, call: Call, now_s: float) -> None:
        for _, circuit in self._standing(call):
            if circuit.is_tried_by(call.entered_s):
                circuit.give_up(now_s)

    def _failed(self, call: Call, now_s: float, *, is_reached: bool) -> list[tuple[Place, Change]]:
        for place in call.places:
            circuit = _at(self._of(place), place, Circuit)
            if circuit.until_s:
                if not circuit.is_tried_by(call.entered_s):
                    return []  # it had entered before
            else:
                circuit.failed(call, now_s, is_reached=is_reached)
                if not self._is_enough(place, circuit):
                    continue
            self._open(place, circuit, now_s)
            return [self._changed(place, "opened")]
        return []

    def _is_enough(self, place: Place, circuit: Circuit) -> bool:
        if circuit.failures < self.rules.failures:
            return False
        least = min(LEAST_FAILURES_OF_OTHERS, self.rules.failures - 1)
        if place.is_shared and not place.tenant and not circuit.is_of_several(circuit.tenants, least):
            return False
        is_unreachable = circuit.unreached >= self.rules.failures
        return bool(place.model) or is_unreachable or circuit.is_of_several(circuit.models, least)

    def _open(self, place: Place, circuit: Circuit, at_s: float) -> None:
        """Those that it covers have no say any more."""
        circuit.open(at_s, self.rules.open_s)
        for known in (self._circuits, self._own):
            for covered in [each for each in known if place.covers(each)]:
                del known[covered]

    def _is_covered(self, place: Place) -> bool:
        return any(circuit.until_s and each.covers(place) for each, circuit in self._circuits.items())

    def _changed(self, place: Place, change: Change) -> tuple[Place, Change]:
        if place.is_shared:
            circuit = self._of(place)[place]
            self.marks[place] = (circuit.opened_s, circuit.closed_s)
        return place, change

    def _count(self, call: Call, now_s: float, *, has_failed: bool) -> None:
        """Under the model, which all environments read; not what one tenant's key meets."""
        _, model, own = call.places
        if not model.is_shared:
            return
        place = f"{int(now_s // SLOT_S) % (60 // SLOT_S)}{own.group}"
        self._tallies.add(now_s, model.name, *((ASKED + place, BROKEN + place) if has_failed else (ASKED + place,)))

    def _opens(self, place: Place, minutes: Minutes, now_s: float) -> bool:
        circuit = self._of(place).get(place)
        if circuit is None or circuit.until_s or now_s > circuit.failed_s + SLOT_S * SLOTS:
            return False
        cells = self._cells(place, minutes, now_s)
        asked, failed = _sum(cells)
        if asked < LEAST_CALLS or not _fails(asked, failed):
            return False
        if not place.tenant and not _fail_without_the_worst(cells, lambda cell: cell[1]):
            return False
        if not place.model and not _fail_without_the_worst(cells, lambda cell: cell[0]):
            return False
        self._open(place, circuit, now_s)
        self._changed(place, "opened")
        return True

    def _cells(self, place: Place, minutes: Minutes, now_s: float) -> Cells:
        """The calls of the last slots since it was closed."""
        wider = (Place(place.endpoint), Place(place.endpoint, place.model), place)
        closed_s = max((known.closed_s for each in wider if (known := self._of(each).get(each))), default=0.0)
        cells: Cells = {}
        for slot_s in range(int(now_s // SLOT_S - SLOTS + 1) * SLOT_S, int(now_s) + 1, SLOT_S):
            if slot_s < closed_s:
                continue
            slot = str(slot_s // SLOT_S % (60 // SLOT_S))
            for subject, counted in minutes.get(minute_of(slot_s), {}).items():
                if subject == place.model_name or (not place.model and subject.startswith(f"{place.endpoint}/")):
                    _add(cells, subject, slot, counted, place.group if place.tenant else None)
        return cells


def _add(cells: Cells, subject: str, slot: str, counted: Numbers, only: str | None) -> None:
    for group in (only,) if only else map(str, range(TENANT_GROUPS)):
        cell = cells.setdefault((subject, group), [0, 0])
        cell[0] += counted.get(f"{ASKED}{slot}{group}", 0)
        cell[1] += counted.get(f"{BROKEN}{slot}{group}", 0)


def _sum(cells: Cells) -> tuple[int, int]:
    return sum(asked for asked, _ in cells.values()), sum(failed for _, failed in cells.values())


def _fail_without_the_worst(cells: Cells, part: Callable[[tuple[str, str]], str]) -> bool:
    """Whether it is more than one model, or one group of tenants, of which calls fail."""
    failed: Counter[str] = Counter()
    for cell, (_, broken) in cells.items():
        failed[part(cell)] += broken
    [(worst, _)] = failed.most_common(1)
    rest = _sum({cell: counts for cell, counts in cells.items() if part(cell) != worst})
    return rest[0] >= LEAST_CALLS_OF_OTHERS and _fails(*rest, PERCENT_OF_OTHERS)


def _fails(asked: int, failed: int, percent: int = OPENS_AT_PERCENT) -> bool:
    return failed > 0 and 100 * failed >= percent * asked


def _at(known: dict[Place, C], place: Place, new: Callable[[], C]) -> C:
    """Not more of them than there is room for: the oldest one goes."""
    found = known.get(place)
    if found is None:
        if len(known) >= MAX_CIRCUITS:
            del known[next(iter(known))]
        found = known[place] = new()
    return found
