"""A training that is killed at any moment goes on and ends as if nothing had been."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import check_one_line_error, lazy_module, rows_of, tledge, write_random_weights

from tledge.core.errors import RunError
from tledge.core.run_directory import RunDirectory
from tledge.train import train

lazy_module("keras")

EPOCHS = 6

INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever runs the tests in the background has off
from tledge.cli.main import main
main()
"""


def arguments(photos: Path, weights: Path) -> list[str]:
    return [
        *("train", "--data", str(photos), "--backbone", "mobilenet", "--alpha", "0.25", "--weights", str(weights)),
        *("--image-size", "32", "--batch-size", "8", "--epochs", str(EPOCHS), "--patience", "99"),
        *("--fine-tune-from", "4", "--learning-rate", "1e-3"),
    ]


def figures_of(run: RunDirectory) -> dict[str, float]:
    return {
        name: value for name, value in run.manifest().metrics.items() if name not in ("seconds_training", "peak_memory")
    }


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_figures(photos: Path, tmp_path: Path) -> None:
    weights = write_random_weights(tmp_path / "random.weights.h5", "mobilenet", alpha=0.25)
    command = arguments(photos, weights)
    assert tledge(*command, cwd=tmp_path, env={"PYTHONHASHSEED": "1"}).code == 0
    undisturbed = RunDirectory(tmp_path / "runs" / "latest")
    disturbed = tmp_path / "disturbed"
    disturbed.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from tledge.cli.main import main; main()", *command],
        cwd=disturbed,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not list(disturbed.glob("runs/2*/checkpoints/epoch.npz")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (disturbed / "runs" / "latest").exists()
    done = tledge("train", "--resume", cwd=disturbed)
    assert done.code == 0, done
    assert "Resume    runs/" in done.out
    resumed = RunDirectory(disturbed / "runs" / "latest")
    assert rows_of(resumed.history) == rows_of(undisturbed.history)
    assert figures_of(resumed) == figures_of(undisturbed)
    assert not resumed.checkpoints.exists()
    check_one_line_error(
        tledge("train", "--resume", cwd=disturbed), "no unfinished run in 'runs'", "leave out --resume"
    )


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(photos: Path, tmp_path: Path) -> None:
    weights = write_random_weights(tmp_path / "random.weights.h5", "mobilenet", alpha=0.25)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", INTERRUPTIBLE, *arguments(photos, weights)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("runs/2*/checkpoints/begun.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "with tledge train --resume" in said.splitlines()[-1], said
    (unfinished,) = tmp_path.glob("runs/2*/checkpoints/begun.json")
    assert not (unfinished.parents[1] / "run.json").exists()


def test_options_do_not_go_with_resume(tmp_path: Path) -> None:
    check_one_line_error(
        tledge("train", "--resume", "--epochs", "3", "--batch-size", "32", cwd=tmp_path),
        "--resume continues a run with its own options; leave out --epochs, --batch-size",
    )
    check_one_line_error(tledge("train", "--run", "x", cwd=tmp_path), "needs --resume; received --run x")


def test_what_cannot_be_resumed_is_said(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no unfinished run in '.*none'"):
        train(resume=True, runs=tmp_path / "none")
    with pytest.raises(RunError, match="'.*other' is not an unfinished run"):
        train(resume=True, run="other", runs=tmp_path)
    train(data=photos, weights="none", backbone="mobilenet", alpha=0.25, image_size=32, epochs=1, runs=tmp_path)
    with pytest.raises(RunError, match="is finished: there is nothing to resume"):
        train(resume=True, run="latest", runs=tmp_path)
    _check_killed_at_the_end(RunDirectory((tmp_path / "latest").resolve()))


def _check_killed_at_the_end(run: RunDirectory) -> None:
    """A run whose process was killed after its record was written is finished, however it is named."""
    runs = run.path.parent
    elsewhere = runs / "elsewhere"
    elsewhere.mkdir()
    names: tuple[dict[str, Any], ...] = (
        *({"runs": runs}, {"runs": runs, "run": run.path.name}),
        *({"run": run.path}, {"run": str(run.path)}),
    )
    for options in names:
        run.in_progress_path.touch()
        assert train(resume=True, **options) == run.manifest()
        assert not run.in_progress_path.exists()
    for arguments in (("--runs", str(runs)), ("--run", f"../{run.path.name}")):
        run.in_progress_path.touch()
        (runs / "latest").unlink()
        done = tledge("train", "--resume", *arguments, cwd=elsewhere)
        assert (done.code, (runs / "latest").resolve()) == (0, run.path), done
        assert f"{run.path.name}\n" in done.out, done


def test_a_record_or_photos_that_changed_meanwhile_stop_it(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tledge.train import phases

    copied = tmp_path / "photos"
    shutil.copytree(photos, copied)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(phases, "train_epochs", interrupt)
        with pytest.raises(KeyboardInterrupt, match=r"continue '.*' with `train\(resume=True, runs='"):
            train(data=copied, weights="none", backbone="mobilenet", alpha=0.25, image_size=32, runs=tmp_path / "runs")
    (begun,) = tmp_path.glob("runs/*/checkpoints/begun.json")
    written = begun.read_text()
    begun.write_text(written.replace('"mobilenet"', '"mobilnet"'))
    with pytest.raises(RunError, match=r"' cannot be continued: unknown backbone 'mobilnet'\. Did you mean"):
        train(resume=True, runs=tmp_path / "runs")
    begun.write_text(written)
    os.utime(copied / "across" / "000.jpg")
    (copied / "across" / "000.jpg").write_bytes((copied / "across" / "001.jpg").read_bytes())
    with pytest.raises(RunError, match=r"000.jpg' has changed since this run was trained"):
        train(resume=True, runs=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()), "the run is still there"
