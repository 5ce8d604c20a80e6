"""``tledge adopt`` as a user runs it."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from foreign_models import IMAGENET_MEAN, write_onnx
from PIL import Image
from support import check_one_line_error, stripes, tledge

from tledge.core.artifact import path_beside, read_artifact


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A foreign model of four classes, with its labels and a photo beside it."""
    (tmp_path / "labels.txt").write_text("north\neast\nsouth\nwest\n")
    Image.fromarray(stripes(vertical=True, seed=1)).save(tmp_path / "photo.png")
    return write_onnx(tmp_path / "model.onnx")


def test_options_describe_a_model_that_predict_then_takes(model: Path) -> None:
    folder = model.parent
    options = ["--labels", "labels.txt", "--input-range", "-1..1", "--output", "logits", "--photo", "photo.png"]
    done = tledge("adopt", "model.onnx", *options, cwd=folder)
    assert done.code == 0, done
    for part in ("[1, 3, 24, 24]", "nchw", "its shape", "-1..1", "given", "assumed; change it with --colour"):
        assert part in done.out, part
    assert done.out.splitlines()[-1] == "Next: tledge bench model.onnx --data PHOTOS"
    said = json.loads(tledge("predict", "model.onnx", "photo.png", "--json", cwd=folder).out)
    best = said["predictions"][0]
    assert f"photo.png   {best['label']} {best['score']:.3f}" in done.out


def test_json_holds_the_sidecar_and_where_it_is_from(model: Path) -> None:
    mean = ",".join(map(str, IMAGENET_MEAN))
    options = ["--labels", "labels.txt", "--input-range", "0..1", "--mean", mean, "--std", "0.25", "--json"]
    done = tledge("adopt", "model.onnx", *options, cwd=model.parent)
    record = json.loads(done.out)
    assert tuple(record["sidecar"]["preprocessing"]["mean"]) == IMAGENET_MEAN
    assert record["sidecar"]["preprocessing"]["std"] == [0.25] * 3
    assert record["sources"]["mean"] == "given"
    assert record["sources"]["output"] == "its outputs"
    assert record["predictions"] == []


def test_without_a_terminal_one_error_names_all_that_is_missing(model: Path) -> None:
    done = tledge("adopt", "model.onnx", cwd=model.parent)
    check_one_line_error(done, "does not declare its preprocessing or output", "--labels", "--input-range")
    assert not path_beside(model).exists()


def test_what_is_garbled_is_one_line(model: Path) -> None:
    folder = model.parent
    check_one_line_error(
        tledge("adopt", "model.onnx", "--input-range", "1..0", cwd=folder),
        "must be what pixel values 0 and 255 map to, such as 0..255, 0..1 or -1..1; received '1..0'",
    )
    check_one_line_error(tledge("adopt", "model.onnx", "--layout", "nhwv", cwd=folder), "Did you mean 'nhwc'")
    check_one_line_error(tledge("adopt", "gone.onnx", cwd=folder), "no model file 'gone.onnx'")
    check_one_line_error(tledge("adopt", "labels.txt", cwd=folder), "'labels.txt' is not a model file")
    options = ["--labels", "labels.txt", "--input-range", "0..1", "--photo", "labels.txt"]
    check_one_line_error(tledge("adopt", "model.onnx", *options, cwd=folder), "not a readable image")
    assert not path_beside(model).exists()


def test_at_a_terminal_it_asks_and_asks_again(model: Path) -> None:
    typed = ["gone.txt", "labels.txt", "", "0..1", "0.5", "", ""]  # labels twice, colour, range, mean, std, resize
    screen = _converse(["adopt", "model.onnx"], typed, model.parent)
    for part in ("one class per line", "cannot read the labels in 'gone.txt'", "[rgb]", "[none]", "Saved in"):
        assert part in screen, screen
    preprocessing = read_artifact(model).sidecar.preprocessing
    assert preprocessing is not None
    assert (preprocessing.input_range, preprocessing.mean, preprocessing.std) == ((0, 1), (0.5, 0.5, 0.5), ())
    assert read_artifact(model).sidecar.class_names == ("north", "east", "south", "west")


def _converse(arguments: list[str], typed: list[str], folder: Path, patience: float = 120) -> str:
    """Runs the command line on a terminal, answering each question; returns what was on the screen."""
    ours, theirs = pty.openpty()
    code = "from tledge.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        start_new_session=True,
    )
    os.close(theirs)
    screen, waiting, ends = "", list(typed), time.monotonic() + patience
    read_to = 0
    try:
        while time.monotonic() < ends:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    content = os.read(ours, 4096)
                except OSError:  # the other end is closed
                    break
                if not content:
                    break
                screen += content.decode("utf-8", "replace")
            if waiting and screen[read_to:].rstrip("\n").endswith(": "):
                read_to = len(screen)
                os.write(ours, f"{waiting.pop(0)}\n".encode())
        assert process.wait(10) == 0, screen
    finally:
        process.kill()
        os.close(ours)
    assert not waiting, screen
    return screen


def test_a_mean_in_other_units_than_the_range_is_refused(tmp_path: Path) -> None:
    write_onnx(tmp_path / "model.onnx")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    mixed = ("--input-range", "0..1", "--mean", "127.5", "--std", "127.5")
    done = tledge("adopt", "model.onnx", "--labels", "labels.txt", *mixed, cwd=tmp_path)
    check_one_line_error(
        done, "pixel values 0 to 255 map to -1..-0.9922", "give --mean and --std in the units of --input-range"
    )
    assert not (tmp_path / "model.onnx.json").exists()
