"""The documentation site builds offline, loads nothing from the network, and links to what exists."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main
from support import ROOMS, ROOT

from tledge.cli.app import SUMMARIES, app

pytestmark = pytest.mark.slow

LOADING = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("link", "href")}
OPEN_LINKS = {"canonical", "next", "prev", "alternate", "edit"}
"""Kinds of <link> that load nothing."""


class Page(HTMLParser):
    """What a page links to, what it loads and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and set(values.get("rel", "").split()) & OPEN_LINKS:
            return
        self.loads += [values[name] for element, name in LOADING if element == tag and name in values]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("material", "mkdocs_jupyter", "mkdocstrings_handlers.python"):
        if importlib.util.find_spec(module.partition(".")[0]) is None or importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed; pip install 'tledge[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "https_proxy": OFFLINE, "http_proxy": OFFLINE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


OFFLINE = "http://127.0.0.1:9"
"""A proxy that nobody serves."""


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_no_page_loads_from_the_network(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        assert not [name for name in page.loads if re.match(r"(https?:)?//", name)], path
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(\s*['\"]?|@import\s+['\"])(https?:)?//", style.read_text()), style


def test_links_and_anchors_exist(site: Path, pages: dict[Path, Page]) -> None:
    dead = defaultdict(list)
    for path, page in pages.items():
        if path.name == "404.html":  # its links are absolute, for whatever address it is shown at
            continue
        for link in [*page.links, *page.loads]:
            if re.match(r"[a-z]+:|//", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            name = name.partition("?")[0]
            target = (path.parent / name).resolve() if name else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                dead[str(path.relative_to(site))].append(link)
    assert not dead


def test_titles_in_the_menu_hold_no_markup(site: Path) -> None:
    titles = re.findall(r'<span class="md-ellipsis">(.*?)</span>', (site / "index.html").read_text(), re.DOTALL)
    assert len(titles) > 40
    assert not [title for title in titles if "`" in title]


@pytest.mark.parametrize("command", SUMMARIES)
def test_every_option_is_on_the_page_of_its_command(command: str, site: Path) -> None:
    text = (site / "commands" / f"{command}.html").read_text()
    parameters = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    for option in (option for parameter in parameters for option in parameter.opts if option.startswith("--")):
        assert re.search(rf"{re.escape(option)}\b", text), option


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_public_names_are_on_the_reference_page(room: str, site: Path, pages: dict[Path, Page]) -> None:
    names = importlib.import_module(f"tledge.{room}").__all__
    anchors = pages[site / "reference" / f"{room}.html"].anchors
    assert {f"tledge.{room}.{name}" for name in names} <= anchors
