"""Results in a notebook: a short table with the terminal's columns."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_sample import CELLS, read_sample, write_sample

from tledge.bench import BenchRecord, summarize
from tledge.bench.report.recommendation_card import recommendation_card
from tledge.bench.results.recommendation import recommend
from tledge.bench.results.stored_results import StoredResults

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> StoredResults:
    return read_sample(write_sample(tmp_path_factory.mktemp("bench")), title="photos")


def cells(html: str) -> list[list[str]]:
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


def test_rows_are_a_table_with_the_columns_of_the_terminal(data: StoredResults) -> None:
    headings, *rows = cells(data.rows._repr_html_())
    assert headings[:5] == ["artifact", "target", "size", "top-1", "agrees"]
    assert "p50 ms" in headings
    assert "p90 bound" not in headings
    assert len(rows) == len(CELLS)
    assert {len(row) for row in rows} == {len(headings)}
    smallest = next(row for row in rows if row[0] == "dynamic.tflite")
    assert smallest[2] == "<b>2.6 MB</b>", "the best is bold"
    assert "int8.tflite ⚠ noisy" in [row[0] for row in rows]


def test_names_are_escaped(data: StoredResults) -> None:
    odd = [replace(item, artifact="<i>.tflite") for item in data.measurements]
    assert "&lt;i&gt;.tflite" in summarize(odd)._repr_html_()


def record_of(data: StoredResults, conclusion: str) -> BenchRecord:
    found = recommend(data)
    return BenchRecord(
        folder=data.folder,
        settings=data.known_settings,
        measurements=data.measurements,
        rows=data.rows,
        recommendation=found,
        card=recommendation_card(data, found),
        conclusions=(conclusion,),
    )


def test_a_record_shows_what_to_ship_first(data: StoredResults) -> None:
    shown = record_of(data, "int8 <b> is faster.")._repr_html_()
    assert shown.startswith("<p><strong>Ship float32.onnx on onnxruntime:cuda</strong></p><p>Runner-up: int8.tflite")
    assert "<p>int8 &lt;b&gt; is faster.</p><table>" in shown
    assert Path(data.folder.path).name in shown
    assert len(cells(shown)) == 1 + len(CELLS)


def test_the_text_of_a_record_is_short(data: StoredResults) -> None:
    text = repr(record_of(data, "int8 is faster."))
    assert "int8 is faster." in text
    assert "Ship float32.onnx" in text
    assert len(text) < 2000
