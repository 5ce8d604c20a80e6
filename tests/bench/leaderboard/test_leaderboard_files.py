"""The page, the Markdown and the CSV of a leaderboard hold the same rows and replace nothing of others."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from leaderboard_sample import cells, write_run, write_runs

from tledge.bench import compare
from tledge.bench.leaderboard import leaderboard_files
from tledge.bench.leaderboard.accuracy_board import BEST, WORSE
from tledge.bench.leaderboard.compare_api import CompareRecord
from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.options import UnknownOptionError
from tledge.core.progress import Progress

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> CompareRecord:
    folder = tmp_path_factory.mktemp("compare")
    write_runs(folder / "runs")
    return compare(runs=folder / "runs", output=folder / "compare", csv=True)


def test_every_row_is_in_every_file(record: CompareRecord) -> None:
    page, markdown, table = (path.read_text(encoding="utf-8") for path in record.files)
    assert [path.name for path in record.files] == ["leaderboard.html", "leaderboard.md", "leaderboard.csv"]
    rows = list(csv.DictReader(io.StringIO(table)))
    entries = [(board, entry) for board in record.leaderboard.machines for entry in board.entries]
    assert len(rows) == len(entries) == 22
    for row, (board, entry) in zip(rows, entries, strict=True):
        assert (row["artifact"], row["target"], row["machine"]) == (entry.artifact, entry.row.target, board.title)
        assert row["backbone"] == entry.model.backbone
        assert row["width"] == str(entry.model.width)
        assert row["input_size"] == "96x96"
        assert float(row["p50"]) == entry.row.value("latency_p50")
        assert (row["standing"], row["less_accurate"]) == (entry.standing, str(entry.less_accurate))
    assert page.count('<th scope="row" data-value="int8.tflite">') == sum(
        e.artifact == "int8.tflite" for _, e in entries
    )
    assert len(re.findall(r"^\| [^|]+\| \w+\.tflite", markdown, re.MULTILINE)) == 22 + 12, (
        "and accuracy on all machines"
    )
    for board in record.leaderboard.machines:
        assert board.card.title in page
        assert f"**{board.card.title}**" in markdown


def test_the_page_begins_with_the_recommendations_and_loads_nothing(record: CompareRecord) -> None:
    page = record.page.read_text(encoding="utf-8")
    body = page[page.index("<body>") :]
    assert body.index("Ship ") < body.index("<table")
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", body)
    assert "default-src 'none'" in page


def test_the_dictionary_has_every_board(record: CompareRecord) -> None:
    found = record.to_dict()
    assert len(found["benchmarks"]) == 7
    assert [len(board["machines"]) for board in found["boards"]] == [2, 1]
    row = found["boards"][0]["machines"][0]["rows"][0]
    assert (row["standing"], row["backbone"], row["width"], row["format"]) == ("ship", "mobilenet_v2", 0.35, "tflite")


def test_every_file_words_the_accuracy_on_all_machines_alike(record: CompareRecord) -> None:
    page, markdown = (path.read_text(encoding="utf-8") for path in record.files[:2])
    accuracy = record.leaderboard.photos[0].accuracy
    assert {row.verdict for row in accuracy} == {BEST, WORSE}
    assert [row["verdict"] for row in record.to_dict()["boards"][0]["accuracy"]] == [row.verdict for row in accuracy]
    table = markdown[markdown.index("Accuracy on all machines") :].partition("## ")[0]
    worse = sum(row.verdict == WORSE for row in accuracy)
    assert table.count("| less accurate |") == worse
    assert table.count("\\*") == len(accuracy) - worse
    section = page[page.index('<section class="board accuracy"') :].partition("</section>")[0]
    assert section.count(">less accurate</span>") == worse
    assert section.count('class="star"') == len(accuracy) - worse


def test_it_links_to_the_reports(tmp_path: Path) -> None:
    results = write_run(tmp_path / "runs", "a run", 1, cells("a", 4.0, 6))
    (results / "report.html").write_text("<p>report</p>")
    page = compare(benchmarks=[results], output=tmp_path / "out").page.read_text(encoding="utf-8")
    assert 'href="../runs/a%20run/bench/report.html"' in page


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "x", 1, cells("a", 4.0, 6), backbone="<script>alert(1)</script>")
    files = compare(benchmarks=[tmp_path / "runs"], output=tmp_path / "out").files
    assert "<script>alert(1)" not in "".join(path.read_text(encoding="utf-8") for path in files)


@pytest.mark.parametrize("name", ["leaderboard.html", "leaderboard.md", "leaderboard.csv"])
def test_what_others_wrote_is_not_replaced(name: str, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6))
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(OptionError, match=f"{name}' was not written by `compare"):
        compare(benchmarks=[tmp_path / "runs"], output=out, csv=True)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "mine"


def test_an_earlier_leaderboard_is_replaced(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6))
    first = compare(benchmarks=[tmp_path / "runs"], output=tmp_path / "out", csv=True)
    write_run(tmp_path / "runs", "b", 2, cells("b", 4.0, 6))
    second = compare(benchmarks=[tmp_path / "runs"], output=tmp_path / "out", csv=True)
    assert first.files == second.files
    assert all("6 results" in path.read_text(encoding="utf-8") for path in second.files[:2])


class Noted(Progress):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, title: str, text: str) -> None:
        self.notes.append(f"{title}: {text}")


def test_own_files_of_an_earlier_leaderboard_do_not_stay_beside_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6))
    out, progress = tmp_path / "out", Noted()
    compare(benchmarks=[tmp_path / "runs"], output=out, csv=True)
    compare(benchmarks=[tmp_path / "runs"], output=out, progress=progress)
    assert sorted(path.name for path in out.iterdir()) == ["leaderboard.html", "leaderboard.md"]
    assert progress.notes == [f"Removed: '{out / 'leaderboard.csv'}' of an earlier leaderboard"]
    monkeypatch.setattr(leaderboard_files, "is_installed", lambda module: False)
    compare(benchmarks=[tmp_path / "runs"], output=out, progress=Progress())
    assert [path.name for path in out.iterdir()] == ["leaderboard.md"]


def test_a_csv_of_others_stays_if_none_is_written(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "leaderboard.csv").write_text("mine")
    compare(benchmarks=[tmp_path / "runs"], output=tmp_path / "out")
    assert (tmp_path / "out" / "leaderboard.csv").read_text() == "mine"


def test_a_csv_with_the_columns_of_another_version_is_replaced(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "leaderboard.csv").write_text("photos,machine,run,model,backbone,speed\n")
    compare(benchmarks=[tmp_path / "runs"], output=tmp_path / "out", csv=True)
    assert "speed" not in (tmp_path / "out" / "leaderboard.csv").read_text().splitlines()[0]


def test_a_file_cannot_be_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OptionError, match="`output='.*out' is not a folder"):
        compare(benchmarks=[tmp_path], output=tmp_path / "out")


def test_without_jinja2_there_is_markdown_and_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard_files, "is_installed", lambda module: False)
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6))
    progress = Noted()
    record = compare(benchmarks=[tmp_path / "runs"], output=tmp_path / "out", progress=progress)
    assert record.page.name == "leaderboard.md"
    assert progress.notes == ["Page: leaderboard.html needs jinja2: pip install 'tledge[bench]'"]


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown order 'p5'. Did you mean 'p50'"):
        compare(benchmarks=[tmp_path], sort="p5")
    with pytest.raises(UnknownOptionError, match="sorted"):
        compare(sorted="p50")  # type: ignore[call-arg]


def test_notebooks_show_the_recommendations(record: CompareRecord) -> None:
    shown = record._repr_html_()
    for board in record.leaderboard.machines:
        assert f"<strong>{board.card.title}</strong>" in shown
