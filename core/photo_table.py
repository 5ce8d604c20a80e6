"""Tables of photos and labels, as Kaggle, Label Studio, Roboflow and Vertex AI export them: CSV, TSV or Parquet.

The columns are found by their names: one of paths, one of labels or one per class with 0 and 1, and optionally one of
splits. A table without a header is read by its values.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from tledge.core.errors import DataError
from tledge.core.extras import require
from tledge.core.image_formats import SUFFIXES
from tledge.core.number_text import abridged, counted
from tledge.core.photo_listing import Listing
from tledge.core.photo_references import PhotoFinder, PhotoReference
from tledge.core.progress import Progress
from tledge.core.regular_file import open_regular, read_bounded
from tledge.core.split_names import SPLITS, UNASSIGNED, split_of

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")

PATHS = [
    "path",
    "filepath",
    "imagepath",
    "imgpath",
    "photopath",
    "filename",
    "imagename",
    "imagefile",
    "file",
    "image",
    "img",
    "photo",
    "picture",
    "imageid",
    "imgid",
    "photoid",
    "imageurl",
    "url",
    "uri",
    "id",
    "name",
]
"""The names of a column of paths, the surest first, without spaces and underscores."""

LABELS = (
    ("labelname", "classname", "categoryname"),
    ("label", "class", "category", "labels", "choice", "target"),
    ("species", "breed", "tag"),
)
"""The names of a column of labels, the surest first; those of one group are equally sure."""

SPLIT_COLUMNS = "split subset partition set mluse usage".split()  # noqa: SIM905

SILENT = Progress()
"""For readers that only look what a table says."""

LARGEST_TABLE = 256 << 20
"""The most bytes of a table, unpacked."""

MOST_ROWS = 10_000_000
"""The most rows of a Parquet file, which takes hardly any bytes for rows that are alike."""

Row = Sequence[str]


@dataclass(frozen=True)
class _Columns:
    """The places of the columns; ``classes`` are those of one-hot columns, if there is no column of labels."""

    path: int
    label: int | None
    split: int | None
    classes: tuple[int, ...] = ()


def tables_in(folder: Listing) -> list[Path]:
    """Returns the tables in a folder."""
    return [path for path in folder.others if path.suffix.lower() in TABLE_SUFFIXES]


def read_table(table: Path, progress: Progress = SILENT, *, complete: bool = True) -> list[tuple[Path, str, str]]:
    """Reads the photos that a table lists, with their classes and splits, sorted by class.

    Paths are relative to the table's folder. Of a path or URL of another machine, the file below that folder with the
    same name is taken, if only one fits; see ``core/photo_references.py``. Notes which columns were used, and how many
    photos below that folder no row lists.

    Args:
        complete: whether all photos must be there; otherwise, the path of an absent one is what the table says.

    Raises:
        DataError: the table cannot be read, its columns are unclear, or photos or labels are missing or contradict.
        MissingExtraError: a Parquet file, and PyArrow is not installed.
    """
    header, rows = _read_parquet(table) if table.suffix.lower() == ".parquet" else _read_csv(table)
    if not rows:
        raise DataError(f"'{table}' has no rows; expected a photo's path and its label in each")
    columns = _find_columns(table, header, list(rows.values()))
    labels = [_label(row, columns, header, where=f"'{table}', row {number}") for number, row in rows.items()]
    if all(whole := [re.fullmatch(r"(-?\d+)\.0+", label) for label in labels]):  # integers that pandas read as floats
        labels = [match[1] for match in whole if match]
    splits = [_split(row, columns, table, number) for number, row in rows.items()]
    references = list(map(PhotoReference, (row[columns.path] for row in rows.values()), labels, splits))
    finder = PhotoFinder(table.parent, preferred=table.stem)
    paths, by_name = finder.find(references)
    found: dict[Path, tuple[str, str]] = {}
    missing, contradicting = [], []
    for path, (text, *labelled) in zip(paths, references, strict=True):
        if path is None:
            missing.append(text)
        path = path or Path(text)  # noqa: PLW2901
        if found.setdefault(path, (labelled[0], labelled[1])) != tuple(labelled):
            contradicting.append(text)
    if missing and complete:
        raise DataError(
            f"{len(missing):,} of {len(rows):,} photos in '{table}' were not found below '{table.parent}', only found"
            f" in the folder of another class or split, or more than one file fits: {abridged(missing)}; put the table"
            " into the folder of the photos or correct its paths"
        )
    if contradicting:
        raise DataError(f"'{table}' lists photos with more than one label or split: {abridged(contradicting)}")
    if progress is not SILENT:
        unlisted = len(set(map(os.path.normpath, finder.photos)) - set(map(os.path.normpath, found)))
        progress.note("Labels", _describe(table, columns, header, unlisted=unlisted, by_name=by_name))
    return sorted(((path, *labelled) for path, labelled in found.items()), key=lambda photo: photo[1])


def _describe(table: Path, columns: _Columns, header: Row, *, unlisted: int, by_name: int) -> str:
    def named(place: int) -> str:
        return f"column '{header[place]}'" if header else f"column {place + 1}"

    label = "one column per class" if columns.label is None else named(columns.label)
    parts = [f"from {table.name}, {label}", f"paths: {named(columns.path)}"]
    if columns.split is not None:
        parts.append(f"splits: {named(columns.split)}")
    if by_name:
        parts.append(f"{counted(by_name, 'photos')} found by name alone")
    if unlisted:
        parts.append(f"{counted(unlisted, 'photos')} in '{table.parent}' not in the table")
    return "; ".join(parts)


def _read_csv(table: Path) -> tuple[Row, dict[int, Row]]:
    """Returns the header, empty if there is none, and the rows by the number of their line."""
    try:
        content = read_bounded(table, LARGEST_TABLE, "table of photos")
    except OSError as error:
        raise DataError(f"cannot read '{table}': {error.strerror or error}") from error
    try:
        text = content.decode(
            "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise DataError(f"'{table}' is not UTF-8 text; save it as CSV in UTF-8") from error
    skipped = 0
    head = text.lstrip().partition("\n")[0]
    if separator := re.match(r"sep=(.)\s*$", head):  # as Excel reads and writes it
        rest = text.lstrip().partition("\n")[2]
        skipped = text.count("\n") - rest.count("\n")
        text = rest
    delimiter = separator[1] if separator else max(",;\t|", key=head.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        rows: dict[int, Row] = {}
        for read in reader:
            if any(cells := [cell.strip() for cell in read]):
                rows[skipped + reader.line_num] = cells
    except csv.Error as error:
        raise DataError(f"'{table}' is not a CSV table: {error}") from error
    first = next(iter(rows.values()), ())
    if len(first) < 2:
        raise DataError(f"'{table}' is not a table of paths and labels: found {abridged(first) or 'nothing'}")
    for number, row in rows.items():
        if len(row) != len(first):
            raise DataError(
                f"'{table}', row {number}: expected {len(first)} columns, received {len(row)}; put cells"
                f" with '{delimiter}' in quotes"
            )
    if any(map(_is_photo_name, first)):
        return [], rows
    del rows[next(iter(rows))]
    return first, rows


def _read_parquet(table: Path) -> tuple[Row, dict[int, Row]]:
    require("pyarrow", extra="bench", purpose=f"reading '{table}'")
    import pyarrow
    from pyarrow import parquet

    try:
        with open_regular(table) as file:
            opened = parquet.ParquetFile(file)
            names = [field.name for field in opened.schema_arrow if not _is_nested_or_binary(field.type)]
            _check_size(table, opened.metadata, names)
            content = opened.read(names)
    except OSError as error:  # also of PyArrow
        raise DataError(f"cannot read '{table}': {error.strerror or error}") from error
    except pyarrow.ArrowException as error:
        raise DataError(f"'{table}' is not a readable Parquet file: {error}") from error
    flat = content.column_names
    if len(flat) < 2:
        raise DataError(
            f"'{table}' is not a table of paths and labels: its columns of text and numbers are"
            f" {abridged(flat) or 'none'}; photos inside a Parquet file are not read: save them as files"
        )
    cells = [["" if cell is None else str(cell).strip() for cell in content[name].to_pylist()] for name in flat]
    return flat, dict(enumerate(zip(*cells, strict=True), 1))


def _is_nested_or_binary(kind: Any) -> bool:
    from pyarrow import types

    if types.is_nested(kind):
        return True
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _check_size(table: Path, metadata: Any, names: Collection[str]) -> None:
    """Raises DataError if the columns to read are too large for a table of photos, compressed or not."""
    size = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        columns = map(group.column, range(group.num_columns))
        size += sum(column.total_uncompressed_size for column in columns if column.path_in_schema in names)
    if size > LARGEST_TABLE or metadata.num_rows > MOST_ROWS:
        raise DataError(
            f"'{table}' is too large for a table of photos: {metadata.num_rows:,} rows, {size / 1e6:,.0f} MB; at most"
            f" {MOST_ROWS:,} rows and {LARGEST_TABLE / 1e6:,.0f} MB are read"
        )


def _is_photo_name(cell: str) -> bool:
    return Path(cell.partition("?")[0] if "?d=" not in cell else cell).suffix.lower() in SUFFIXES


def _is_split(cell: str) -> bool:
    return cell.casefold() in ("", "unassigned") or split_of(cell) in SPLITS


def _find_columns(table: Path, header: Row, rows: Sequence[Row]) -> _Columns:
    names = [re.sub(r"[^\w]|_", "", name).casefold() for name in header]
    places = [place for place in range(len(rows[0])) if not header or names[place]]  # a nameless one is pandas' index
    path = _named(PATHS, names, places)
    if path is None:
        path = _holding(_is_photo_name, rows, places)
    rest = [place for place in places if place != path]
    split = _named(SPLIT_COLUMNS, names, rest)
    if not header and len(rest) > 1:
        split = _holding(_is_split, rows, rest)
    rest = [place for place in rest if place != split]
    label = rest[0] if len(rest) == 1 else _label_column(table, names, rows, rest)
    classes = _one_hot(header, rows, rest) if label is None else ()
    if path is None or (label is None and not classes):
        raise DataError(
            f"the columns of paths and labels in '{table}' are unclear: {abridged(header or rows[0], 8)}; name them"
            " 'path' and 'label', and a column of train, val and test 'split'"
        )
    return _Columns(path, label, split, classes)


def _named(known: Sequence[str], names: Sequence[str], among: Sequence[int]) -> int | None:
    """Returns the place of the first of the known names; ``names`` is empty without a header."""
    return next((place for name in known for place in among if names and names[place] == name), None)


def _label_column(table: Path, names: Sequence[str], rows: Sequence[Row], among: Sequence[int]) -> int | None:
    """Returns the place of the surest column of labels, rather of names than of numbers; None without one.

    Raises DataError if several fit equally and do not hold the same.
    """
    for known in LABELS:
        fitting = [place for place in among if names and names[place] in known]
        cells = {place: [row[place] for row in rows] for place in fitting}
        fitting = [place for place in fitting if any(map(_is_word, cells[place]))] or fitting
        if any(cells[place] != cells[fitting[0]] for place in fitting):
            raise DataError(
                f"several columns of '{table}' may hold the labels: {abridged(names[place] for place in fitting)}; keep"
                " one of them, or call one 'label_name'"
            )
        if fitting:
            return fitting[0]
    return None


def _is_word(cell: str) -> bool:
    return bool(cell) and not re.fullmatch(r"[-+.\d]+", cell)


def _holding(test: Callable[[str], bool], rows: Sequence[Row], among: Sequence[int]) -> int | None:
    """Returns the first place where every row passes a test."""
    return next((place for place in among if all(test(row[place]) for row in rows)), None)


def _one_hot(header: Row, rows: Sequence[Row], among: Sequence[int]) -> tuple[int, ...]:
    """Returns the columns, one per class, if all their cells are 0 or 1; otherwise none."""
    flags = re.compile(r"[01](\.0*)?|true|false", re.IGNORECASE)
    return tuple(among) if header and all(flags.fullmatch(row[place]) for row in rows for place in among) else ()


def _label(row: Row, columns: _Columns, header: Row, *, where: str) -> str:
    """Returns the class of a row, in Unicode NFC. Raises DataError unless it is exactly one."""
    if columns.label is None:
        names = [header[place] for place in columns.classes if row[place].casefold().startswith(("1", "t"))]
    else:
        cell = row[columns.label]
        names = [] if cell.casefold() in ("", "nan") else [cell]
        if cell.startswith(("[", "{")):  # Label Studio's choices
            names = re.findall(r'"([^"]*)"', cell.partition("[")[2] or cell) or names
    if len(names) != 1:
        raise DataError(
            f"{where}: expected one label, received {abridged(names) or 'none'}; a photo has exactly one class: correct"
            " or remove the row"
        )
    return normalize("NFC", names[0])


def _split(row: Row, columns: _Columns, table: Path, number: int) -> str:
    cell = UNASSIGNED if columns.split is None else row[columns.split]
    if not _is_split(cell):
        raise DataError(f"'{table}', row {number}: expected a split (train, val or test), received '{cell}'")
    return split_of(cell) or UNASSIGNED
