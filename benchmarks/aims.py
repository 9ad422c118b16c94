"""What the gateway promises about its own cost, and whether a run kept it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """An upper limit; `strict`: the limit itself is already too much; `at_least`: a lower one. `stretch`: what else we
    aim at, which decides nothing.
    """

    name: str
    unit: str
    limit: float
    strict: bool = False
    at_least: bool = False
    stretch: float | None = None

    @property
    def sign(self) -> str:
        return ">=" if self.at_least else "<" if self.strict else "<="

    def judged(self, value: float) -> Verdict:
        if self.at_least:
            return Verdict(self, value, value >= self.limit)
        return Verdict(self, value, value < self.limit if self.strict else value <= self.limit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An aim with what was measured."""

    aim: Aim
    value: float
    kept: bool

    @property
    def line(self) -> str:
        aim, value = self.aim, f"{self.value:.2f} {self.aim.unit}".rstrip()
        stretch = "" if aim.stretch is None else f", stretch {aim.stretch:g}"
        return f"{aim.name} = {value} ({aim.sign} {aim.limit:g}{stretch}): {'PASS' if self.kept else 'FAIL'}"


POLLERS = 16
CHAT_CPU = Aim("CPU of a warm chat, what comes after its answer included", "ms", 2.0, stretch=1.0)
BURST_CPU = Aim("CPU per 1,000 chunks in a burst", "ms", 20.0, stretch=8.0)
ONE_CORE = Aim(f"1,000 ms by the CPU of one chat, {POLLERS} at once", "", 600.0, at_least=True, stretch=2_000.0)
FIRST_ANSWER_CPU = Aim("CPU from the start of the chat function to its first answer", "ms", 250.0, stretch=150.0)
CHAT_MEMORY = Aim("resident memory of the chat function after load", "MB", 60.0, stretch=40.0)
PACKAGE_SIZE = Aim("a function and its layers, unzipped", "MB", 60.0)
OVERHEAD_P99 = Aim("overhead_ms p99", "", 50.0, strict=True)
STORING_PEAK = Aim("peak memory of the videos function, a video of 200 MB stored", "MB", 200.0)
FAILED_REQUESTS = Aim("failed or unsent requests through the stack", "", 0.0)
OVERSPENT = Aim("nano-USD spent beyond budgets", "", 0.0)
BEYOND_RATE = Aim("requests served beyond a rate", "", 0.0)
REFUSED_THOUGH_IT_FITS = Aim("requests refused that fit, once all was given back", "", 0.0)
BOOKS_DIFFER = Aim("nano-USD between books, usage records and replies", "", 0.0)
UNRECORDED = Aim("requests without a usage record", "", 0.0)
OTHERWISE_ANSWERED = Aim("requests that failed otherwise", "", 0.0)
LEAKED_HOLDS = Aim("holds left after the sweep", "", 0.0)
MISSING_ENDS = Aim("starts in the audit log without exactly one end", "", 0.0)
COUNTED_TWICE = Aim("usage records counted twice or not at all", "", 0.0)
UNANSWERED = Aim("requests not answered while a provider failed", "%", 0.1)
ADDED_BY_REFUSALS = Aim("added p99 while it refuses", "ms", 250.0)
ADDED_BY_SILENCE = Aim("added p99 while it is silent, beyond its time limit", "ms", 250.0)
ADDED_BY_CIRCUIT = Aim("added p50 while it is silent", "ms", 50.0)
LEFT_OPEN = Aim("sockets left open", "", 0.0)
LEFT_IN_USE = Aim("connections left in use", "", 0.0)
LEFT_TASKS = Aim("tasks left", "", 0.0)
LEFT_HOLDS = Aim("holds left", "", 0.0)
LEFT_OBJECTS = Aim("objects left for each request", "", 0.5)
LEFT_MEMORY = Aim("memory grown", "MB", 20.0)
NOT_ENDED_ONCE = Aim("requests without exactly one end in the audit log", "", 0.0)
BATCH_PEAK = Aim("peak memory of any function of a batch", "MB", 256.0)
LINES_NOT_ONCE = Aim("lines of a batch without exactly one result", "", 0.0)
BEYOND_DEADLINE = Aim("time beyond a deadline, at most", "ms", 250.0)


def added_latency(what: str) -> dict[int, Aim]:
    """By percentile: what the gateway's own code may add to a chat, warm, without the emulator."""
    return {
        50: Aim(f"added p50, {what}", "ms", 2.0, stretch=1.0),
        99: Aim(f"added p99, {what}", "ms", 5.0, stretch=2.0),
    }


def added_to_first_token(what: str) -> dict[int, Aim]:
    """The same for the provider's first text in a stream."""
    return {50: Aim(f"added p50, {what}", "ms", 2.0, stretch=0.6)}


def added_to_vectors(what: str) -> dict[int, Aim]:
    """The same for a reply of 64 vectors, more than a megabyte of numbers."""
    return {50: Aim(f"added p50, {what}", "ms", 4.0, stretch=2.0)}


LOST_SOUND = Aim("pieces of sound that were lost", "", 0.0)
REORDERED_SOUND = Aim("pieces of sound that came in another order", "", 0.0)
UNEXPECTED = Aim("requests and orders that ended as none of their kind may", "", 0.0)
NEVER_SEEN = Aim("ways in which some kind of request has to end that were never seen", "", 0.0)
OTHER_THAN_FITS = Aim("answers beyond, or short of, those that the little budget pays for", "", 0.0)
PACE = Aim("requests that left, of those that were due", "%", 90.0, at_least=True)
LATEST = Aim("latest departure of a request", "s", 10.0)
UNWATCHED = Aim("processes whose memory was never compared, of chat, embeddings and the emulator", "", 0.0)
NOT_RECORDED = Aim("requests without exactly their usage records", "", 0.0)
NOT_ONE_RESULT = Aim("batches whose lines have not one result each", "", 0.0)
GROWN = Aim("memory that processes have grown in the last third, beyond 8 MB or a tenth", "MB", 0.0)
STORE_GROWN = Aim("memory of the emulator for each request, of which it keeps records", "KB", 32.0)
