"""The result of one kind: a part of the page, and the same numbers as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tledge.visualize.pictures import Picture


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        caption: text above the table.
        headings: column headings; the first column names the row.
        rows: one text per heading.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """The result of one kind.

    Attributes:
        title: heading.
        sentences: the findings, the most important first.
        pictures: pictures in order.
        tables: tables in order.
        figures: the numbers, ready for JSON.
        reference: papers that describe the method.
    """

    title: str
    sentences: Sequence[str]
    pictures: Sequence[Picture]
    tables: Sequence[Table] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
