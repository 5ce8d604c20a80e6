"""Where a benchmark's cells run: on this machine, or on what ``--on`` names.

Every kind of place is a file in ``bench/places/kinds``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
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
    """A machine that measures cells; in a ``with`` block it is reached, and left as it was found.

    Attributes:
        name: as users type it after ``--on``; empty for this machine.
        times: whether what it takes there says anything of what runs the artifacts.
        busy: whether this machine computes meanwhile.
    """

    name: str = ""
    times: bool = True
    busy: bool = True

    @property
    def here(self) -> bool:
        """Whether it is this machine."""
        return not self.name

    def folder(self, folder: Path) -> Path:
        """Where its results go, where those of this machine go to ``folder``."""
        return folder if self.here else folder.with_name(f"{folder.name}-{re.sub(r'[^A-Za-z0-9.@]+', '-', self.name)}")

    @abstractmethod
    def plan(
        self, models: Sequence[Model], wanted: Sequence[str], progress: Progress
    ) -> tuple[list[Cell], list[Skipped]]:
        """Pairs models with targets of the place that take them.

        Args:
            models: model files.
            wanted: targets that a person asked for, as typed; those of the place where there are none.
            progress: is told what happens.

        Raises:
            TledgeError: a target that is none or that takes none of the models, or the place cannot be used.
        """

    @abstractmethod
    def measure(
        self, subject: Workload, cells: Sequence[Cell], *, count: int, timing: Timing, progress: Progress
    ) -> RoundsResult:
        """Measures the cells that :meth:`plan_cells` made.

        Args:
            subject: what is benchmarked.
            cells: which artifact on which target.
            count: rounds a cell.
            timing: how each round is timed.
            progress: is told what happens.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - a place that is always there has nothing to do
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class ThisMachine(Place):
    """The machine that the benchmark was started on."""

    def plan(
        self, models: Sequence[Model], wanted: Sequence[str], progress: Progress
    ) -> tuple[list[Cell], list[Skipped]]:
        return plan_cells(models, wanted)

    def measure(
        self, subject: Workload, cells: Sequence[Cell], *, count: int, timing: Timing, progress: Progress
    ) -> RoundsResult:
        return Rounds(subject, cells, count=count, timing=timing, progress=progress).run()


class PlaceKind(ABC):
    """A kind of place that ``--on`` takes.

    Attributes:
        example: as users type it ("emulated:pi5").
    """

    example: str

    @abstractmethod
    def find(self, name: str, ssh_config: Path | None) -> Place:
        """The place of that name; reaches for nothing yet.

        Args:
            name: what stands behind the kind ("pi5").
            ssh_config: a configuration of OpenSSH's instead of the user's own.

        Raises:
            OptionError, UnknownNameError: no place has that name.
        """


PLACES = Registry[PlaceKind]("tledge.bench.places.kinds", "place", "PLACE", PlaceKind)


def find_place(on: str | None, ssh_config: Path | None = None) -> Place:
    """The place that ``--on`` names; this machine without one.

    Raises:
        OptionError: the text has another form.
        UnknownNameError: no kind of place, or no board, is called so.
    """
    kind, colon, name = (on or "").partition(":")
    if ssh_config is not None and kind != "ssh":
        raise OptionError(f"--ssh-config '{ssh_config}' goes with --on ssh:USER@HOST; leave it out")
    if on is None:
        return ThisMachine()
    found = PLACES.load(kind)
    if not colon or not name:
        raise OptionError(f"--on takes {found.example}; received '{on}'")
    return found.find(name, ssh_config)
