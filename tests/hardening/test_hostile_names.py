"""Names of classes, photos, files and runs, and metadata of models, are data in every output."""

from __future__ import annotations

import csv
import io
import json
import logging
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from card_sample import card
from command_trials import CommandForks
from comparison_sample import Planted, write_bench
from hostile_names import (
    FILE_NAMES,
    HOSTILE,
    HUGE,
    LEGIT,
    MARK,
    Page,
    check_inside,
    check_markdown,
    check_page,
    check_terminal,
    hidden_in,
)
from report_sample import CELLS, Made, read_sample, write_sample
from support import TINY_SIDECAR, write_stripes

from tledge.bench.earlier.comparison import compare_with_earlier
from tledge.bench.report import write_html, write_markdown
from tledge.bench.report.markdown import write_card_section
from tledge.bench.results.rows import summarize
from tledge.bench.results.settings import BenchSettings, Skipped
from tledge.bench.results.stored_results import StoredResults, read_stored
from tledge.bench.results.table_files import write_table
from tledge.cli.bench_table import bench_table
from tledge.cli.comparison_table import comparison_table
from tledge.cli.escaping_console import EscapingConsole
from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.progress_display import ProgressBars, ProgressLines
from tledge.cli.shell_text import shell_word
from tledge.cli.systemd_unit import Service, unit_text
from tledge.cli.terminal import Terminal
from tledge.core.artifact import read_artifact, write_artifact
from tledge.core.csv_text import text_of_cell, utf8_text
from tledge.core.errors import OptionError
from tledge.core.label_file import read_labels
from tledge.core.measurement import read_results
from tledge.core.run_directory import RunDirectory
from tledge.core.terminal_text import printable_text
from tledge.visualize.page import notebook_html, write_page
from tledge.visualize.pictures import Grid, Tile, slug
from tledge.visualize.section import Section, Table

NAMES = (*HOSTILE, *LEGIT)
HARMLESS = tuple(f"class {number}" for number in range(len(NAMES)))


@contextmanager
def terminal(as_json: bool = False) -> Iterator[Terminal]:
    log = LibraryLog()
    try:
        yield Terminal(log, as_json, Interrupts(), "bench")
    finally:
        log.close(None)


def poison(folder: Path, names: Sequence[str]) -> None:
    """Writes names into the texts of a benchmark's records."""
    record = BenchSettings.load(folder)
    skipped = tuple(Skipped(name, "litert:cpu", f"because of {name}", failed=True) for name in names)
    more = {"run": names[0], "version": names[1], "rigor": names[2], "on": f"ssh:{names[3]}", "skipped": skipped}
    replace(record, **more, doubts=tuple(names)).save(folder)
    for place, path in enumerate(sorted((folder / "environments").glob("*.json"))):
        fields = json.loads(path.read_text())
        for at, name in enumerate(("host", "machine", "cpu", "governor", "os", "python")):
            fields[name] = names[(place + at) % len(names)]
        fields["packages"] = dict.fromkeys(names, names[-1])
        path.write_text(json.dumps(fields))


def cells_named(names: Sequence[str], flag: str) -> list[Made]:
    cells = [replace(CELLS[1], artifact=f"{name}.tflite", flags=(flag,)) for name in names]
    return [CELLS[0], *cells]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], StoredResults]:
    """Results of a benchmark with hostile names, or the same with harmless ones."""
    folder = tmp_path_factory.mktemp("results")
    files = FILE_NAMES[:8] + FILE_NAMES[-4:]
    for hostile in (True, False):
        names = files if hostile else [f"file {number}" for number in range(len(files))]
        flag = "]: a_flag\n# of a stranger" if hostile else "a_flag"
        bench = write_sample(folder / str(hostile), NAMES if hostile else HARMLESS, cells=cells_named(names, flag))
        poison(bench.path, NAMES if hostile else HARMLESS)
    return lambda hostile: read_sample(type(bench)(folder / str(hostile)), title=NAMES[6] if hostile else "title")


def test_html_report(results: Callable[[bool], StoredResults], tmp_path: Path) -> None:
    for hostile in (True, False):
        write_html(results(hostile), tmp_path / f"{hostile}.html")
    content, harmless = ((tmp_path / f"{hostile}.html").read_text() for hostile in (True, False))
    check_page(content, harmless, LEGIT)
    assert content.count("<script") == 1
    assert r"\x1b]0;title\x07\x1b[2J\x1b[31mred" in content
    assert "{{ 7 * 7 }}" in content


def test_markdown_report(results: Callable[[bool], StoredResults], tmp_path: Path) -> None:
    for hostile in (True, False):
        write_markdown(results(hostile), tmp_path / f"{hostile}.md")
    content, harmless = ((tmp_path / f"{hostile}.md").read_text() for hostile in (True, False))
    check_markdown(content, harmless)
    for name in LEGIT[:4]:
        assert name in content
    assert "[^---a_flag---of-a-stranger]: " in content


def test_tables(results: Callable[[bool], StoredResults], tmp_path: Path) -> None:
    data = results(True)
    path = write_table(data.measurements, "csv", tmp_path)
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    for row, item in zip(rows, data.measurements, strict=True):
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r", "\n")) for cell in row.values())
        assert text_of_cell(row["artifact"]) == utf8_text(item.artifact)
        assert float(row["value"]) == item.value
    assert any(row["artifact"].startswith("'=cmd") for row in rows) or "=cmd" not in str(FILE_NAMES[:8])
    assert read_results(data.folder.results) == list(data.measurements)
    lines = data.folder.results.read_bytes().decode()
    assert len(lines.splitlines()) == len(data.measurements)
    assert not hidden_in(lines)
    pytest.importorskip("pyarrow")
    write_table(data.measurements, "parquet", tmp_path)


def test_model_card(tmp_path: Path, results: Callable[[bool], StoredResults]) -> None:
    texts = []
    for hostile in (True, False):
        run = RunDirectory(tmp_path / str(hostile))
        run.path.mkdir()
        names = NAMES if hostile else HARMLESS
        more = {
            "names": names,
            "photos": [3] * len(names),
            "data": {"skipped": names, "name": names[23]},
            "source": f"/weights/{names[6] or 'x'}",
        }
        settings = {"dataset_name": names[25], "license": names[1], "backbone": "mobilenet"}
        run.model_card.write_text(card(run.path, **more, **settings))
        data = results(hostile)
        write_card_section(data, run, data.folder.path)
        texts.append(run.model_card.read_text())
    content, harmless = texts
    check_markdown(content, harmless)
    assert content.index("## Benchmark on") > content.index("## By class"), "not where a class has the sign for it"
    yaml = pytest.importorskip("yaml")
    header = yaml.safe_load(content.split("---\n", 2)[1])
    assert header["license"] == NAMES[1]
    assert header["datasets"] == [NAMES[25]]


def test_terminal_and_json(capfd: pytest.CaptureFixture[str]) -> None:
    with terminal() as shown:
        for name in (*NAMES, HUGE):
            shown.print(f"Saved: {name}")
            shown.print_line(name)
            shown.print_sentence(f"A sentence about {name}.")
            shown.print_command(f"tledge predict {shell_word(name)}")
            shown.heading(name)
            shown.note(name)
            shown.warn(f"'{name}' is odd")
            shown.fail(f"unknown class '{name}': {name}")
    out, err = capfd.readouterr()
    check_terminal(out)
    check_terminal(err)
    assert len(err.splitlines()) == 3 * (len(NAMES) + 1), "one line each"
    assert all(len(line) < 5000 for line in err.splitlines() if line.startswith("tledge:"))
    for name in LEGIT:
        assert f"\n{name}\n" in out
    with terminal(as_json=True) as shown:
        for name in NAMES:
            shown.print_json({name: [name, Path(name)]})
    lines = capfd.readouterr().out
    check_terminal(lines)
    assert [json.loads(line) for line in lines.splitlines()] == [{name: [name, str(Path(name))]} for name in NAMES]
    with terminal(as_json=True) as shown:
        shown.print_json({"scores": (float("nan"), -float("inf"), 0.5), "more": {"path": Path("a")}})
    assert json.loads(capfd.readouterr().out) == {"scores": [None, None, 0.5], "more": {"path": "a"}}


def test_bench_and_comparison_tables(results: Callable[[bool], StoredResults], tmp_path: Path) -> None:
    for width in (40, 120):
        stream = io.StringIO()
        console = EscapingConsole(file=stream, width=width, highlight=False, markup=False, emoji=False)
        console.print(bench_table(summarize(results(True).measurements), width))
        check_terminal(stream.getvalue())
    planted = [Planted(artifact=f"{name}.tflite", build=name) for name in ("\x1b[2J\nx", "عربي", "\u202ea")]
    old, new = (write_bench(tmp_path / name, seed, planted) for seed, name in enumerate(("old\x1b[31mred", "new")))
    stream = io.StringIO()
    console = EscapingConsole(file=stream, width=100, highlight=False, markup=False, emoji=False)
    console.print(comparison_table(compare_with_earlier(read_stored(new), read_stored(old)), 100))
    check_terminal(stream.getvalue())
    assert r"\x1b[2J\nx.tflite" in stream.getvalue()


def test_progress(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def work(progress: ProgressLines) -> None:
        for name in NAMES:
            progress.note(name, name)
            progress.warn(name)
            with progress.step(name, 2, "artifacts") as step:
                step.begin(name)
                step.mark(name)
                step.advance(1, name)
                step.finish(name)

    with terminal() as shown:
        work(ProgressLines(shown))
    out, err = capfd.readouterr()
    check_terminal(out + err)
    stream = io.StringIO()
    with terminal() as shown:
        console = EscapingConsole(file=stream, width=100, force_terminal=True, highlight=False, markup=False)
        monkeypatch.setattr(Terminal, "error_console", console)
        monkeypatch.setattr(Terminal, "console", console)
        work(ProgressBars(shown))
    check_terminal(stream.getvalue(), styles=True)
    assert "日本語の名前" in stream.getvalue()


def test_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8"))
    log = LibraryLog()
    assert log.path is not None
    for name in HOSTILE:
        log.record(OptionError(f"unknown class '{name}'"))
        logging.getLogger("tledge").warning("class %s", name)
    path = log.keep()
    log.close(None)
    assert path is not None
    content = path.read_text()
    path.unlink()
    assert "OptionError" in content
    assert not hidden_in(content)


def test_visualize_page_and_notebook(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pages, shown = [], []
    for names in (NAMES, HARMLESS):
        pixels = np.zeros((8, 8, 3), np.uint8)
        pictures = [
            Grid(f"ideal-{slug(name)}", name, name, [Tile(pixels, f"{name}\n{name}", name)], 4, 120) for name in names
        ]
        section = Section(
            title=names[0],
            sentences=names,
            pictures=pictures,
            tables=[Table(names[0], names, [names])],
            reference=names[0],
        )
        folder = tmp_path / str(len(pages))
        folder.mkdir()
        for picture in pictures[:40]:
            picture.save(folder)
        check_inside(folder)
        write_page({"ideal": section}, names[6], folder / "visualize.html")
        pages.append((folder / "visualize.html").read_text())
        shown.append(notebook_html({"ideal": section}, names[6]))
    check_page(*pages, LEGIT)
    check_page(*shown, LEGIT[:2])


def test_systemd_unit(tmp_path: Path) -> None:
    for name in HOSTILE:
        path = Path("/srv") / name.replace("\0", "")
        command = ("/usr/bin/tledge", "predict", str(path))
        service = Service(command=command, paths=(path,), folder=path, user="pi", memory=1)
        harmless = unit_text(replace(service, command=command[:2], paths=(Path("/a"),), folder=Path("/a")))
        with suppress(OptionError):
            unit = unit_text(service)
            assert unit.count("\n") == harmless.count("\n")
            assert not set(unit) & set("\x1b\r\x07\x00")


def test_commands_to_copy_are_those_paths() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    names = [name[:1000] for name in FILE_NAMES]
    words = " ".join(map(shell_word, names))
    check_terminal(words)
    done = subprocess.run([bash, "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True, env={"LC_ALL": "C"})
    assert done.stdout.decode(errors="surrogateescape").split("\0")[:-1] == names


def test_labels_files(tmp_path: Path) -> None:
    for name in NAMES:
        path = tmp_path / "labels.txt"
        path.write_text(f"{name}\nb", encoding="utf-8", errors="replace")
        with nullcontext() if name in LEGIT else suppress(OptionError):
            labels = read_labels(str(path))
            assert all(printable_text(label) == label for label in labels)
            assert name not in LEGIT or labels[0] == normalize("NFC", name)


def bare_model(artifact: Path) -> bytes:
    """The bytes of a TFLite file in front of its sidecar."""
    with zipfile.ZipFile(artifact) as archive:
        start = min(item.header_offset for item in archive.infolist())
    return artifact.read_bytes()[:start]


@pytest.fixture(scope="module")
def named_artifacts(tiny_artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of artifacts of three classes each, which together have all names."""
    folder = tmp_path_factory.mktemp("named")
    model = bare_model(tiny_artifacts / "float32.tflite")
    for first in range(0, len(NAMES), 3):
        names = (*NAMES[first : first + 3], "x", "y")[:3]
        sidecar = replace(TINY_SIDECAR, class_names=names, source_run=names[0], versions={names[1]: names[2]})
        write_artifact(folder / f"{first}.tflite", model, sidecar)
        read = read_artifact(folder / f"{first}.tflite").sidecar.class_names
        assert read == tuple(normalize("NFC", name) for name in names)
        with zipfile.ZipFile(folder / f"{first}.tflite") as archive:
            assert len(archive.read("labels.txt").decode().splitlines()) == 3
    return folder


def test_predict(named_artifacts: Path, tmp_path: Path) -> None:
    photos = write_stripes(tmp_path / "photos", per_class=1)
    whole = next(photos.rglob("*.jpg")).read_bytes()
    for number, name in enumerate(FILE_NAMES):
        content = whole if number % 2 else b"not a photo"
        (photos / f"{name}.jpg").write_bytes(content)
    count = len(FILE_NAMES) + 2
    with CommandForks() as commands:
        for path in sorted(named_artifacts.glob("*.tflite")):
            trial = commands.run("predict", path, "photos", "--top", 3, cwd=tmp_path)
            assert not trial.faults(), trial
            check_terminal(trial.out + trial.err)
            assert len(trial.out.splitlines()) == count + 1
            for name in read_artifact(path).sidecar.class_names:
                assert printable_text(name) in trial.out
        trial = commands.run("predict", path, "photos", "--json", cwd=tmp_path)
        assert not trial.faults(), trial
        check_terminal(trial.out)
        lines = [json.loads(line) for line in trial.out.splitlines()]
        assert {item["image"] for item in lines} >= {f"photos/{name}.jpg" for name in FILE_NAMES}
        assert len(lines) == count


def test_errors_name_them(tiny_artifacts: Path, tmp_path: Path) -> None:
    model = bare_model(tiny_artifacts / "float32.tflite")
    with CommandForks() as commands:
        for number, name in enumerate(FILE_NAMES):
            broken = tmp_path / f"{number}.tflite"
            write_artifact(broken, model, TINY_SIDECAR)
            beside = broken.with_name(f"{broken.name}.json")
            fields = {**TINY_SIDECAR.to_dict(), "resize": HOSTILE[number % len(HOSTILE)], "artifact_sha256": "0"}
            beside.write_text(json.dumps(fields))
            (tmp_path / f"{name}.onnx").write_bytes(b"garbage")
            for arguments in (
                ("predict", broken.name, "x.jpg"),
                ("predict", f"{name}.onnx", "x.jpg"),
                ("adopt", f"{name}.onnx"),
                ("predict", broken.name, "x.jpg", f"--{name}"),
                ("bench", "--run", f"./{name}"),
            )[number % 5 : number % 5 + 2]:
                trial = commands.run(*arguments, cwd=tmp_path)
                assert not trial.faults(), trial
                assert trial.code in (1, 2), trial
                check_terminal(trial.out + trial.err)
                assert len(trial.err.splitlines()) <= 4, trial


def test_models_of_strangers(tmp_path: Path, scale: int) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from foreign_models import write_onnx

    with CommandForks() as commands:
        for number, name in enumerate(NAMES[: 6 * scale]):
            path = write_onnx(tmp_path / f"{number}.onnx", classes=3)
            model = onnx.load(path)
            text = name.encode(errors="replace").decode()
            for node in model.graph.node:
                node.input[:] = [text if item == "input" else item for item in node.input]
                node.name = text
            model.graph.input[0].name = text
            model.doc_string = model.producer_name = text
            onnx.helper.set_model_props(model, {"description": text, text: text, "classes": text})
            onnx.save(model, path)
            (tmp_path / "labels.txt").write_text("a\nb\nc\n")
            for more in ((), ("--labels", "labels.txt", "--output", "logits", "--input-range", "0..1")):
                trial = commands.run("adopt", path.name, *more, cwd=tmp_path)
                assert not trial.faults(), trial
                check_terminal(trial.out + trial.err)


@pytest.mark.slow
def test_bench_of_named_artifacts(named_artifacts: Path, tmp_path: Path) -> None:
    from support import tledge

    photos = write_stripes(tmp_path / "photos", per_class=2)
    (photos / "across").rename(photos / "red\x1b[31m")
    (photos / "upright").rename(photos / "=1+1")
    shutil.copytree(photos / "=1+1", photos / "<b>\u202e")
    model = bare_model(named_artifacts / "0.tflite")
    names = ("red\x1b[31m", "=1+1", "<b>\u202e")
    files = ["float32.tflite", "-a\x1b[2J\u202e.tflite"]
    for name in files:
        write_artifact(tmp_path / name, model, replace(TINY_SIDECAR, class_names=names))
    done = tledge(
        *("bench", *(f"./{name}" for name in files), "--data", "photos", "--rounds", 1, "--seconds", 0.1),
        *("--export", "csv", "--profile"),
        cwd=tmp_path,
    )
    assert done.code == 0, done
    check_terminal(done.out + done.err)
    (folder,) = tmp_path.glob("bench*")
    for name in ("report.html", "report.md", "results.jsonl", "run.json", "profile.json"):
        assert not hidden_in((folder / name).read_text().replace("\t", "")), name
    rows = list(csv.DictReader(io.StringIO((folder / "results.csv").read_bytes().decode(), newline="")))
    assert {text_of_cell(row["artifact"]) for row in rows} == set(files)
    assert "'-a" in {row["artifact"][:3] for row in rows}


@pytest.mark.slow
def test_chromium_runs_no_name(results: Callable[[bool], StoredResults], tmp_path: Path) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    write_html(results(True), tmp_path / "report.html")
    done = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--virtual-time-budget=3000", "--dump-dom", (tmp_path / "report.html").as_uri()),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    page: Any = Page(done.stdout.decode())
    assert not [element for element in page.elements if any(name.startswith("on") for name in element[1])]
    title = done.stdout.decode().partition("<title>")[2].partition("</title>")[0]
    assert title.strip() != MARK
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
