"""What one kind has to show: a part of the page, and figures for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tledge.visualize.pictures import Picture


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        caption: what the rows are.
        headings: of the columns; the first column names its row.
        rows: as many texts as there are headings.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one kind found.

    Attributes:
        title: its heading.
        sentences: what was seen, the answer first.
        pictures: in order.
        tables: in order.
        figures: the same for machines, as JSON can hold it.
        reference: the papers that say how it is done.
    """

    title: str
    sentences: Sequence[str]
    pictures: Sequence[Picture]
    tables: Sequence[Table] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
