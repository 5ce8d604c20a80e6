"""Paired runs: each round starts a fresh process for each of two model files, and they take turns to run queries.

A turn takes about 20 ms. Whatever slows the machine for longer than that slows both, and cancels out in the ratio of
two successive turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tledge.bench.measure.conditions import SETTLING_SECONDS
from tledge.bench.results.cell_result import Specification, Timing
from tledge.core.atomic import replacing
from tledge.core.progress import Progress
from tledge.core.significance import Samples
from tledge.core.worker import Worker, python_module
from tledge.edge_runtime.target import Target

TURN_SECONDS = 0.02
"""How long a turn of the faster model should take."""

TURN_TIMEOUT = 3600.0
"""Seconds after which a turn counts as stuck."""

MINIMUM_TURNS = 10
"""Turns of each model in a round, at least, however short the round is."""

TRIAL_QUERIES = 3
"""Queries of the trial turns, which decide how many queries make a turn."""


@dataclass(frozen=True, kw_only=True)
class PairedRun:
    """The latencies of two model files that took turns.

    Attributes:
        old, new: for each round, the latencies in ms: (turns, queries of a turn).
        old_sha256, new_sha256: SHA-256 of the model files.
    """

    old: Sequence[Samples]
    new: Sequence[Samples]
    old_sha256: str
    new_sha256: str

    def save(self, path: Path) -> None:
        """Writes the raw samples as an ``.npz``."""
        arrays = {
            f"{side}_{number}": samples
            for side, rounds in (("old", self.old), ("new", self.new))
            for number, samples in enumerate(rounds)
        }
        hashes = {"old_sha256": np.array(self.old_sha256), "new_sha256": np.array(self.new_sha256)}
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays, **hashes)


@dataclass
class Turns:
    """The turns that one model has taken in a round.

    Attributes:
        run_queries: runs a number of queries, and returns the latency of each in ns.
        latencies: of each turn, the latencies in ns.
    """

    run_queries: Callable[[int], list[int]]
    latencies: list[list[int]] = field(default_factory=list)

    def take(self, count: int) -> None:
        """Takes a turn of ``count`` queries."""
        self.latencies.append(self.run_queries(count))

    def are_enough(self, timing: Timing) -> bool:
        """Returns whether the minimum number of turns and of queries is reached."""
        queries = sum(map(len, self.latencies))
        return len(self.latencies) >= MINIMUM_TURNS and queries >= timing.minimum_queries

    @property
    def seconds(self) -> float:
        """The time of all queries together."""
        return sum(map(sum, self.latencies)) / 1e9

    @property
    def samples(self) -> Samples:
        """The latencies in ms: float64 (turns, queries of a turn)."""
        return np.array(self.latencies) / 1e6


def measure_in_turns(
    old: Specification, new: Specification, *, hashes: tuple[str, str], rounds: int, name: str, progress: Progress
) -> PairedRun:
    """Measures two model files alternately.

    Args:
        old, new: the model files, with the durations of a round of each.
        hashes: their SHA-256.
        rounds: how many pairs of fresh processes to start.
        name: of the pair, in messages.
        progress: shows the rounds.

    Raises:
        MeasurementError: one of the processes failed.
    """
    olds: list[Samples] = []
    news: list[Samples] = []
    with progress.step(f"Paired run {name}", rounds, "rounds") as step:
        for number in range(rounds):
            step.begin("both files alternately", 2 * old.timing.least_seconds)
            first, second = _measure_round(old, new, name, new_begins=number % 2 == 1)
            olds.append(first)
            news.append(second)
            step.advance(1)
    return PairedRun(old=olds, new=news, old_sha256=hashes[0], new_sha256=hashes[1])


def _measure_round(old: Specification, new: Specification, name: str, *, new_begins: bool) -> tuple[Samples, Samples]:
    with _start_workers((old, f"{name} (earlier file)"), (new, name), reverse=new_begins) as (first, second):
        order = (second, first) if new_begins else (first, second)
        alternate(*order, timing=old.timing, settling=settling_seconds(old.target))
        return first.samples, second.samples


def settling_seconds(target: str) -> float:
    """Returns how long to wait between turns.

    A runtime's threads spin for a while after its last query, on cores that the other model needs; a single thread
    does not.
    """
    return 0.0 if Target.parse(target).threads == 1 else SETTLING_SECONDS


def alternate(first: Turns, second: Turns, *, timing: Timing, settling: float) -> None:
    """Lets two models take turns until both have enough; who begins changes from pair to pair.

    Both run equally many queries, and the slower model's time counts towards the minimum duration.

    Args:
        first, second: the models; the first begins.
        timing: minimum number and duration of the queries.
        settling: seconds to wait before each turn.
    """
    order = [first, second]
    # Trial turns come first: a model that is slow to load does not disturb the other's timed queries.
    fastest = min(min(turns.run_queries(TRIAL_QUERIES)) for turns in order)
    count = queries_per_turn(fastest)
    while not _are_done(order, timing):
        for turns in order:
            time.sleep(settling)
            turns.take(count)
        order.reverse()


def queries_per_turn(fastest: int) -> int:
    """Returns how many queries make a turn, where the fastest query took so many ns."""
    return max(1, round(TURN_SECONDS * 1e9 / max(fastest, 1)))


def _are_done(both: Sequence[Turns], timing: Timing) -> bool:
    enough = all(turns.are_enough(timing) for turns in both)
    return enough and max(turns.seconds for turns in both) >= timing.minimum_seconds


@contextmanager
def _start_workers(*models: tuple[Specification, str], reverse: bool) -> Iterator[tuple[Turns, Turns]]:
    """Starts a process for each model, the one that begins first, and loads the models."""
    command = python_module("tledge.bench.measure.paired_worker")
    with ExitStack() as stack:
        order = models[::-1] if reverse else models
        workers = {name: stack.enter_context(Worker(command, name=name, timeout=TURN_TIMEOUT)) for _, name in order}
        for specification, name in order:
            workers[name].ask(specification.to_dict())
        first, second = (Turns(workers[name].ask) for _, name in models)
        yield first, second
