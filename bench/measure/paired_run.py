"""Two model files against each other: in each round a fresh process of each, and they answer in turns.

A turn takes some 20 ms. Whatever slows the machine for longer than that slows both, and drops out of the ratio of two
turns, one after the other.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from types import TracebackType

import numpy as np
import numpy.typing as npt

from tledge.bench.measure.conditions import SETTLING
from tledge.bench.measure.endings import describe_end
from tledge.bench.results.cell_result import Specification
from tledge.core.atomic import replacing
from tledge.core.child import python_module, quiet_environment
from tledge.core.errors import MeasurementError
from tledge.core.progress import Progress
from tledge.edge_runtime.target import Target

Samples = npt.NDArray[np.float64]

TURN_SECONDS = 0.02
ANSWER_TIMEOUT = 3600.0
"""Seconds after which a turn is taken for stuck."""

LEAST_TURNS = 10
"""Of each side in a round, however short it is to be."""

FIRST_TURN = 3
"""Queries of the turns from which is told how many make one."""


@dataclass(frozen=True, kw_only=True)
class PairedRun:
    """What both sides measured.

    Attributes:
        old, new: of each round, the latencies in ms: (turns, queries of a turn).
        old_sha256, new_sha256: of the model files.
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


class _Side:
    """The process of one side, from its first answers on.

    Args:
        specification: the model file, its target and its warm-up.
        name: what errors call it.
        folder: an empty one.
    """

    def __init__(self, specification: Specification, name: str, folder: Path) -> None:
        self.name = name
        self.turns: list[list[int]] = []
        self.queries = 0
        self.nanoseconds = 0
        told = folder / "side.json"
        specification.save(told)
        self._errors = (folder / "errors.txt").open("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            python_module("tledge.bench.measure.paired_worker", told),
            env=quiet_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )

    def take_turn(self, count: int) -> None:
        """Has it answer queries that count."""
        turn = self.answer(count)
        self.turns.append(turn)
        self.queries += len(turn)
        self.nanoseconds += sum(turn)

    def answer(self, count: int) -> list[int]:
        """Has it answer queries; their latencies in ns. Raises MeasurementError where it ended, or hangs."""
        if self._process.stdin is None or self._process.stdout is None:
            raise MeasurementError(f"{self.name} has no pipes")
        watchdog = Timer(ANSWER_TIMEOUT, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            self._errors.seek(0)
            raise MeasurementError(f"{self.name} {describe_end(self._process.wait(), self._errors.read())}")
        found: list[int] = json.loads(line)
        return found

    def __enter__(self) -> _Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def measure_in_turns(
    old: Specification, new: Specification, *, hashes: tuple[str, str], rounds: int, name: str, progress: Progress
) -> PairedRun:
    """Measures both in turns.

    Args:
        old, new: the model files, with the durations of a round of each.
        hashes: their SHA-256.
        rounds: in how many pairs of fresh processes.
        name: what errors call them.
        progress: is told of each round.

    Raises:
        MeasurementError: a process of one of them ended in an error.
    """
    olds: list[Samples] = []
    news: list[Samples] = []
    with progress.step(f"Duel {name}", rounds, "rounds") as step:
        for number in range(rounds):
            first, second = _fight_round(old, new, name, new_begins=number % 2 == 1)
            olds.append(first)
            news.append(second)
            step.advance(1)
    return PairedRun(old=olds, new=news, old_sha256=hashes[0], new_sha256=hashes[1])


def _fight_round(old: Specification, new: Specification, name: str, *, new_begins: bool) -> tuple[Samples, Samples]:
    # Threads of a runtime go on spinning after its last query, on the cores that are the other side's now.
    settling = 0.0 if Target.parse(old.target).threads == 1 else SETTLING
    with _sides((old, f"{name}, of before"), (new, name), reverse=new_begins) as (first, second):
        order = [second, first] if new_begins else [first, second]
        # Each has its first turn alone: the one that is slow to load does not meet the other's queries.
        fastest = min(min(side.answer(FIRST_TURN)) for side in order)
        count = max(1, round(TURN_SECONDS * 1e9 / max(fastest, 1)))
        while not _are_done(order, old):
            for side in order:
                time.sleep(settling)
                side.take_turn(count)
            order.reverse()
        return np.array(first.turns) / 1e6, np.array(second.turns) / 1e6


def _are_done(sides: Sequence[_Side], told: Specification) -> bool:
    """Whether both have answered enough; they answer equally often, and the slower one's time counts."""
    enough = all(len(side.turns) >= LEAST_TURNS and side.queries >= told.timing.minimum_queries for side in sides)
    return enough and max(side.nanoseconds for side in sides) >= told.timing.minimum_seconds * 1e9


@contextmanager
def _sides(*told: tuple[Specification, str], reverse: bool) -> Iterator[tuple[_Side, _Side]]:
    """Both processes; the one that begins is started first."""
    with ExitStack() as stack:
        sides: dict[str, _Side] = {}
        for specification, name in reversed(told) if reverse else told:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            sides[name] = stack.enter_context(_Side(specification, name, folder))
        first, second = (sides[name] for _, name in told)
        yield first, second
