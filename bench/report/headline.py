"""The top of a report: a title that names what was measured, the main figures, and the machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tledge.bench.results.columns import Column, top1_heading
from tledge.bench.results.rows import Row
from tledge.bench.results.stored_results import StoredResults
from tledge.core.environment import Environment
from tledge.core.metric_catalogue import METRICS
from tledge.core.number_text import counted, cpu_name, flag_text, listed

MAIN_FIGURES: Mapping[str, tuple[str, str]] = {
    "latency_p50": ("Lowest latency (p50)", "Latency (p50)"),
    "top1": ("Highest {}", "{}"),
    "file_size": ("Smallest file", "File size"),
    "peak_memory": ("Lowest memory", "Memory"),
}
"""The metrics that a reader looks for first: a heading for the best of several values, and one for a single value.
``{}`` stands for what the column of top-1 is called."""

TIMED = ("latency_p50",)
"""Metrics that flags may make doubtful, or not comparable."""


@dataclass(frozen=True, kw_only=True)
class MainFigure:
    """The best value of a metric.

    Attributes:
        heading: names the metric.
        value: with its unit, as text.
        detail: its interval and flags; may be empty.
        holders: the files that have it, with their targets.
    """

    heading: str
    value: str
    detail: str
    holders: str


@dataclass(frozen=True, kw_only=True)
class MachineBlock:
    """A machine that measured one cell or more.

    Attributes:
        machine: its facts.
        packages: of all processes that measured on it, each with one version.
        records: the ids of its records.
    """

    machine: Environment
    packages: Mapping[str, str]
    records: tuple[str, ...]


def headline(data: StoredResults) -> str:
    """Returns what was measured: "MobileNetV2 on cats_vs_dogs: 9 files on Intel Xeon"."""
    settings = data.known_settings
    machines = machine_names(data)
    where = f" on {machines}" if machines else ""
    if not settings.run:
        return f"{data.title}{where}"
    count = sum(not name.endswith(".keras") for name in settings.artifacts) or len(settings.artifacts)
    measured = f"{counted(count, 'files')}{where}"
    return f"{data.title}: {measured}" if data.title else measured


def machine_names(data: StoredResults) -> str:
    """Returns the processors or boards that measured, without hosts: "Raspberry Pi 5 Model B Rev 1.0"."""
    settings = data.known_settings
    names = list(dict.fromkeys(cpu_name(machine.cpu) for machine in data.environments.values()))
    emulated = " (emulated)" if names and settings.on and not settings.rounds else ""
    return f"{listed(names)}{emulated}"


def main_figures(data: StoredResults) -> list[MainFigure]:
    """Returns the best value of each main metric that was measured, over the files that can be deployed."""
    rows = [row for row in data.rows if not row.target.startswith("keras")] or list(data.rows)
    found = []
    for name in MAIN_FIGURES:
        column = Column(name, METRICS[name])
        known = [row for row in rows if column.value(row) is not None]
        if name in TIMED:  # a doubtful row is best only where all are doubtful
            known = [row for row in known if row.timely] or known
        best = [row for row in known if column.is_best(row, known)]
        if name in TIMED and known and not any(row.timely for row in known):
            found.append(_incomparable(column, known))
        elif known:
            found.append(_figure(column, best or known, only=not best))
    return found


def machine_blocks(data: StoredResults) -> list[MachineBlock]:
    """Returns each machine once for each set of versions; processes that load other packages have own records."""
    blocks: list[MachineBlock] = []
    for record, machine in data.environments.items():
        for index, block in enumerate(blocks):
            same = replace(machine, packages=block.machine.packages) == block.machine
            if same and all(block.packages.get(name, version) == version for name, version in machine.packages.items()):
                packages = {**block.packages, **machine.packages}
                blocks[index] = replace(block, packages=packages, records=(*block.records, record))
                break
        else:
            blocks.append(MachineBlock(machine=machine, packages=machine.packages, records=(record,)))
    return blocks


def _incomparable(column: Column, rows: Sequence[Row]) -> MainFigure:
    """Returns the figure of rows that are all flagged, so that none of them is the best."""
    numbers = sorted(column.value(row) or 0.0 for row in rows)
    flags = listed(sorted({flag_text(flag) for row in rows for flag in row.flags}))
    texts = dict.fromkeys(map(column.text, (numbers[0], numbers[-1])))
    alone = len(rows) == 1
    return MainFigure(
        heading=MAIN_FIGURES[column.name][1] + ", not comparable" * (not alone),
        value=f"{'–'.join(texts)} {column.unit}",
        detail=f"⚠ {flags}",
        holders=rows[0].name if alone else f"all {len(rows)} results",
    )


def _figure(column: Column, rows: Sequence[Row], *, only: bool) -> MainFigure:
    """Returns the figure of the rows that share the best value; ``only``: no row has another value."""
    _, text, detail, _ = column.cell(rows[0], rows)
    alone = len(rows) == 1
    notes = [line for line in detail.split("\n") if line] if alone or column.metric.interval else []
    notes += [f"⚠ {flag_text(flag)}" for flag in rows[0].flags] if alone and column.name in TIMED else []
    names = [rows[0].name] if alone and column.name != "file_size" else list(dict.fromkeys(r.artifact for r in rows))
    top1, heading = top1_heading(rows), MAIN_FIGURES[column.name][1 if only else 0]
    return MainFigure(
        heading=heading.format(top1 if only else top1[0].lower() + top1[1:]),
        value=f"{text} {column.unit}".strip(),
        detail=" · ".join(notes),
        holders=f"all {len(rows)} results" if only and not alone else listed(names, 2),
    )
