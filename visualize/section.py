"""The result of one kind: a part of the page, and the same numbers as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tledge.visualize.pictures import Picture


@dataclass(frozen=True)
class Table:
    """A table of texts, one per heading and row; the first column names the row."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """The result of one kind.

    Attributes:
        sentences: the findings, the most important first.
        figures: the numbers, ready for JSON.
        reference: papers that describe the method.
    """

    title: str
    sentences: Sequence[str]
    pictures: Sequence[Picture]
    tables: Sequence[Table] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
