"""Replacing a section of a model card keeps the rest of it, including edits made by hand."""

from pathlib import Path

import pytest

from tledge.core.card_section import PLACE, replace_section

pytestmark = pytest.mark.unit

FIRST = "<!-- start: Benchmark -->\n## Benchmark\n\nfirst\n<!-- end: Benchmark -->"


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (f"# A\n\n{PLACE}\n\n## Limits\n", f"# A\n\n{FIRST}\n\n{PLACE}\n\n## Limits\n"),
        ("# A\n", f"# A\n\n{FIRST}\n"),  # of an earlier version
        ("# A\n\n<!-- start: Benchmark -->\n", f"# A\n\n<!-- start: Benchmark -->\n\n{FIRST}\n"),  # garbled
    ],
)
def test_a_section_is_inserted_once_and_then_replaced(tmp_path: Path, card: str, expected: str) -> None:
    path = tmp_path / "model_card.md"
    path.write_text(card)
    replace_section(path, "Benchmark", "Benchmark", "first")
    assert path.read_text() == expected


def test_only_the_section_changes(tmp_path: Path) -> None:
    path = tmp_path / "model_card.md"
    path.write_text(f"# Edited\n\n{PLACE}\n\n## Limits\n")
    for name, text in (("Benchmark", "first"), ("Benchmark on pi", "other"), ("Benchmark", "second")):
        replace_section(path, name, f"About {name}" if text == "other" else name, text)
    text = path.read_text()
    other = "<!-- start: Benchmark on pi -->\n## About Benchmark on pi\n\nother\n<!-- end: Benchmark on pi -->"
    assert text == f"# Edited\n\n{FIRST.replace('first', 'second')}\n\n{other}\n\n{PLACE}\n\n## Limits\n"


def test_without_a_card_nothing_is_written(tmp_path: Path) -> None:
    replace_section(tmp_path / "model_card.md", "Benchmark", "Benchmark", "first")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("edited", ["\ufeff# A\r\n\r\n", "# A\r\nü\u2028\f", "# A\n \n\n", f"a\r\n{PLACE}\r\n \r\n"])
def test_every_byte_outside_stays(tmp_path: Path, edited: str) -> None:
    path = tmp_path / "model_card.md"
    path.write_bytes(edited.encode())
    for text in ("first\nline", "second\nline"):
        replace_section(path, "x", "Heading", text)
    content = path.read_bytes().decode()
    start, end = content.index("<!-- start: x"), content.index("end: x -->") + len("end: x -->")
    line = "\r\n" if "\r\n" in edited else "\n"
    assert content[start:end] == line.join(["<!-- start: x -->", "## Heading", "", "second", "line", "<!-- end: x -->"])
    before, _, after = edited.partition(PLACE)
    assert content.startswith(before)
    assert content.endswith(after)


def test_a_card_that_is_not_utf8_stays(tmp_path: Path) -> None:
    path = tmp_path / "model_card.md"
    path.write_bytes(b"\xff")
    with pytest.raises(UnicodeError):
        replace_section(path, "x", "x", "text")
    assert path.read_bytes() == b"\xff"
