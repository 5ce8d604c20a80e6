"""The accuracy of all files on the same photos, whatever machine classified them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tledge.bench.leaderboard.benchmark_names import names_of, run_name, shortest_names
from tledge.bench.leaderboard.machine_board import LESS_ACCURATE, Entry, MachineBoard
from tledge.bench.results.shipping_criteria import most_accurate
from tledge.bench.results.standings import Evidence
from tledge.core.significance import Interval

BEST, WORSE, UNJUDGED = "best", "less_accurate", "not_compared"

VERDICT_TEXTS: Mapping[str, str] = {WORSE: LESS_ACCURATE, UNJUDGED: "not compared: no raw samples"}
"""What tables write of a verdict; the best have the mark of the best instead."""


@dataclass(frozen=True, kw_only=True)
class AccuracyRow:
    """A file's top-1 on the photos of a leaderboard.

    Attributes:
        label: the model, its run or its benchmark: the shortest that sets files apart.
        artifact: the file's name.
        machines: where it classified the photos, with the same result.
        top1: the fraction classified correctly.
        interval: 95%.
        verdict: BEST (or not significantly worse), WORSE, or UNJUDGED without raw samples; empty if no difference to
            the best is significant.
    """

    label: str
    artifact: str
    machines: tuple[str, ...]
    top1: float
    interval: Interval | None
    verdict: str

    @property
    def best(self) -> bool:
        """Whether tables mark the row as the best or not significantly worse."""
        return self.verdict == BEST

    @property
    def verdict_text(self) -> str:
        """What tables write of the verdict; empty if there is nothing to say but the mark of the best."""
        return VERDICT_TEXTS.get(self.verdict, "")

    def to_dict(self) -> dict[str, Any]:
        """Returns the row as a dictionary that JSON can hold."""
        return {**vars(self), "verdict": self.verdict or None}


def accuracy_rows(machines: Sequence[MachineBoard]) -> tuple[AccuracyRow, ...]:
    """Returns each file once for each result on the photos, the best first.

    McNemar's test compares each with the best, with Holm's correction.

    Args:
        machines: boards of the same photos.
    """
    found = [_Classified(number, board, entry) for number, board in enumerate(machines) for entry in board.entries]
    known = [item for item in found if item.row.value("top1") is not None]
    if not known:
        return ()
    samples = {(item.row.artifact, item.row.target): raw for item in known if (raw := item.raw) is not None}
    evidence = Evidence(samples, machines[0].results.evidence.labels)
    rows = [item.row for item in known]
    best = most_accurate(rows, evidence)
    worse = set() if best is None else {row.name for row in evidence.less_accurate(rows, best)}
    same: dict[tuple[str, float, bytes], list[_Classified]] = {}
    for item in sorted(known, key=lambda item: -item.top1):
        hits = evidence.hits(item.row)
        key = (item.sha256, item.top1, b"" if hits is None else hits.tobytes())
        same.setdefault(key, []).append(item)
    return tuple(
        AccuracyRow(
            label=label,
            artifact=items[0].entry.artifact,
            machines=_machines(items),
            top1=items[0].top1,
            interval=items[0].row.interval("top1"),
            verdict=_verdict(items[0].row.name, worse, judged=bool(hits)),
        )
        for ((_, _, hits), items), label in zip(same.items(), _labels(list(same.values())), strict=True)
    )


def _machines(items: Sequence[_Classified]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.board.title for item in items))


def _labels(rows: Sequence[Sequence[_Classified]]) -> list[str]:
    """Returns the shortest names of models that set the rows apart; each row is of one file with one result."""
    return shortest_names([items[0].names for items in rows], partial(_sets_apart, rows))


def _sets_apart(rows: Sequence[Sequence[_Classified]], names: Sequence[str]) -> bool:
    """Whether different files have different names, and rows of the same file different machines."""
    files: dict[tuple[str, str], set[str]] = {}
    places: set[tuple[str, str, tuple[str, ...]]] = set()
    for name, items in zip(names, rows, strict=True):
        artifact = items[0].entry.artifact
        files.setdefault((name, artifact), set()).add(items[0].sha256)
        places.add((name, artifact, _machines(items)))
    return len(places) == len(rows) and all(len(found) == 1 for found in files.values())


def _verdict(name: str, worse: Collection[str], *, judged: bool) -> str:
    if not judged:
        return UNJUDGED
    if not worse:
        return ""
    return WORSE if name in worse else BEST


class _Classified:
    """An entry of one of several machines, whose row has a name of its own among all of them."""

    def __init__(self, number: int, board: MachineBoard, entry: Entry) -> None:
        self.board = board
        self.entry = entry
        self.row = replace(entry.row, artifact=f"{entry.row.artifact} {number}")
        self.raw = board.results.raw_samples.get((entry.row.artifact, entry.row.target))

    @property
    def top1(self) -> float:
        """The fraction classified correctly; 0 if it was not measured."""
        return self.row.value("top1") or 0.0

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file."""
        return self.row.measured["top1"].artifact_sha256

    @property
    def names(self) -> tuple[str, ...]:
        """What the model can be called, the shortest name first; the last one tells targets apart, too."""
        benchmark = self.entry.benchmark
        title = self.entry.model.title or run_name(benchmark)
        return *names_of(benchmark, title), f"{benchmark.path}, {self.entry.row.target}"
