"""Names that files from strangers may hold, and what each medium must do with them."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt

MARK = "tledge-was-here"
"""What a script of a name would write into a page."""

HOSTILE = (
    "\x1b]0;title\x07\x1b[2J\x1b[31mred",
    "two\r\nlines\tand a tab",
    "\x9b31mC1\x85next\x7f",
    "\u202egnp.exe\u2066hidden\u061c\u200f",
    "zero\u200bwidth\ufeff\xad\u2028line\u2029",
    "not UTF-8 \udcff",
    f"<script>document.title='{MARK}'</script>",
    f"</script></style></title><img src=x onerror=document.title='{MARK}'>",
    f"'\" onmouseover=document.title='{MARK}' x=",
    "]](javascript:alert(1)) ![x](http://example.org/x.png) <http://example.org>",
    "| a | b |\n|---|---|\n# heading\n- list",
    "# heading",
    "- [ ] list",
    "1. list",
    "`code` ``` *bold* _it_ ~~gone~~ [^noisy]",
    "@someone https://example.org www.example.org me@example.org",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "-2+3",
    "../../../etc/passwd",
    "$x_{$ and $\\frac$",
    "_hidden",
    "{{ 7 * 7 }}{% raw %}{0.__class__} %s %(a)s",
    "<!-- sections of later commands -->",
    "<!-- start: Benchmark -->",
    "---\ntitle: x\n...",
    "%n %i $HOME $(reboot) `reboot`; reboot",
    "`data=1`",
    "",
    ".",
    "..",
    "con",
)
"""One for each way out of a text that is known."""

HUGE = "`" + "-" * 100_000 + "1`"
"""What Python's parser has too little memory for, in the signs that messages put around parameters."""

LEGIT = (
    "日本語の名前",
    "עברית",
    "العربية",
    "می\u200cخواهم",
    "café",
    "cafe\u0301",
    "👩\u200d👩\u200d👧 family",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "C# & C++ (10 %)",
)
"""Names that every medium must show as they are."""

FILE_NAMES = tuple(
    f"{'_' * name.startswith('.')}{name}".replace("/", "\u2215")[:100] for name in (*HOSTILE, *LEGIT) if name.strip(".")
)
"""Those that a file can have; none is hidden."""

_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = set("\u200b\u2060\ufeff\xad")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_CURSOR = re.compile(r"\x1b\[(?:\?25[lh]|[0-9]*[A-GK]|2K|1A)|\r")


def hidden_in(text: str) -> list[str]:
    """Characters that a reader does not see, or that reorder or hide others; lines end with a line feed alone."""
    found = {
        sign
        for sign in text.replace("\n", "")
        if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _BIDI | _INVISIBLE
    }
    return sorted(map(ascii, found))


def check_terminal(text: str, *, styles: bool = False) -> None:
    """Only our own colours, and with ``styles`` our cursor movements, are obeyed by a terminal."""
    shown = _CURSOR.sub("", _STYLE.sub("", text)) if styles else text
    assert not hidden_in(shown), shown
    assert not styles or not re.search(r"\x1b\[31mred", text)


class Page(HTMLParser):
    """The elements of a page, by their tags and the names of their attributes; and its texts."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: set[tuple[str, tuple[str, ...]]] = set()
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.values: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        self.values += [value for _, value in attrs if value]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def check_page(content: str, harmless: str, names: tuple[str, ...] = ()) -> None:
    """A page has no element, attribute or address that one of harmless names lacks, and shows the names."""
    page, usual = Page(content), Page(harmless)
    assert page.elements <= usual.elements, page.elements - usual.elements
    assert all(address.startswith(("data:", "#")) for address in page.addresses), page.addresses
    assert not [text for text in (*page.text, *page.values) if hidden_in(text.replace("\t", ""))]
    assert content.encode()
    for name in names:
        assert any(name in text for text in (*page.text, *page.values)), name


def check_markdown(content: str, harmless: str) -> None:
    """Markdown has no element, address or row that one of harmless names lacks."""
    assert not hidden_in(content)
    page, usual = (Page(render(text)) for text in (content, harmless))
    assert page.elements <= usual.elements, page.elements - usual.elements
    assert set(page.addresses) <= set(usual.addresses), page.addresses
    assert content.count("\n") == harmless.count("\n"), "a name adds no line"


def render(markdown: str) -> str:
    """Markdown as HTML; a YAML header is left out."""
    header, found, rest = markdown.partition("\n---\n")
    body = rest if found and header.startswith("---\n") else markdown
    return str(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(body))


def check_inside(folder: Path) -> None:
    """Everything that was written lies in a folder, with names that any system takes."""
    for path in folder.rglob("*"):
        assert path.resolve().is_relative_to(folder.resolve())
        assert len(path.name.encode()) <= 255
        assert not hidden_in(path.name), path
