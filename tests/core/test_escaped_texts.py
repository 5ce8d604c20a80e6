"""Whatever a name holds, each medium shows it as data; names in every script stay as they are."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tledge.core.csv_text import csv_text, text_of_cell, utf8_text
from tledge.core.figure_text import figure_text
from tledge.core.html_text import html_text, shown_value
from tledge.core.json_text import json_text
from tledge.core.markdown_text import Markdown, bullets, code_text, heading, inline_text, plain_text, table_row
from tledge.core.terminal_text import printable_lines, printable_text

pytestmark = pytest.mark.unit

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=int(os.environ.get("EXAMPLES", "100")))

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
SIGNS = [*"\x00\t\n\r\x1b\x7f\x85\x9b#*-+=_`|<>[]()!&~$@:;'\"\\.1,{}%/", *"\u200b\u200c\u200d\u2028\ufeff"]
WORDS = [
    "www.",
    "http://",
    "a@b.c",
    "---",
    "1. ",
    "```",
    "<!--",
    "</script>",
    "\ud800",
    "\udcff",
    "\U000e0067",
    "👩",
    "ा",
]
PIECES = st.one_of(st.sampled_from([*SIGNS, *WORDS, *BIDI]), st.characters(exclude_categories=()))
NAMES = st.lists(PIECES, max_size=12).map("".join)

LEGIT = [
    "cat",
    "日本語　の名前",
    "עברית",
    "العربية",
    "می‌خواهم",
    "क्‍ष",
    "café",
    "cafe\u0301",
    "👩‍👩‍👧 family",
    "❤️‍🔥",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "10\u00a0kg",
    "Ünïcødé ẞ",
    "ไทย",
]


def check_visible(text: str) -> None:
    """Nothing in a text is obeyed by a terminal, reorders a line, or cannot be encoded."""
    assert not [sign for sign in text if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")], ascii(text)
    assert not BIDI & set(text), ascii(text)
    assert len(text.splitlines()) <= 1, ascii(text)
    assert text.encode().decode() == text


@EXAMPLES
@given(NAMES)
def test_a_terminal_obeys_no_name(name: str) -> None:
    shown = printable_text(name)
    check_visible(shown)
    assert printable_text(shown) == shown
    if name.isprintable():
        assert shown == name
    lines = printable_lines(name).split("\n")
    assert lines == [printable_text(line) for line in name.split("\n")]


@pytest.mark.parametrize("name", LEGIT, ids=ascii)
def test_names_of_all_scripts_stay(name: str) -> None:
    assert printable_text(name) == name
    assert html.unescape(html_text(name)) == name
    assert shown_value(name) == name
    assert json_text(name) == f'"{name}"'
    assert plain_text(name) == " ".join(name.split())
    assert csv_text(name) == name
    assert figure_text(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\r\n\tb", r"a\r\n\tb"),
        ("\x9b\x07", r"\x9b\x07"),
        ("\u202egpj", r"\u202egpj"),
        ("\udcff", r"\udcff"),
        ("a\u200db\u200d", r"a\u200db\u200d"),
        ("👩\u200d\u200d", "👩\u200d\\u200d"),
        ("\U000e0067", r"\U000e0067"),
        ("\ufeffa\u200b\xad", r"\ufeffa\u200b\xad"),
    ],
)
def test_hidden_characters_are_shown_as_python_writes_them(name: str, shown: str) -> None:
    assert printable_text(name) == shown


@EXAMPLES
@given(NAMES, st.sampled_from([None, 2]))
def test_json_is_read_back_and_is_one_line(name: str, indent: int | None) -> None:
    # Two surrogates side by side are one character in JSON.
    assume(name.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == name)
    written = json_text({name: [name, -1.5]}, indent=indent)
    assert json.loads(written.encode()) == {name: [name, -1.5]}
    for line in written.split("\n"):
        check_visible(line)
    assert indent or "\n" not in written


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_holds_no_number_that_json_does_not_have(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text([number])


class Elements(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@EXAMPLES
@given(NAMES)
def test_html_shows_a_name_and_has_no_element_of_it(name: str) -> None:
    found = Elements(f"<p title=\"{html_text(name)}\" class='{html_text(name)}'>{html_text(name)}</p>")
    shown = printable_lines(name)
    assert found.tags == [("p", [("title", shown), ("class", shown)])]
    assert found.text == shown
    assert shown_value(name) == shown


def rendered(markdown: str) -> str:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return str(parser.render(markdown)).replace("\u200b", "")


def shown_in_markdown(name: str) -> str:
    """A name as HTML, as a Markdown reader should write it."""
    return html.escape(printable_text(" ".join(name.split())), quote=False).replace('"', "&quot;")


@EXAMPLES
@given(NAMES)
def test_markdown_shows_a_name_wherever_it_stands(name: str) -> None:
    shown = shown_in_markdown(name)
    assume(shown)
    assert rendered(plain_text(name)) == f"<p>{shown}</p>\n"
    assert rendered(f"before\n{plain_text(name)}\nafter") == f"<p>before\n{shown}\nafter</p>\n"
    assert rendered(heading(name, 2)) == f"<h2>{shown}</h2>\n"
    assert rendered(bullets([name, name])) == f"<ul>\n<li>{shown}</li>\n<li>{shown}</li>\n</ul>\n"


@EXAMPLES
@given(NAMES, NAMES)
def test_a_name_is_one_cell_of_a_markdown_table(first: str, second: str) -> None:
    table = f"| a | b |\n|---|---|\n{table_row((first, second))}"
    body = rendered(table).partition("<tbody>")[2]
    cells = re.findall("<td>(.*?)</td>", body)
    assert cells == [shown_in_markdown(first), shown_in_markdown(second)]
    assert re.findall("<[^>]*>", body.replace("&lt;", "")) == [
        *("<tr>", "<td>", "</td>", "<td>", "</td>", "</tr>"),
        *("</tbody>", "</table>"),
    ]


@EXAMPLES
@given(NAMES)
def test_code_holds_the_whole_name(name: str) -> None:
    shown = shown_in_markdown(name)
    assume(shown)
    assert rendered(f"- a {code_text(name)}, b") == f"<ul>\n<li>a <code>{shown}</code>, b</li>\n</ul>\n"


def test_markdown_is_escaped_once_and_texts_by_default() -> None:
    assert inline_text("a*b") == r"a\*b"
    assert inline_text(Markdown("a*b")) == "a*b"
    assert inline_text(inline_text("a*b")) == r"a\*b"
    assert bullets([Markdown("**a**"), "**b**"]) == "- **a**\n- \\*\\*b\\*\\*"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("@someone", "@&#8203;someone"),
        ("me@example.org", "me@&#8203;example.org"),
        ("ssh:pi@raspberrypi", "ssh:pi@raspberrypi"),
        ("https://example.org", r"https\://example.org"),
        ("WWW.example.org", r"WWW\.example.org"),
        ("$x^2$", r"\$x^2\$"),
        ("1. FC Köln", r"1\. FC Köln"),
        ("-5", "-5"),
        ("2.5", "2.5"),
    ],
)
def test_no_name_is_a_link_a_mention_or_a_formula(name: str, shown: str) -> None:
    assert plain_text(name) == shown


@EXAMPLES
@given(NAMES)
def test_no_cell_is_a_formula_and_the_name_is_read_back(name: str) -> None:
    cell = csv_text(name)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert text_of_cell(cell) == utf8_text(name)
    text = io.StringIO(newline="")
    csv.writer(text).writerow([cell, -1.5])
    (row,) = csv.reader(io.StringIO(text.getvalue().encode().decode(), newline=""))
    assert text_of_cell(row[0]) == utf8_text(name)
    assert row[1] == "-1.5"


@pytest.mark.parametrize(
    ("name", "cell"),
    [("=1+1", "'=1+1"), ("'=1+1", "''=1+1"), ("-5 °C", "'-5 °C"), ("'tis", "'tis"), ("＝A1", "'＝A1"), ("a=b", "a=b")],
)
def test_cells(name: str, cell: str) -> None:
    assert csv_text(name) == cell
    assert text_of_cell(cell) == name


@EXAMPLES
@given(NAMES)
def test_figures_draw_no_formula(name: str) -> None:
    from matplotlib.cbook import is_math_text

    shown = figure_text(name)
    assert not is_math_text(shown)
    assert not shown.startswith("_")
    assert shown.removeprefix("\u200b").replace(r"\$", "$") == printable_text(name)
