"""``report.html``: one file that opens from disk and loads nothing from the network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tledge.bench.report import report_figures
from tledge.bench.report.agreement import agreements
from tledge.bench.report.attack_sections import attack_details, attacked_curves, attacked_tables, photo_triples
from tledge.bench.report.board_health import board_models, board_rows
from tledge.bench.report.conclusions import conclude
from tledge.bench.report.corruption_sections import corrupted_curves, corrupted_table
from tledge.bench.report.headline import headline, machine_blocks
from tledge.bench.report.recommendation_card import recommendation_card
from tledge.bench.results.columns import BEST_NOTE, REPORT_COLUMNS, shown_columns
from tledge.bench.results.flags import MEANINGS
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.stored_results import StoredResults
from tledge.bench.robustness.attack_examples import RobustnessRecord
from tledge.core import atomic
from tledge.core.extras import require
from tledge.core.html_text import shown_value
from tledge.core.number_text import ABSENT, duration_text, flag_text, range_text
from tledge.core.sizes import size_text


def write_html(data: StoredResults, path: Path) -> None:
    """Writes the report as a page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    require("jinja2", extra="bench", purpose="report.html")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tledge.bench.report", "."),
        autoescape=True,
        finalize=shown_value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    atomic.write_text(path, environment.get_template("report.html").render(_context(data)))


def _context(data: StoredResults) -> dict[str, Any]:
    """Returns the variables of the template."""
    scatter, front = report_figures.accuracy_and_latency(data)
    corrupted_artifacts, corrupted_rows = corrupted_table(data)
    columns = shown_columns(REPORT_COLUMNS, data.rows)
    flags = sorted({flag for row in data.rows for flag in row.flags})
    styles = files("tledge.bench.report")
    return {
        "css": styles.joinpath("report.css").read_text(encoding="utf-8"),
        "script": styles.joinpath("report.js").read_text(encoding="utf-8"),
        "data": data,
        "headline": headline(data),
        "card": recommendation_card(data, data.recommendation),
        "best_note": BEST_NOTE,
        "machines": machine_blocks(data),
        "cores": dict.fromkeys(f"{m.usable_cores} of {m.cores} cores" for m in data.environments.values()),
        "settings": data.known_settings,
        "began": data.known_settings.began[:16].replace("T", " "),
        "conclusions": conclude(data),
        "columns": columns,
        "table": [(row, [column.cell(row) for column in columns]) for row in data.rows],
        "flags": [(flag, flag_text(flag), MEANINGS.get(flag, "")) for flag in flags],
        "meanings": MEANINGS,
        "flag_text": flag_text,
        "size_text": size_text,
        "markers": report_figures.target_markers(data),
        "scatter": scatter,
        "front": front,
        "latencies": report_figures.latency_distributions(data),
        "costs": report_figures.costs(data),
        "throughput": report_figures.throughput(data),
        "confusions": report_figures.confusions(data),
        "agreements": agreements(data),
        "attacked": attacked_curves(data),
        "attacked_tables": attacked_tables(data),
        "attack_details": attack_details(data),
        "triples": photo_triples(data),
        "masking": RobustnessRecord.load(data.folder.robustness).flags,
        "corrupted": corrupted_curves(data),
        "corrupted_artifacts": corrupted_artifacts,
        "corrupted_rows": corrupted_rows,
        "conditions": [
            (*cell, *_conditions(result.conditions)) for cell, result in data.raw_samples.items() if result.conditions
        ],
        "boards": board_models(data),
        "board_rows": board_rows(data),
    }


def _conditions(rounds: Sequence[Conditions]) -> tuple[str, ...]:
    """Returns the machine during all rounds of a cell, as the columns of a table."""
    throttled = [item.throttled for item in rounds if item.throttled is not None]
    columns = (
        range_text([None if item.load is None else 100 * item.load for item in rounds], "%", digits=1),
        range_text([None if item.steal is None else 100 * item.steal for item in rounds], "%", digits=1),
        range_text([item.mhz for item in rounds], " MHz"),
        ", ".join(dict.fromkeys(item.governor for item in rounds if item.governor)),
        range_text([item.temperature for item in rounds], " °C"),
        f"{sum(throttled)} of {len(throttled)}" if throttled else "",
    )
    return (
        *(column or ABSENT for column in columns),
        " · ".join(duration_text(item.reference_time) for item in rounds),
    )
