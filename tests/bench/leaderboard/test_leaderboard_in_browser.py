"""The leaderboard as Chromium shows it: sorting, filters, and phones."""

from pathlib import Path

import pytest
from browser import NEEDS_CHROMIUM, Seen, look
from leaderboard_sample import write_runs

from tledge.bench import compare

NARROW, WIDE = 390, 1400

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

INSPECT = """
const boards = [...document.querySelectorAll(".board:not(.accuracy)")];
const visible = (part) => part.getBoundingClientRect().height > 0;
const rows = () => boards.filter(visible).map(
  (board) => [...board.querySelectorAll("tbody tr")].filter(visible).map(
    (row) => [row.cells[1].dataset.value, row.cells[0].dataset.value, Number(row.cells[7].dataset.value)]));
const form = document.querySelector("form.filters");
const choose = (name, value) => {
  form.elements[name].value = value;
  form.dispatchEvent(new Event("change", { bubbles: true }));
  const found = [rows(), document.getElementById("shown").textContent];
  form.elements[name].value = "";
  form.dispatchEvent(new Event("change", { bubbles: true }));
  return found;
};
const sort = (board, name) => {
  board.querySelector(`thead button[data-name="${name}"]`).click();
  return [rows(), document.getElementById("sorted").textContent];
};
const found = {
  width: innerWidth,
  scrolled: document.documentElement.scrollWidth,
  loaded: performance.getEntriesByType("resource").map((entry) => entry.name),
  paper: getComputedStyle(document.body).backgroundColor,
  before: rows(),
  model: choose("model", "MobileNetV2 0.35 96×96"),
  machine: choose("machine", [...form.elements.machine.options].find((item) => item.value.startsWith("Rasp")).value),
  p50: sort(boards[0], "p50"),
  standing: sort(boards[0], "standing"),
  unreachable: [...document.querySelectorAll("thead button, .scroll, summary, select, form input, form button")]
    .filter((part) => part.tabIndex < 0).length,
  unnamed: [...form.querySelectorAll("select, input")].filter((field) => !field.labels.length).length,
  thin: [...document.querySelectorAll(".board th:first-child")].filter(
    (part) => part.getBoundingClientRect().width < 80).length,
  heading: document.querySelector(".card").getBoundingClientRect().top,
  small: [...document.querySelectorAll("td, p, th, label, small")].filter(
    (part) => parseFloat(getComputedStyle(part).fontSize) < 12).length,
};
form.elements.front.click();
found.front = [rows().flat().length, document.getElementById("shown").textContent];
form.querySelector("button[type=reset]").click();
setTimeout(() => {
  found.reset = [rows(), document.getElementById("shown").textContent];
  parent.postMessage(JSON.stringify(found), "*");
}, 100);
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaderboard")
    write_runs(folder / "runs")
    return compare(runs=folder / "runs", output=folder / "compare").page


@pytest.fixture(scope="module", params=[WIDE, NARROW])
def seen(request: pytest.FixtureRequest, page: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return look(page, tmp_path_factory.mktemp("browser") / "folder", request.param, script=INSPECT)


def test_it_opens_from_disk_and_fits(seen: Seen) -> None:
    assert seen.console == []
    assert seen.found["loaded"] == []
    assert seen.found["scrolled"] <= seen.found["width"]
    assert seen.found["small"] == seen.found["thin"] == 0
    assert seen.found["heading"] < 200, "the recommendation comes first"


def test_headings_sort_one_machine_alone(seen: Seen) -> None:
    before, (after, said) = seen.found["before"], seen.found["p50"]
    times = [time for _, _, time in after[0]]
    assert times == sorted(times)
    assert after[1:] == before[1:]
    assert said == "Sorted by p50, ascending."
    by_standing, said = seen.found["standing"]
    assert by_standing[0][0] == before[0][0], "the recommended file"
    assert said == "Sorted by standing, ascending."


def test_filters_hide_the_other_rows_and_empty_tables(seen: Seen) -> None:
    before = seen.found["before"]
    assert [len(board) for board in before] == [12, 7, 3]
    of_model, said = seen.found["model"]
    assert of_model == [[row for row in board if row[0] == "MobileNetV2 0.35 96×96"] for board in before[:2]]
    assert said == "6 of 22 results"
    on_machine, said = seen.found["machine"]
    assert on_machine == [before[1]]
    assert said == "7 of 22 results"
    count, said = seen.found["front"]
    assert 0 < count < 22
    assert said == f"{count} of 22 results"
    boards, said = seen.found["reset"]
    assert [sorted(board) for board in boards] == [sorted(board) for board in before]
    assert said == "22 results"


def test_it_works_with_the_keyboard(seen: Seen) -> None:
    assert seen.found["unreachable"] == 0
    assert seen.found["unnamed"] == 0


def test_a_dark_system_gets_a_dark_page(page: Path, tmp_path: Path) -> None:
    dark = look(page, tmp_path / "dark", WIDE, "--blink-settings=preferredColorScheme=0", script=INSPECT)
    assert dark.found["paper"] == "rgb(20, 23, 27)"


def test_without_scripts_every_row_is_there(page: Path, tmp_path: Path) -> None:
    """Only the fields that need one are not."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition("<script>")
    plain = tmp_path / "plain.html"
    plain.write_text(before + rest.partition("</script>")[2])
    script = """parent.postMessage(JSON.stringify({
      rows: document.querySelectorAll(".board:not(.accuracy) tbody tr").length,
      form: document.querySelector("form.filters").getBoundingClientRect().height }), "*");"""
    found = look(plain, tmp_path / "folder", WIDE, script=script).found
    assert found == {"rows": 22, "form": 0}
