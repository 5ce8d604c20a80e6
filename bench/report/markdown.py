"""``report.md``: the conclusions and the table, for a pull request on GitHub."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import quote

from tledge.bench.report.board_health import board_models, board_rows
from tledge.bench.report.conclusions import conclude
from tledge.bench.report.headline import headline, machine_names
from tledge.bench.report.recommendation_card import recommendation_card
from tledge.bench.results.columns import BEST_NOTE, REPORT_COLUMNS, Column, shown_columns
from tledge.bench.results.flags import MEANINGS
from tledge.bench.results.rows import Row
from tledge.bench.results.stored_results import StoredResults
from tledge.core import atomic
from tledge.core.card_section import replace_section
from tledge.core.markdown_text import Markdown, bullets, heading, plain_text, table_row
from tledge.core.number_text import counted, flag_text
from tledge.core.run_directory import RunDirectory


def write_markdown(data: StoredResults, path: Path) -> None:
    """Writes the report in GitHub's Markdown."""
    atomic.write_text(path, markdown(data))


def markdown(data: StoredResults) -> str:
    """Returns the report in GitHub's Markdown."""
    parts = [
        heading(headline(data), 1),
        f"Measured on {plain_text(data.known_settings.on)}." if data.known_settings.on else "",
        _figures(data),
        _skipped(data),
        _machines(data),
        _board(data),
        "To repeat it, run this in the folder of this file, on the same machine: `tledge bench --repeat results.jsonl`",
        _footnotes(data),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_card_section(data: StoredResults, run: RunDirectory, folder: Path) -> None:
    """Writes the main figures into the model card of a run; those of another machine get a section of their own.

    Args:
        folder: of the results, in the run directory.

    Raises:
        OSError, UnicodeError: as of ``replace_section``.
    """
    report = f"{folder.name}/report.md"
    key, title, link = "Benchmark", "Benchmark", f"Full report: [{plain_text(report)}]({quote(report)})"
    if on := data.known_settings.on:
        # Cards are published: users and hosts stay out, also of folder names, and the digest is too short to find them.
        key, link = f"Benchmark {hashlib.sha256(on.encode()).hexdigest()[:4]}", ""
        title = f"Benchmark on {machine_names(data) or 'another machine'}"
    parts = [_figures(data), _machines(data), link, _footnotes(data)]
    replace_section(run.model_card, key, title, "\n\n".join(part for part in parts if part))


def _figures(data: StoredResults) -> str:
    parts = [
        _card(data),
        bullets(conclude(data)),
        _table(data),
        f"\\* {BEST_NOTE}" + (" · agrees: with the Keras model" if data.reference is not None else ""),
    ]
    return "\n\n".join(part for part in parts if part)


def _card(data: StoredResults) -> str:
    """Returns the recommendation: its title, its figures in one line, and the reasons."""
    card = recommendation_card(data, data.recommendation)
    figures = [f"{item.heading}: {item.value}{f' ({item.detail})' if item.detail else ''}" for item in card.figures]
    lines = [f"**{plain_text(card.title)}**", plain_text(" · ".join(figures))]
    lines += [plain_text(sentence) for sentence in (*card.why, card.rule)]
    return "\n\n".join(line for line in lines if line)


def _footnotes(data: StoredResults) -> str:
    flags = sorted({flag for row in data.rows for flag in row.flags})
    lines = [f"{_mark(flag)}: {plain_text(flag_text(flag))}: {MEANINGS.get(flag, 'flagged')}." for flag in flags]
    return "\n".join(lines)


def _mark(flag: str) -> str:
    """Returns the sign of a footnote."""
    return f"[^{re.sub(r'[^a-zA-Z0-9_-]', '-', flag)}]"


def _table(data: StoredResults) -> str:
    columns = [column for column in shown_columns(REPORT_COLUMNS, data.rows) if column.metric.brief]
    headings = ["Artifact", "Target", *(f"{column.metric.heading} {column.unit}".strip() for column in columns)]
    lines = [table_row(headings), "|---|---|" + "---:|" * len(columns)]
    for row in data.rows:
        artifact = Markdown(plain_text(row.artifact) + "".join(map(_mark, row.flags)))
        lines.append(table_row([artifact, row.target, *(_cell(column, row) for column in columns)]))
    return "\n".join(lines)


def _cell(column: Column, row: Row) -> Markdown:
    _, text, detail, best = column.cell(row)
    number = f"**{plain_text(text)}**\\*" if best else plain_text(text)
    return Markdown(f"{number} ({plain_text(detail)})" if detail else number)


def _skipped(data: StoredResults) -> str:
    skipped = data.known_settings.skipped
    if not skipped:
        return ""
    lines = [
        f"{item.artifact}{f' on {item.target}' if item.target else ''}{' failed' if item.failed else ''}: {item.reason}"
        for item in skipped
    ]
    return f"Not measured:\n\n{bullets(lines)}"


def _machines(data: StoredResults) -> str:
    settings = data.known_settings
    machines = [
        f"{machine.cpu}, {machine.usable_cores} of {machine.cores} cores, {machine.os}"
        for machine in data.environments.values()
    ]
    photos = f", {counted(settings.images, 'photos')}" if settings.images else ""
    rounds = f", rigor {settings.rigor}, {counted(settings.rounds, 'rounds')} per cell"
    how = f"{settings.began[:16].replace('T', ' ')}{rounds * bool(settings.rounds)}{photos}"
    return plain_text(" · ".join([*dict.fromkeys(machines), how, f"tledge {settings.version}"]))


def _board(data: StoredResults) -> str:
    """Returns the board's health during each cell; empty on a workstation."""
    rows = board_rows(data)
    if not rows:
        return ""
    name = ", ".join(board_models(data))
    headings = ["Artifact", "Target", "Temperature", "Clock", "Power", "Throttled", "Throttled since boot"]
    lines = [table_row(headings), "|---|---|---:|---:|---:|---|---|"]
    lines += [
        table_row((row.artifact, row.target, row.temperature, row.clock, row.power, row.throttled, row.since_boot))
        for row in rows
    ]
    return f"Board health{f' ({plain_text(name)})' if name else ''}:\n\n" + "\n".join(lines)
