"""Measurements as a table for other programs: ``results.csv`` and ``results.parquet``.

The table has one row per measurement of any metric, so a new metric needs no new column.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tledge.bench.results.settings import Skipped
from tledge.core import atomic
from tledge.core.csv_text import csv_text, utf8_text
from tledge.core.errors import UnknownNameError
from tledge.core.extras import require
from tledge.core.measurement import Measurement

FIELDS: Mapping[str, type] = {
    "artifact": str,
    "artifact_sha256": str,
    "target": str,
    "scenario": str,
    "metric": str,
    "value": float,
    "unit": str,
    "n": int,
    "interval_low": float,
    "interval_high": float,
    "params": str,
    "flags": str,
    "environment": str,
    "reason": str,
}
"""The columns and their types; ``params`` is a JSON object, ``flags`` are words separated by spaces.

``reason`` says why something was not measured, in rows without a metric.
"""


def to_rows(measurements: Sequence[Measurement], skipped: Sequence[Skipped] = ()) -> list[dict[str, Any]]:
    """Returns the rows of the table, those that were not measured last; the ends of a missing interval are None."""
    rows = []
    for item in measurements:
        low, high = item.interval or (None, None)
        fields = {
            **item.to_dict(),
            "value": float(item.value),
            "interval_low": low,
            "interval_high": high,
            "params": json.dumps(dict(item.params), sort_keys=True, ensure_ascii=False),
            "flags": " ".join(item.flags),
            "reason": "",
        }
        rows.append({name: fields[name] for name in FIELDS})
    for left in skipped:
        empty: dict[str, Any] = {name: "" if kind is str else None for name, kind in FIELDS.items()}
        rows.append({**empty, "artifact": left.artifact, "target": left.target, "reason": left.reason})
    return rows


def to_csv(measurements: Sequence[Measurement], skipped: Sequence[Skipped] = ()) -> bytes:
    """Returns the table as :func:`csv_table` writes it."""
    return csv_table(list(FIELDS), to_rows(measurements, skipped))


def csv_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Returns rows as CSV (RFC 4180) with a header, in UTF-8; missing values are empty.

    Texts are as of :func:`tledge.core.csv_text.csv_text`, so that no spreadsheet takes one for a formula.

    Args:
        columns: the names of the columns, in order.
        rows: the values of every column, by its name.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: csv_text(value) if isinstance(value, str) else value for name, value in row.items()})
    return text.getvalue().encode()


def to_parquet(measurements: Sequence[Measurement], skipped: Sequence[Skipped] = ()) -> bytes:
    """Returns the table as an Apache Parquet file."""
    import pyarrow
    from pyarrow import parquet

    types = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in FIELDS.items()])
    buffer = io.BytesIO()
    rows = [
        {name: utf8_text(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in to_rows(measurements, skipped)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), buffer)
    return buffer.getvalue()


EXPORTS: Mapping[str, Callable[[Sequence[Measurement], Sequence[Skipped]], bytes]] = {
    "csv": to_csv,
    "parquet": to_parquet,
}
"""The formats of tables, by the name of the `export` parameter."""


def check_export(name: str) -> None:
    """Raises UnknownNameError or MissingExtraError if a format is unknown or cannot be written here."""
    if name not in EXPORTS:
        raise UnknownNameError("export", name, EXPORTS)
    if name == "parquet":
        require("pyarrow", extra="bench", purpose="`export='parquet'`")


def write_table(measurements: Sequence[Measurement], name: str, folder: Path, skipped: Sequence[Skipped] = ()) -> Path:
    """Writes ``results.csv`` or ``results.parquet`` into a folder of results and returns its path.

    Args:
        measurements: a row each.
        name: the format.
        folder: the folder of results.
        skipped: what was not measured; a row each, with the reason.
    """
    check_export(name)
    path = folder / f"results.{name}"
    atomic.write_bytes(path, EXPORTS[name](measurements, skipped))
    return path
