"""What a report says, and how."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_sample import CELLS, Made, read_sample, write_sample
from support import ROOT

from tledge.attacks.gradient_masking import MaskingSign
from tledge.bench.bench_api import _write_card
from tledge.bench.report import write_card_section, write_html, write_markdown
from tledge.bench.report.agreement import PredictionChange, agreements
from tledge.bench.report.conclusions import conclude, speed_text
from tledge.bench.report.plots.markers import COLOURS
from tledge.bench.report.recommendation_card import recommendation_card
from tledge.bench.results.columns import REPORT_COLUMNS
from tledge.bench.results.flags import MEANINGS
from tledge.bench.results.recommendation import recommend
from tledge.bench.results.settings import NOT_REACHED, Skipped
from tledge.bench.results.stored_results import StoredResults, read_stored
from tledge.bench.robustness.attack_examples import RobustnessRecord
from tledge.core import atomic
from tledge.core.errors import MeasurementError, MissingExtraError
from tledge.core.measurement import Measurement
from tledge.core.number_text import duration_text, listed, p_text
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.sizes import size_text


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> StoredResults:
    return read_sample(write_sample(tmp_path_factory.mktemp("bench")), title="photos <1>")


def page(data: StoredResults, folder: Path) -> str:
    write_html(data, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def markdown(data: StoredResults, folder: Path) -> str:
    write_markdown(data, folder / "report.md")
    return (folder / "report.md").read_text(encoding="utf-8")


class Headings(HTMLParser):
    """Levels of headings, ids, and the elements that would load something."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if re.fullmatch(r"h\d", tag):
            self.levels.append(int(tag[1]))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.loaded += [attributes[name] for name in ("src", "href", "srcset", "data") if name in attributes]
        for name in ("aria-labelledby", "aria-describedby"):
            self.references += attributes.get(name, "").split()


@pytest.mark.unit
def test_the_folder_is_read_as_it_was_written(data: StoredResults) -> None:
    assert len(data.rows) == len(data.raw_samples) == len(CELLS)
    assert data.targets == ("keras:cpu", "litert:cpu:2", "litert:cpu:1", "onnxruntime:cpu:2", "onnxruntime:cuda")
    assert len(data.predictions) == 7, "one for each artifact, on however many targets it ran"
    (machine,) = data.environments.values()
    assert machine.cpu == "AMD Ryzen 7 5800X 8-Core Processor"
    row = data.row("int8.onnx", "onnxruntime:cpu:2")
    assert row is not None
    assert row.value("top1") == pytest.approx(276 / 300)
    assert data.row("int8.onnx", "litert:cpu:2") is None


@pytest.mark.unit
def test_a_foreign_folder_is_one_error(tmp_path: Path) -> None:
    folder = write_sample(tmp_path)
    (tmp_path / "photos.json").write_text("{")
    with pytest.raises(MeasurementError, match=r"photos\.json.*benchmark again"):
        read_sample(folder, title="photos")
    sample = next((tmp_path / "samples").glob("int8.onnx@*"))
    sample.write_bytes(b"PK")
    with pytest.raises(MeasurementError, match=r"cannot read .*int8\.onnx@onnxruntime-cpu-2\.npz"):
        read_sample(folder, title="photos")
    (tmp_path / "results.jsonl").write_text("")
    with pytest.raises(MeasurementError, match="are empty"):
        read_sample(folder, title="photos")


@pytest.mark.unit
def test_conclusions_come_from_intervals(data: StoredResults) -> None:
    first, *others = conclude(data)
    fastest = data.row("int8.tflite", "litert:cpu:2")
    assert fastest is not None
    assert first == (
        f"int8.tflite is {speed_text(fastest)} than float32.tflite on litert:cpu:2, 0.31 of its size; accuracy is"
        " not significantly different (McNemar p = 1.00)."
    )
    assert fastest.verdict == "faster"
    assert re.match(r"1\.3\d× faster \(1\.[23]\d–1\.3\d\)", speed_text(fastest))
    assert others == ["Flagged as noisy: int8.tflite on litert:cpu:1."]


@pytest.mark.unit
def test_conclusions_do_not_repeat_the_card(data: StoredResults) -> None:
    without_gpu = tuple(item for item in data.measurements if item.target != "onnxruntime:cuda")
    other = replace(data, measurements=without_gpu)
    card = recommendation_card(other, recommend(other))
    assert card.title == "Ship int8.tflite on litert:cpu:2"
    assert conclude(other) == ["Flagged as noisy: int8.tflite on litert:cpu:1."]
    assert "Avoid int8.onnx: significantly less accurate, top-1 0.920 against 0.987 of float32.tflite." in card.why


def with_ratio(data: StoredResults, ratio: float, interval: tuple[float, float] | None) -> StoredResults:
    """Every latency ratio replaced."""
    return replace(
        data,
        measurements=tuple(
            replace(item, value=ratio, interval=interval) if item.metric == "latency_ratio" else item
            for item in data.measurements
        ),
    )


@pytest.mark.unit
@pytest.mark.parametrize("interval", [(0.6, 1.001), (0.97, 0.99), (0.9, 1.2), None])
def test_nothing_is_faster_unless_its_whole_interval_is(
    data: StoredResults, interval: tuple[float, float] | None
) -> None:
    sentences = conclude(with_ratio(data, 0.8, interval))
    none = "No artifact is significantly faster than float32.tflite and float32.onnx."
    untested = "No latency was compared: there are too few rounds for a test."
    assert sentences[0] == (none if interval else untested)
    assert not any(re.search(r"× (faster|slower)", sentence) for sentence in sentences)


@pytest.mark.unit
def test_what_is_slower_is_called_so(data: StoredResults) -> None:
    row = with_ratio(data, 1.5, (1.4, 1.6)).row("int8.tflite", "litert:cpu:2")
    assert row is not None
    assert speed_text(row) == "1.50× slower (1.40–1.60)"


@pytest.mark.unit
def test_what_is_faster_and_less_accurate_is_not_put_first(tmp_path: Path) -> None:
    cells = [
        Made("float32.onnx", "onnxruntime:cpu:2", 4.8, 900, 4),
        Made("int8.onnx", "onnxruntime:cpu:2", 3.1, 300, 40),
    ]
    first = conclude(read_sample(write_sample(tmp_path, cells=cells), title="photos"))[0]
    assert first == "Faster than float32.onnx, but less accurate: int8.onnx on onnxruntime:cpu:2."


@pytest.mark.unit
def test_an_interrupted_benchmark_says_so(data: StoredResults) -> None:
    def said(**changes: Any) -> str:
        return conclude(replace(data, settings=replace(data.settings, interrupted=True, **changes)))[-1]

    rounds = max(len(result.conditions) for result in data.raw_samples.values())
    early, reached = "The benchmark was stopped early", replace(data.settings, rounds=rounds).rounds
    assert said(rounds=reached) == f"{early}."
    assert said(rounds=reached, not_repeated=1) == f"{early}: 1 noisy or throttled round was not repeated."
    assert said(rounds=reached + 1) == f"{early}: some results have fewer rounds."
    skipped = (Skipped("a.onnx", "x", NOT_REACHED), Skipped("b.onnx", "", "no runtime"), Skipped("c", "x", NOT_REACHED))
    assert said(rounds=reached + 1, skipped=skipped, not_repeated=2) == (
        f"{early}: 2 results are missing, some results have fewer rounds and 2 noisy or throttled rounds were not"
        " repeated."
    )
    assert said(rounds=reached, attacks={"a": 1}) == f"{early}: not all robustness results are complete."


@pytest.mark.unit
def test_no_flag_claims_that_a_round_was_repeated() -> None:
    assert not [text for text in MEANINGS.values() if "repe" in text]


@pytest.mark.unit
def test_agreement_says_which_classes_changed(data: StoredResults) -> None:
    by_name = {item.artifact: item for item in agreements(data)}
    assert "model.keras" not in by_name
    changed = by_name["int8.onnx"]
    assert (changed.images, changed.changed, changed.now_right, changed.now_wrong) == (300, 20, 0, 20)
    assert set(changed.changes) == {PredictionChange("cat", "dog", 10), PredictionChange("dog", "cat", 10)}
    assert by_name["float32.tflite"].changes == ()
    assert agreements(replace(data, reference=None)) == []


@pytest.mark.unit
def test_the_markdown_table_has_every_cell_and_its_flags(data: StoredResults, tmp_path: Path) -> None:
    text = markdown(data, tmp_path)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(CELLS)
    assert len({line.count("|") for line in lines}) == 1, "as many columns in every line"
    assert text.startswith(
        "# photos \\<1\\>: 6 files on AMD Ryzen 7 5800X\n\n**Ship float32.onnx on onnxruntime:cuda**\n\n"
    )
    assert "\n\n- int8.tflite is 1.3" in text
    (noisy,) = (line for line in lines if "[^noisy]" in line)
    assert noisy.startswith("| int8.tflite[^noisy] | litert:cpu:1 |")
    assert "\n[^noisy]: noisy: other programs" in text
    assert "- int16x8.tflite on litert:cpu:2 failed: its process ended with exit code -9" in text
    assert "- float32.tflite on litert:gpu: no GPU answers: install a driver" in text
    assert "| **2.6 MB**\\* |" in next(line for line in lines if line.startswith("| dynamic.tflite"))
    assert "tledge bench --repeat results.jsonl" in text


def test_the_model_card_gets_the_main_figures_of_each_machine(data: StoredResults, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.model_card.write_text("# Card\n")
    write_card_section(data, run, run.bench)
    alone = run.model_card.read_text()
    table = [line for line in markdown(data, tmp_path).splitlines() if line.startswith("|")]
    assert [line for line in alone.splitlines() if line.startswith("|")] == table
    assert "\n## Benchmark\n\n**Ship float32.onnx on onnxruntime:cuda**\n\n" in alone
    assert "Full report: [bench/report.md](bench/report.md)\n\n[^noisy]: noisy" in alone
    assert "--repeat" not in alone
    assert data.settings is not None
    elsewhere = replace(data, settings=replace(data.settings, on="ssh:pi@192.168.1.5"))
    write_card_section(elsewhere, run, tmp_path / "bench-ssh-pi@192.168.1.5")
    write_card_section(data, run, run.bench)
    text = run.model_card.read_text()
    assert text.startswith(alone.rstrip())
    assert text.count("\n## Benchmark") == 2
    assert "\n## Benchmark on AMD Ryzen 7 5800X\n" in text
    assert not re.search("ssh|192|pi@", text.removeprefix(alone)), "cards are published"
    third = replace(data, settings=replace(data.settings, on="ssh:me@host"))
    write_card_section(third, run, tmp_path / "x")
    assert run.model_card.read_text().count("\n## Benchmark on AMD Ryzen 7 5800X\n") == 2
    text = page(elsewhere, tmp_path)
    assert "<span>ssh:pi@192.168.1.5</span>" in text
    assert f"per file and target, rigor {data.settings.rigor}</span>" in text


class Warnings(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def warn(self, text: str) -> None:
        self.texts.append(text)


@pytest.mark.unit
def test_a_card_that_cannot_be_written_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, progress = write_sample(tmp_path / "bench"), Warnings()
    card = tmp_path / "model_card.md"
    written = read_stored(folder.path, title="t", complete=True)
    card.write_bytes(b"\xff")
    _write_card(written, progress)
    assert card.read_bytes() == b"\xff"
    card.write_text("# Card\n")

    def fail(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write_bytes", fail)
        _write_card(written, progress)
    undecodable, denied = progress.texts
    assert undecodable.startswith(f"the figures were not written into '{card}': 'utf-8' codec can't decode byte 0xff")
    assert "Permission denied" in denied
    _write_card(written, progress)
    assert "## Benchmark" in card.read_text()
    assert len(progress.texts) == 2


@pytest.mark.unit
def test_tiny_files_have_a_size() -> None:
    assert [size_text(size) for size in (0, 312, 42_000, 140_000, 8_902_144)] == [
        "0.0 kB",
        "0.3 kB",
        "42.0 kB",
        "0.1 MB",
        "8.9 MB",
    ]
    assert [duration_text(ms) for ms in (0.01234, 0.5, 2.905, 34.51, 1204.4)] == [
        "0.0123",
        "0.500",
        "2.90",
        "34.5",
        "1,204",
    ]
    assert [p_text(p) for p in (0.0001, 0.0042, 0.62, 1.0)] == ["< 0.001", "0.004", "0.62", "1.00"]
    assert [listed(list("abc")[:count]) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert listed(list("abcd"), 2) == "a, b and 2 more"


@pytest.mark.unit
def test_the_best_of_a_column_is_marked_only_where_something_is_worse(data: StoredResults) -> None:
    size = next(column for column in REPORT_COLUMNS if column.metric.heading == "Size")
    assert [row.artifact for row in data.rows if size.cell(row)[3]] == ["dynamic.tflite"]


@pytest.mark.unit
def test_the_page_loads_nothing_and_its_parts_are_named(data: StoredResults, tmp_path: Path) -> None:
    text = page(data, tmp_path)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    found = Headings()
    found.feed(text)
    assert all(target.startswith(("#", "data:")) for target in found.loaded), found.loaded
    assert "url(" not in text
    assert "@import" not in text
    assert re.findall(r"https?://[^\"<\s]+", text.replace("http://www.w3.org/2000/svg", "")) == []
    assert len(found.ids) == len(set(found.ids))
    assert set(found.references) <= set(found.ids)
    assert found.levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(found.levels, found.levels[1:], strict=False))
    assert "photos &lt;1&gt;" in text
    assert "photos <1>" not in text


@pytest.mark.unit
def test_the_answer_comes_first(data: StoredResults, tmp_path: Path) -> None:
    text = page(data, tmp_path)
    parts = [
        "AMD Ryzen",
        "is 1.3",
        "All results",
        "Accuracy against latency",
        "Latency of single images",
        "Peak memory",
    ]
    parts += [
        "Throughput by batch size",
        "Confusion matrices",
        "Agreement with",
        "Machine and",
        "--repeat results.jsonl",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "Robustness" not in text


@pytest.mark.unit
def test_each_different_matrix_is_there_once_with_a_chooser(data: StoredResults, tmp_path: Path) -> None:
    text = page(data, tmp_path)
    labels = re.findall(r'<label for="matrix-\d">(.*?)</label>', text)
    assert labels[0] == "model.keras, float32.tflite, float16.tflite, float32.onnx"
    assert sorted(", ".join(labels).split(", ")) == sorted(data.predictions)
    inputs = re.findall(r'<input type="radio" name="matrix" id="matrix-\d"( checked)?>', text)
    assert inputs == [" checked", *[""] * (len(labels) - 1)]
    assert len(re.findall(r'id="confusion-\d"', text)) == len(labels)
    one = replace(data, cells=data.cells[:3])
    assert "All files have this matrix." in page(one, tmp_path)
    assert "<input" not in page(one, tmp_path)


@pytest.mark.unit
def test_counts_are_set_apart_from_the_classes(tmp_path: Path) -> None:
    text = page(read_sample(write_sample(tmp_path, class_names=tuple("0123456789")), title="digits"), tmp_path)
    assert re.search(r"<span>\d → \d: 1 photo</span>", text)
    assert re.search(r"<span>\d → \d: 2 photos</span>", text)
    assert 'loading="lazy"' not in text


@pytest.mark.unit
def test_what_was_not_measured_leaves_no_empty_section(tmp_path: Path) -> None:
    timed = read_sample(write_sample(tmp_path, class_names=(), photos=0), title="files")
    text = page(timed, tmp_path)
    for part in ("Accuracy against latency", "Confusion matrices", "Agreement with", "Test top-1", "McNemar"):
        assert part not in text
    assert "Latency of single images" in text
    lost = replace(timed, cells=())
    assert "Latency of single images" not in page(lost, tmp_path)
    assert "| int8.tflite" in markdown(lost, tmp_path)


def attacked_rows() -> list[Measurement]:
    """Two artifacts of which one holds out a little better, under PGD by transfer and Square directly."""

    def row(artifact: str, value: float, metric: str = "robust_accuracy", **params: Any) -> Measurement:
        return Measurement(
            artifact=artifact,
            artifact_sha256="0" * 64,
            target="litert:cpu:2",
            scenario="robustness",
            metric=metric,
            value=value,
            n=300,
            interval=(value - 0.01, value + 0.01),
            params={"norm": "linf", **params},
        )

    rows = []
    for artifact, more in (("float32.tflite", 0.0), ("int8.tflite", 0.02)):
        rows.append(row(artifact, 0.95, attack="none", setting="none", eps=0.0))
        for eps, value in ((1.0, 0.6), (4.0, 0.1)):
            rows.append(row(artifact, value, attack="pgd", setting="transfer", source="model.keras", eps=eps, steps=10))
            rows.append(
                row(artifact, value + 0.1, attack="square", setting="direct", source=artifact, eps=eps, steps=9)
            )
            rows.append(row(artifact, value + more, attack="worst", setting="all", eps=eps))
    test = {"only_this_right": 8, "only_baseline_right": 2, "against": "float32.tflite", "attack": "worst"}
    rows += [row("int8.tflite", p, "robust_mcnemar", eps=eps, **test) for eps, p in ((1.0, 0.02), (4.0, 0.4))]
    return rows


def test_robustness_is_drawn_where_it_was_measured(data: StoredResults, tmp_path: Path) -> None:
    attacked = replace(data, measurements=(*data.measurements, *attacked_rows()))
    text = page(attacked, tmp_path)
    assert re.findall(r"<h3>(.*L∞)</h3>", text) == [
        "worst of all attacks, L∞",
        "pgd, transfer from model.keras, L∞",
        "square, direct, L∞",
    ]
    drawn = text[text.index('id="robustness-1"') : text.index('id="robustness-2"')]
    assert len(re.findall(r'class="marker series-0"><title>', drawn)) == 3, "coincident curves are drawn once"
    assert "float32.tflite · litert:cpu:2 = int8.tflite · litert:cpu:2</li>" in text
    assert "float32.tflite · litert:cpu:2: 0.950 at 0, 0.600 at 1, 0.100 at 4" in drawn
    assert "int8.tflite · litert:cpu:2: 0.950 at 0, 0.600 at 1, 0.100 at 4" in drawn
    worst = text[text.index('id="robustness-0"') : text.index('id="robustness-1"')]
    assert len(re.findall(r'class="marker series-[01]"><title>', worst)) == 6, "two curves from clean accuracy on"
    assert '<td class="number">0.620<small>0.610–0.630</small></td>' in text
    assert '<td class="said">more robust at eps 1 (p 0.020)</td>' in text
    assert (
        "Robust accuracy under the worst of all attacks at L∞ eps 1/255 is 0.60 to 0.62 (300 photos); int8.tflite is"
        " more robust than float32.tflite." in conclude(attacked)
    )
    assert 'id="robustness' not in page(data, tmp_path), "where nothing was attacked"


@pytest.mark.unit
def test_signs_of_gradient_masking_are_shown(tmp_path: Path) -> None:
    folder = write_sample(tmp_path)
    RobustnessRecord(flags={"int8.tflite": (MaskingSign("gradient_masking", "sees <no> way"),)}).save(folder.robustness)
    data = read_sample(folder, title="photos")
    text = page(replace(data, measurements=(*data.measurements, *attacked_rows())), tmp_path)
    assert "<h3>Signs of gradient masking</h3>" in text
    assert "⚠ gradient masking</span> sees &lt;no&gt; way" in text


def test_a_matrix_of_many_classes_comes_with_a_list(tmp_path: Path) -> None:
    names = [f"class {index}" for index in range(37)]
    text = page(read_sample(write_sample(tmp_path, class_names=names), title="pets"), tmp_path)
    assert "class 0 → class 1: 1" in text


@pytest.mark.unit
def test_without_jinja2_the_error_names_the_extra(
    data: StoredResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"report\.html needs jinja2.*tledge\[bench\]"):
        write_html(data, tmp_path / "report.html")


def luminance(colour: str) -> float:
    """Relative luminance. Source: WCAG 2.2, definition of relative luminance."""
    channels = np.array([int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.unit
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_and_marks_can_be_seen(theme: int) -> None:
    """WCAG 2.2, success criteria 1.4.3 (AA: 4.5) and 1.4.11 (3)."""
    css = (ROOT / "bench" / "report" / "report.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", re.findall(r":root \{(.*?)\}", css, re.DOTALL)[theme]))
    for ground in ("paper", "panel", "accent-panel"):
        assert contrast(colours["ink"], colours[ground]) >= 7
    for text, ground in (
        ("soft", "paper"),
        ("soft", "panel"),
        ("accent", "paper"),
        ("accent", "panel"),
        ("warn", "warn-panel"),
    ):
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for number in range(COLOURS):
        assert contrast(colours[f"series-{number}"], colours["paper"]) >= 3, number
