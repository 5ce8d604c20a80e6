import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import HEEDING, ROOT, Finished, check_one_line_error, invoke, stripes, tledge, write_stripes

from tledge.cli.library_log import LibraryLog

COMMANDS = ["demo", "train", "export", "bench", "compare", "predict", "visualize", "adopt", "doctor"]

SMALL = ("--weights", "none", "--backbone", "mobilenet", "--alpha", "0.25", "--image-size", "32", "--epochs", "1")
"""Options of a training that takes seconds, of a model of about 1 MB."""


@pytest.mark.unit
def test_help_names_every_command_and_its_options(tmp_path: Path) -> None:
    out = invoke("--help", cwd=tmp_path).out
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", out)
        done = invoke(command, "--help", cwd=tmp_path)
        assert done.code == 0
        assert "--json" in done.out


def test_help_and_version_import_no_heavy_library(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from tledge.cli.main import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert loaded.isdisjoint(
        {"numpy", "PIL", "tensorflow", "keras", "onnx", "onnxruntime", "ai_edge_litert", "sklearn"}
    )
    assert re.fullmatch(r"tledge \d+\.\d+\.\d+\n", tledge("--version", cwd=tmp_path).out)


@pytest.mark.unit
def test_wrong_usage_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "model.txt").touch()
    for arguments in (
        ["no-such-command"],
        ["train", "--no-such-option"],
        ["predict"],
        ["train", "--epochs", "many"],
        ["train", "--backbone", "mobilnet"],
        ["train", "--epochs", "-1"],
        ["export", "--data", "photos"],
        ["bench", "--fail-on", "top1"],
        ["bench", "--seconds", "0"],
        ["visualize", "--kind", "dreams"],
        ["adopt", "model.txt"],
        ["export", "--run", "gone", "--quantize", "int9"],
        ["export", "--run", "gone", "--max-drop", "-1"],
        ["export", "--run", "gone", "--resize", "crop"],
        ["export", "--model", "gone.keras"],
        ["predict", "gone.tflite", "gone/*", ""],
        ["predict", "gone.tflite", "gone/*", "-", "-"],
        ["predict", "gone.tflite", "gone/*", "--target", "litert:cpu:none"],
        ["predict", "gone.tflite", "gone/*", "--target", "lightrt"],
        ["predict", "gone.tflite", "gone/*", "--camera", "front door"],
        ["predict", "gone.tflite", "--camera", "front door", "--systemd"],
    ):
        assert invoke(*arguments, cwd=tmp_path).code == 2, arguments
    for arguments in (["export"], ["bench"], ["predict", "gone.tflite", "gone/*"], ["adopt", "gone.tflite"]):
        assert invoke(*arguments, cwd=tmp_path).code == 1, arguments


@pytest.mark.unit
def test_without_arguments_it_prints_its_help(tmp_path: Path) -> None:
    assert invoke(cwd=tmp_path) == invoke("--help", cwd=tmp_path)


def test_the_shell_completes_commands(tmp_path: Path) -> None:
    env = {"_TLEDGE_COMPLETE": "complete_bash", "COMP_WORDS": "tledge ", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'tledge'\nfrom tledge.cli.app import app; app(prog_name='tledge')"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) >= set(COMMANDS), done


def test_doctor_tells_people_and_machines_the_same(tmp_path: Path) -> None:
    report = json.loads(invoke("doctor", "--json", cwd=tmp_path).out)
    shown = " ".join(invoke("doctor", cwd=tmp_path).out.split())
    assert report["environment"]["cpu"] in shown
    for target in report["targets"]:
        assert target["name"] in shown
        assert target["missing"] in shown
    names = {target["name"]: target["missing"] for target in report["targets"]}
    assert any(name.startswith("litert:cpu:") and not missing for name, missing in names.items())
    for packages in report["packages"].values():
        for name, version in packages.items():
            assert name in shown
            assert version is None or version in shown


def test_doctor_lists_what_each_extra_brings(tmp_path: Path) -> None:
    import tomllib

    report = json.loads(invoke("doctor", "--json", cwd=tmp_path).out)["packages"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {"base": project["dependencies"], **project["optional-dependencies"]}
    for extra, packages in report.items():
        wanted = {re.split(r"[>=\[;]", requirement)[0].lower() for requirement in declared[extra]} - {"tledge"}
        shown_elsewhere = {name.lower() for other, found in report.items() if other != extra for name in found}
        assert wanted - shown_elsewhere <= {name.lower() for name in packages}, extra


def test_predict_names_what_it_cannot_read_and_goes_on(tiny_artifacts: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "porch [1]"
    (folder / "deep").mkdir(parents=True)
    Image.fromarray(stripes(True, 1)).save(folder / "a b.png")
    Image.fromarray(stripes(False, 2)).save(folder / "deep" / "ü.jpg")
    (folder / "broken.jpg").write_bytes(b"no photo")
    artifact = tiny_artifacts / "float32.tflite"
    done = tledge("predict", artifact, folder, cwd=tmp_path)
    assert done.code == 1
    assert "2 images, 1 unreadable" in done.out
    assert re.search(r"porch \[1\]/a b\.png(   (cat|dog|emu) 0\.\d{3}){3} +\d+\.\d ms", done.out)
    assert "broken.jpg' (8 bytes) has an unknown image format" in done.out
    assert done.err == ""
    rows = [json.loads(line) for line in tledge("predict", artifact, folder, "--json", cwd=tmp_path).out.splitlines()]
    assert [Path(row["image"]).name for row in rows] == ["a b.png", "broken.jpg", "ü.jpg"]
    assert "error" in rows[1]
    assert [len(row["predictions"]) for row in rows if "predictions" in row] == [3, 3]
    single = tledge("predict", artifact, folder / "a b.png", "--top", 3, "--target", "litert:cpu:1", cwd=tmp_path)
    assert single.code == 0
    assert "1 image\n" in single.out


def test_predict_refuses_in_one_line(tiny_artifacts: Path, tmp_path: Path) -> None:
    artifact = tiny_artifacts / "float32.tflite"
    check_one_line_error(invoke("predict", "gone.tflite", "a.jpg", cwd=tmp_path), "cannot read model 'gone.tflite'")
    (tmp_path / "empty").mkdir()
    check_one_line_error(invoke("predict", artifact, "empty", cwd=tmp_path), "no images in folder 'empty'")
    (tmp_path / "cut.tflite").write_bytes(artifact.read_bytes()[:-300])
    check_one_line_error(invoke("predict", "cut.tflite", "a.jpg", cwd=tmp_path), "'cut.tflite' is damaged")
    (tmp_path / "empty.onnx").touch()
    check_one_line_error(invoke("predict", "empty.onnx", "a.jpg", cwd=tmp_path), "'empty.onnx' is empty (0 bytes)")
    shutil.copy(tiny_artifacts / "float32.onnx", tmp_path / "m.onnx")
    shutil.copy(tiny_artifacts / "float32.tflite.json", tmp_path / "m.onnx.json")
    check_one_line_error(invoke("predict", "m.onnx", "a.jpg", cwd=tmp_path), "'m.onnx.json' does not match 'm.onnx'")


def test_training_refuses_in_one_line_and_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    shutil.copytree(photos / "across", one / "across")
    cases = [
        (["--data", "gone"], ["no such folder: 'gone'"]),
        (["--data", one], ["only one class", "'across'"]),
        (["--backbone", "mobilnet"], ["unknown backbone 'mobilnet'. Did you mean 'mobilenet'?"]),
        (["--data", photos, "--image-size", "8"], ["not support images of 8 px", "--image-size between 32 and 1024"]),
        (["--data", photos, "--image-size", "0"], ["does not support images of 0 px"]),
        (["--seed", str(2**40)], ["--seed must be between 0 and 4294967295"]),
        (["--data", photos, "--weights", "", "--image-size", "32"], ["no weights file"]),
        (["--data", photos, "--weights", "imagnet"], ["no weights file 'imagnet'. Did you mean 'imagenet'? --weights"]),
        (["--data", photos, "--weights", "gone.h5", "--image-size", "32"], ["no weights file 'gone.h5'"]),
    ]
    for arguments, parts in cases:
        check_one_line_error(invoke("train", *arguments, cwd=tmp_path), *parts)
    (tmp_path / "broken" / "a").mkdir(parents=True)
    shutil.copytree(photos / "across", tmp_path / "broken" / "b")
    (tmp_path / "broken" / "a" / "cut.jpg").write_bytes((photos / "across" / "000.jpg").read_bytes()[:200])
    check_one_line_error(invoke("train", "--data", "broken", cwd=tmp_path), "a/cut.jpg'", "--skip-broken")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_a_missing_extra_is_named(photos: Path, tmp_path: Path) -> None:
    hidden = ROOT / "tests" / "bench" / "without_keras"
    env = {"PYTHONPATH": os.pathsep.join(filter(None, [str(hidden), os.environ.get("PYTHONPATH")]))}
    check_one_line_error(
        tledge("train", "--data", photos, cwd=tmp_path, env=env), "training needs", "pip install 'tledge[train]'"
    )


def test_a_disk_that_cannot_be_written_is_said(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_one_line_error(
        invoke("train", "--data", photos, "--weights", "none", "--runs", "file/runs", cwd=tmp_path),
        "cannot read or write 'file/runs",
    )


def test_a_full_disk_is_said_and_leaves_nothing_half_written(photos: Path, tmp_path: Path) -> None:
    # The limit on a file's size stands in for a full disk: the write of the model fails half-way.
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "from tledge.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "--data", photos, *SMALL],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    assert done.stderr.splitlines()[-1].startswith("tledge: "), done
    assert "Traceback" not in done.stderr
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.name.startswith(".partial-")]
    assert not (tmp_path / "runs" / "latest").exists()
    resumed = tledge("train", "--resume", cwd=tmp_path)
    assert resumed.code == 0, "with room on the disk again, it goes on"


def test_a_full_disk_at_export_leaves_no_artifact(tmp_path: Path) -> None:
    photos = write_stripes(tmp_path / "photos", per_class=4)
    made = tledge("train", "--data", photos, *SMALL, cwd=tmp_path)
    assert made.code == 0, made
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "from tledge.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "export", "--quantize", "float32", "--format", "tflite"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tledge: ")]
    assert "File too large" in line
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs" / "latest").rglob("*.tflite"))


def test_without_a_folder_for_temporary_files_commands_still_work(tmp_path: Path) -> None:
    nowhere = "import tempfile; tempfile.mkstemp = lambda **_: (_ for _ in ()).throw(OSError(30, 'Read-only'))\n"
    code = nowhere + "from tledge.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "litert:cpu" in done.stdout


@pytest.mark.unit
@pytest.mark.parametrize(
    "place",
    [
        "tledge.cli.app.importlib.import_module",
        "tledge.cli.command_builder.GroupedCommand.parse_args",
        "tledge.cli.app.LazyGroup.parse_args",
        "tledge.cli.execution.LibraryLog.__init__",
    ],
)
def test_ctrl_c_outside_of_a_command_is_one_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupt)
    assert invoke("doctor", cwd=tmp_path) == Finished(130, "", "tledge: interrupted\n")


@pytest.mark.unit
def test_ctrl_c_after_a_command_is_one_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = LibraryLog.close

    def interrupt(self: LibraryLog, keep_as: Path | None) -> None:
        close(self, keep_as)
        raise KeyboardInterrupt

    monkeypatch.setattr(LibraryLog, "close", interrupt)
    done = invoke("adopt", "gone.tflite", cwd=tmp_path)
    assert (done.code, done.err.splitlines()[1:]) == (130, ["tledge: interrupted"])


def test_ctrl_c_is_one_line_and_leaves_no_run(tmp_path: Path) -> None:
    photos = write_stripes(tmp_path / "photos", per_class=40)
    command = [sys.executable, "-c", HEEDING + "from tledge.cli.main import main; main()"]
    process = subprocess.Popen(
        [*command, "train", "--data", str(photos), "--weights", "none", "--image-size", "64", "--epochs", "500"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list((tmp_path / "runs").glob("*/splits.json")):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (out, err)
    assert err.splitlines()[-1].startswith("tledge: interrupted"), err
    assert "Traceback" not in err
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_bug_is_one_line_with_the_log_kept(tmp_path: Path) -> None:
    code = (
        "import tledge.cli.commands.doctor as doctor\n"
        "doctor._targets = lambda: 1 / 0\n"
        "from tledge.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    match = re.fullmatch(r"tledge: internal error: ZeroDivisionError: .*; please report it with the log (\S+)", line)
    assert match, line
    log = Path(match[1])
    assert "Traceback" in log.read_text()
    log.unlink()
