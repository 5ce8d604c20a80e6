"""Numbers as people read them."""

import ast
import re

import pytest
from support import ROOT

from tledge.core.number_text import counted, time_text

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "photos", "0 photos"),
        (1, "photos", "1 photo"),
        (2, "photos", "2 photos"),
        (2000, "photos", "2,000 photos"),
        (1, "broken files", "1 broken file"),
        (1, "queries", "1 query"),
        (2, "queries", "2 queries"),
        (1, "classes", "1 class"),
    ],
)
def test_one_is_singular(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99.4, "99 s"), (99.5, "2 min"), (3569, "59 min"), (3571, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_times_are_rounded_to_what_matters(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_no_message_counts_photos_or_files_by_hand() -> None:
    """ "1 photos": a number in front of one of these nouns is written by ``counted``."""
    by_hand = re.compile(r"(?<! of )\{len\([\w.]+\)(:,)?\} (photos|files|pictures|layers|rounds|images) ")
    rooms = ("cli", "core", "train", "export", "bench")
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for room in rooms
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr) and by_hand.search(text := ast.unparse(node))
    ]
    assert found == []
