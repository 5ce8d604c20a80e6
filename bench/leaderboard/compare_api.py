"""``compare()``: one leaderboard over benchmarks of several runs, backbones and machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.bench.leaderboard.benchmark_search import find_benchmarks
from tledge.bench.leaderboard.compare_options import CompareOptions
from tledge.bench.leaderboard.leaderboard import Leaderboard, make_leaderboard
from tledge.bench.leaderboard.leaderboard_files import check_ours, write_leaderboard
from tledge.bench.results.budget import parse_budget
from tledge.core.html_text import html_text
from tledge.core.options import as_tuple, takes
from tledge.core.progress import progress_or_default


@dataclass(frozen=True, kw_only=True)
class CompareRecord:
    """What a comparison of benchmarks wrote.

    Attributes:
        leaderboard: the results by photos and machine, with a recommendation for each machine.
        sort: the order of the rows.
        files: what was written: ``leaderboard.html`` first if Jinja2 is installed, ``leaderboard.md``, and
            ``leaderboard.csv`` with ``csv``.
    """

    leaderboard: Leaderboard
    sort: str
    files: tuple[Path, ...]

    @property
    def page(self) -> Path:
        """``leaderboard.html``, or ``leaderboard.md`` without Jinja2."""
        return self.files[0]

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as a dictionary that JSON can hold."""
        return {"page": self.page, "files": self.files, "sort": self.sort, **self.leaderboard.to_dict()}

    def _repr_html_(self) -> str:
        """The recommendations and the place of the page, as Jupyter shows them."""
        cards = "".join(
            f"<p>{html_text(board.title)}: <strong>{html_text(board.card.title)}</strong></p>"
            for board in self.leaderboard.machines
        )
        return f"<p>{html_text(self.leaderboard.title)}</p>{cards}<p>Page: {html_text(str(self.page))}</p>"


@takes(CompareOptions)
def compare(options: CompareOptions) -> CompareRecord:
    """Compares benchmarks of several runs, backbones and machines, and writes one leaderboard.

    Accuracy is compared on the same photos, and times on the same machine. Everything else has a table of its own.

    Returns:
        The leaderboard, and the files that were written.

    Raises:
        UnknownNameError: an unknown order, or an unknown metric in ``budget``.
        OptionError: a limit of ``budget`` has the wrong form or direction, or ``output`` is a file, or holds files of
            these names that ``compare()`` did not write.
        MeasurementError: a path does not exist or contains no benchmark, or results cannot be read.
    """
    progress = progress_or_default(options.progress)
    budget = parse_budget(as_tuple(options.budget))
    folder = Path(options.output)
    check_ours(folder, csv=options.csv)
    paths = [Path(path) for path in as_tuple(options.benchmarks)]
    found = find_benchmarks(paths, Path(options.runs), earlier=options.earlier, progress=progress)
    leaderboard = make_leaderboard(found, sort=options.sort, budget=budget)
    files = write_leaderboard(leaderboard, folder, csv=options.csv, progress=progress)
    return CompareRecord(leaderboard=leaderboard, sort=options.sort, files=files)
