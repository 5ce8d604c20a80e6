"""The report as Chromium shows it: opened from disk, in a frame of the width in question."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import NEEDS_CHROMIUM, Seen
from browser import look as look_with
from report_sample import CELLS, ROUNDS, read_sample, write_sample

from tledge.bench.report import write_html

NARROW, WIDE = 390, 1200

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

INSPECT = """
const shown = [...document.querySelectorAll("svg[role=img]")].filter((svg) => svg.getBoundingClientRect().width > 0);
const boxes = (svg, selector) => [...svg.querySelectorAll(selector)].map((mark) => mark.getBoundingClientRect());
const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
const inspect = (svg) => {
  const frame = svg.getBoundingClientRect();
  const labels = boxes(svg, ".label");
  return {
    size: [frame.width, frame.height],
    name: document.getElementById(svg.getAttribute("aria-labelledby")).textContent,
    said: document.getElementById(svg.getAttribute("aria-describedby")).textContent,
    marker: boxes(svg, ".marker").length,
    hill: boxes(svg, ".hill").length,
    round: boxes(svg, ".round").length,
    bar: boxes(svg, ".bar rect").length,
    field: boxes(svg, ".field rect").length,
    empty: boxes(svg, ".marker, .hill, .bar rect, .field rect").filter((box) => !box.width || !box.height).length,
    text: Math.min(...[...svg.querySelectorAll("text")].map(
      (text) => parseFloat(getComputedStyle(text).fontSize) * frame.width / svg.viewBox.baseVal.width)),
    cut: [...svg.querySelectorAll("text")].filter((text) => {
      const box = text.getBoundingClientRect();
      return box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2
        || box.bottom > frame.bottom + 2;
    }).map((text) => text.textContent),
    covered: labels.filter((box, index) => labels.slice(index + 1).some((other) => overlap(box, other))).length,
  };
};
const order = () => [...document.querySelectorAll("table.sortable tbody tr")].map((row) => row.cells[0].dataset.value);
const heading = (name) => document.querySelector(`thead button[data-name="${name}"]`);
const sorted = (name) => {
  heading(name).click();
  return [heading(name).closest("th").getAttribute("aria-sort"), order()];
};
const found = {
  width: innerWidth,
  scrolled: document.documentElement.scrollWidth,
  box: document.querySelector(".scroll").scrollWidth > document.querySelector(".scroll").clientWidth,
  loaded: performance.getEntriesByType("resource").map((entry) => entry.name),
  paper: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.querySelector("svg text")).fill,
  plots: Object.fromEntries(shown.map((svg) => [svg.id, inspect(svg)])),
  before: order(),
  sizes: [sorted("Size"), sorted("Size")],
  top1: sorted("Test top-1"),
  ratio: sorted("Speed"),
  names: sorted("artifact"),
  marked: document.querySelectorAll("th[aria-sort]").length,
  said: document.getElementById("sorted").textContent,
  matrices: [...document.querySelectorAll(".chooser input")].map((input) => {
    input.click();
    return [...document.querySelectorAll(".chooser svg")].filter((svg) => svg.getBoundingClientRect().width).map(
      (svg) => svg.id);
  }),
  firstView: document.querySelector(".card").getBoundingClientRect().bottom,
  unreachable: [...document.querySelectorAll("thead button, .scroll, summary, nav a, .chooser input")]
    .filter((part) => part.tabIndex < 0).length,
};
heading("p50").focus({ focusVisible: true });
found.outline = getComputedStyle(heading("p50")).outlineStyle;
dispatchEvent(new Event("beforeprint"));
found.folded = document.querySelectorAll("details:not([open])").length;
parent.postMessage(JSON.stringify(found), "*");
"""


def look(report: Path, folder: Path, width: int, *flags: str, script: str = INSPECT) -> Seen:
    return look_with(report, folder, width, *flags, script=script)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sample(tmp_path_factory.mktemp("bench"))
    write_html(read_sample(folder, title="20261123-101500-mobilenet_v2-photos"), folder.html)
    return folder.html


@pytest.fixture(scope="module", params=[WIDE, NARROW])
def seen(request: pytest.FixtureRequest, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return look(sample, tmp_path_factory.mktemp("browser") / "folder", request.param)


def test_it_opens_from_disk_without_an_error_or_a_request(seen: Seen) -> None:
    assert seen.console == []
    assert seen.found["loaded"] == []


def test_an_error_and_a_request_would_be_seen(sample: Path, tmp_path: Path) -> None:
    """What the test above rests on."""
    planted = "console.error('planted'); parent.postMessage('{}', '*');"
    assert any("planted" in line for line in look(sample, tmp_path / "error", WIDE, script=planted).console)
    asking = "fetch('http://localhost:9/').catch(() => parent.postMessage('{}', '*'));"
    assert any(
        "Content Security Policy" in line for line in look(sample, tmp_path / "ask", WIDE, script=asking).console
    )


def test_every_plot_is_drawn_with_a_mark_for_every_number(seen: Seen) -> None:
    suffix = "narrow" if seen.found["width"] < 700 else "wide"
    plots = seen.found["plots"]
    assert list(plots) == [
        f"accuracy-latency-{suffix}",
        f"latencies-{suffix}",
        "size",
        "memory",
        "cold-start",
        f"throughput-{suffix}",
        "confusion-0",
    ]
    expected: dict[str, dict[str, int]] = {
        f"accuracy-latency-{suffix}": {"marker": len(CELLS)},
        f"latencies-{suffix}": {"hill": len(CELLS), "round": len(CELLS) * ROUNDS},
        "size": {"bar": len({cell.artifact for cell in CELLS})},
        "memory": {"bar": len(CELLS)},
        "cold-start": {"bar": len(CELLS)},
        f"throughput-{suffix}": {"bar": 2 * len(CELLS)},
        "confusion-0": {"field": 4},
    }
    for name, counts in expected.items():
        assert {key: plots[name][key] for key in counts} == counts, name
    for name, plot in plots.items():
        assert min(plot["size"]) > 100, name
        assert plot["empty"] == 0, name
        assert plot["name"], name
        assert plot["said"], name


def test_text_in_plots_is_whole_and_large_enough(seen: Seen) -> None:
    for name, plot in seen.found["plots"].items():
        assert plot["cut"] == [], name
        assert plot["text"] >= 11, name
        assert plot["covered"] == 0, name


def test_only_the_table_scrolls_sideways(seen: Seen) -> None:
    assert seen.found["scrolled"] <= seen.found["width"]
    if seen.found["width"] == NARROW:
        assert seen.found["box"]


def test_the_first_view_of_a_phone_has_the_recommendation(seen: Seen) -> None:
    assert seen.found["firstView"] <= 844


def test_the_chooser_shows_one_matrix_at_a_time(seen: Seen) -> None:
    assert len(seen.found["matrices"]) > 2
    assert seen.found["matrices"] == [[f"confusion-{number}"] for number in range(len(seen.found["matrices"]))]


def test_headings_sort_the_table(seen: Seen) -> None:
    found = seen.found
    assert found["before"] == [cell.artifact for cell in CELLS]
    by_size = sorted(CELLS, key=lambda cell: cell.size)
    assert found["sizes"] == [
        ["ascending", [cell.artifact for cell in by_size]],
        ["descending", [cell.artifact for cell in sorted(by_size, key=lambda cell: -cell.size)]],
    ]
    order, names = found["top1"]
    assert order == "descending", "the best first"
    assert names[-2:] == ["float32.onnx", "int8.onnx"]
    order, names = found["ratio"]
    assert order == "ascending"
    assert names[:4] == ["int8.onnx", "int8.tflite", "dynamic.tflite", "float16.tflite"], "unmeasured ones are last"
    assert found["names"][1] == sorted(cell.artifact for cell in CELLS)
    assert found["marked"] == 1
    assert found["said"] == "Sorted by artifact, ascending."


def test_it_works_with_the_keyboard_and_is_unfolded_in_print(seen: Seen) -> None:
    assert seen.found["unreachable"] == 0
    assert seen.found["outline"] == "solid"
    assert seen.found["folded"] == 0


def test_a_dark_system_gets_a_dark_page(seen: Seen, sample: Path, tmp_path: Path) -> None:
    assert seen.found["paper"] == "rgb(255, 255, 255)"
    dark = look(sample, tmp_path / "dark", WIDE, "--blink-settings=preferredColorScheme=0").found
    assert dark["paper"] == "rgb(20, 23, 27)"
    assert dark["ink"] != seen.found["ink"]


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_sample(folder, class_names=[f"class {index}" for index in range(37)]),
        lambda folder: write_sample(folder, class_names=("cat", "dog", "Maine Coon", "red fox", "emu")),
        lambda folder: write_sample(folder, class_names=(), photos=0),
        lambda folder: write_sample(folder, cells=CELLS[1:2]),
    ],
    ids=["many classes", "long names", "latency alone", "one cell"],
)
def test_other_benchmarks_are_whole_on_a_phone(write: Callable[[Path], Any], tmp_path: Path) -> None:
    folder = write(tmp_path / "bench")
    write_html(
        read_sample(folder, title="a-file-with-a-name-that-is-far-too-long-to-stand-in-one-line.tflite"),
        folder.html,
    )
    script = INSPECT.replace('sorted("Test top-1")', "[]").replace('sorted("Speed")', "[]")
    seen = look(folder.html, tmp_path / "folder", NARROW, script=script)
    assert seen.console == []
    assert seen.found["scrolled"] <= NARROW
    for name, plot in seen.found["plots"].items():
        assert plot["cut"] == [], name
        assert plot["empty"] == 0, name
