"""The page holds everything it shows, for people who see and people who do not, and the command reports it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from faint_sample import photos_of
from support import Finished, check_one_line_error, invoke, modules_after, tledge

from tledge.core.run_directory import RunDirectory
from tledge.visualize import visualize

STORY = ("features", "saliency", "ideal", "adversarial", "confusions", "embedding")


class Page(HTMLParser):
    """The images, addresses and ids of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "img":
            self.images.append(attributes)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset") and value]
        self.ids += [value for name, value in attrs if name == "id" and value]


@pytest.fixture(scope="module")
def shown(faint_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    """``tledge visualize features ideal saliency --json``, as a user calls it."""
    folder = tmp_path_factory.mktemp("shown")
    done = tledge(
        *("visualize", "features", "ideal", "saliency", "--steps", 24, "--run", faint_run.path, "--json"),
        *("--output", folder / "<b>out"),
        cwd=folder,
    )
    return done, folder / "<b>out"


def test_importing_the_room_loads_no_heavy_library() -> None:
    loaded = {name.split(".")[0] for name in modules_after("from tledge.visualize import visualize")}
    assert loaded.isdisjoint({"keras", "tensorflow", "jax", "matplotlib", "sklearn", "scipy", "jinja2"})


def test_json_lists_what_was_written(shown: tuple[Finished, Path]) -> None:
    done, folder = shown
    assert done.code == 0, done
    printed = json.loads(done.out)
    assert Path(printed["page"]) == folder / "visualize.html"
    assert printed["figures"]["ideal"]["classes"][0]["class"] == "across"
    assert {Path(name) for name in printed["files"]} == {*folder.glob("*.png"), *folder.glob("*.gif")}
    assert json.loads((folder / "visualize.json").read_text()) == printed


def test_the_page_loads_nothing(shown: tuple[Finished, Path]) -> None:
    content = (shown[1] / "visualize.html").read_text()
    page = Page(content)
    assert page.images
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert "default-src 'none'" in content
    assert "<script" not in content
    assert not re.search(r"url\(|@import|https?://", content)


def test_every_picture_has_words_for_those_who_do_not_see_it(shown: tuple[Finished, Path]) -> None:
    content = (shown[1] / "visualize.html").read_text()
    page = Page(content)
    assert all(len(str(image["alt"])) > 5 for image in page.images)
    assert {"features", "ideal", "saliency"} <= set(page.ids)
    assert 'media="(prefers-reduced-motion: reduce)"' in content
    assert '<html lang="en">' in content
    assert 'name="viewport"' in content
    assert "prefers-color-scheme: dark" in content
    assert "loading=" not in content


def test_the_page_tells_a_story_and_weighs_little(faint_run: RunDirectory, tmp_path: Path) -> None:
    record = visualize(run=faint_run.path, output=tmp_path, steps=24)
    content = record.page.read_text()
    places = [content.index(f'<section id="{name}"') for name in STORY]
    assert places == sorted(places)
    assert content.count('<source media="screen and (prefers-color-scheme: dark)"') == 2, "one for each diagram"
    assert record.page.stat().st_size < 4e6


def test_the_command_prints_the_findings_first(faint_run: RunDirectory, tmp_path: Path) -> None:
    done = invoke("visualize", "confusions", "--run", faint_run.path, "--output", "seen", cwd=tmp_path)
    assert done.code == 0, done
    assert re.search(r"int8.tflite gets \d+ of 40 test photos wrong", done.out)
    assert "Page: seen/visualize.html" in done.out
    assert (faint_run.logs / "visualize.log").exists()


def test_users_errors_are_one_line(faint_run: RunDirectory, tmp_path: Path) -> None:
    photo = photos_of(faint_run, 1)[0]
    (tmp_path / "no.png").write_bytes(b"")
    for arguments, parts in (
        (("ideal", "--class", "acros"), ("unknown class 'acros'", "Did you mean 'across'?")),
        (("adversarial", "--photo", photo, "--target", "upright"), ("is already classified as 'upright'",)),
        (("features", "--photo", "no.png"), ("'no.png' is empty (0 bytes)",)),
        (("saliency", "--layer", "shape"), ("unknown layer 'shape'", "Did you mean 'shapes'?")),
        (("idea",), ("unknown kind 'idea'", "Did you mean 'ideal'?")),
    ):
        done = invoke("visualize", *arguments, "--run", faint_run.path, cwd=tmp_path)
        check_one_line_error(done, *parts)
    check_one_line_error(invoke("visualize", cwd=tmp_path), "no finished run in 'runs'", "tledge train")
