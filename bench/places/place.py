"""Where a benchmark's cells run: on this machine, or at the place that ``bench(on=...)`` names.

Each kind of place is a file in ``bench/places/kinds``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tledge.bench.measure.rounds import Rounds, RoundsResult
from tledge.bench.results.cell_result import Timing
from tledge.bench.results.cells import Cell, plan_cells
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Model, Workload
from tledge.core.errors import OptionError
from tledge.core.progress import Progress
from tledge.core.registry import Registry


class Place(ABC):
    """A machine that measures cells; use it in a ``with`` block, which cleans up there at the end.

    Attributes:
        name: the value of ``bench(on=...)`` ("ssh:pi@board"); empty for this machine.
        times: whether latencies measured there are meaningful.
        busy: whether this machine computes during the benchmark.
    """

    name: str = ""
    times: bool = True
    busy: bool = True

    @property
    def here(self) -> bool:
        """Whether this is the local machine."""
        return not self.name

    def folder(self, folder: Path) -> Path:
        """Returns the folder for its results, given the folder for results of this machine."""
        return folder if self.here else folder.with_name(f"{folder.name}-{re.sub(r'[^A-Za-z0-9.@]+', '-', self.name)}")

    @abstractmethod
    def plan(
        self, models: Sequence[Model], wanted: Sequence[str], progress: Progress
    ) -> tuple[list[Cell], list[Skipped]]:
        """Pairs models with the targets of the place that can run them; all of its targets if none are wanted.

        Raises:
            TledgeError: a target is unknown or runs none of the models, or the place cannot be used.
        """

    @abstractmethod
    def measure(
        self, workload: Workload, cells: Sequence[Cell], *, count: int, timing: Timing, progress: Progress
    ) -> RoundsResult:
        """Measures the cells that :meth:`plan` returned, ``count`` rounds each."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:  # noqa: B027 - nothing to clean up here
        pass


class ThisMachine(Place):
    """The machine that the benchmark was started on."""

    def plan(
        self, models: Sequence[Model], wanted: Sequence[str], progress: Progress
    ) -> tuple[list[Cell], list[Skipped]]:
        return plan_cells(models, wanted)

    def measure(
        self, workload: Workload, cells: Sequence[Cell], *, count: int, timing: Timing, progress: Progress
    ) -> RoundsResult:
        return Rounds(workload, cells, count=count, timing=timing, progress=progress).run()


@dataclass(frozen=True)
class PlaceKind:
    """A kind of place that ``bench(on=...)`` accepts.

    Attributes:
        example: a value of ``on`` ("emulated:pi5").
        find: returns the place of a name, the part of ``on`` after the kind ("pi5"), without connecting to it; takes an
            OpenSSH configuration file to use instead of the user's own. Raises OptionError or UnknownNameError if no
            place has that name.
    """

    example: str
    find: Callable[[str, Path | None], Place]


PLACES = Registry[PlaceKind]("tledge.bench.places.kinds", "place", "PLACE", PlaceKind)


def find_place(on: str | None, ssh_config: Path | None = None) -> Place:
    """Returns the place that ``bench(on=...)`` names; this machine for None.

    Raises:
        OptionError: ``on`` has the wrong form.
        UnknownNameError: no kind of place, or no board, has that name.
    """
    kind, colon, name = (on or "").partition(":")
    if ssh_config is not None and kind != "ssh":
        raise OptionError(f"`ssh_config='{ssh_config}'` is only used with `on='ssh:USER@HOST'`; leave it out")
    if on is None:
        return ThisMachine()
    found = PLACES.load(kind)
    if not colon or not name:
        raise OptionError(f"`on` must look like '{found.example}'; received '{on}'")
    return found.find(name, ssh_config)
