"""Signals at many moments: no traceback, no orphan, and what was measured is kept."""

import itertools
import json
import random
import signal
import time
from pathlib import Path

import pytest
from running_commands import running

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

PYTHON_STARTS = 0.15
"""Seconds in which Python itself starts on a busy machine, before tledge can handle a signal."""

BENCH = ("bench", "float32.tflite", "float32.onnx", "--rounds", 3, "--seconds", 0.3, "--target", "litert:cpu:1")
BENCH = (*BENCH, "--target", "onnxruntime:cpu:1", "--json")


@pytest.fixture(scope="module")
def folder(tiny_artifacts: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model files and photos for every command; results of each trial go to a folder of their own."""
    folder = tmp_path_factory.mktemp("signals")
    for name in ("float32.tflite", "float32.onnx", "float32.keras"):
        (folder / name).write_bytes((tiny_artifacts / name).read_bytes())
    (folder / "photos").symlink_to(photos)
    return folder


COMMANDS = {
    "help": ("--help",),
    "doctor": ("doctor",),
    "predict": ("predict", "float32.tflite", "photos"),
    "adopt": ("adopt", "float32.tflite", "--output", "adopted.tflite"),
    "train": ("train", "--data", "photos", "--weights", "none", "--image-size", "32", "--epochs", "200"),
    "export": ("export",),
    "visualize": ("visualize",),
    "demo": ("demo",),
    "bench": BENCH,
}


def started(command_line: str, pid: int) -> bool:
    """Whether the process handles SIGTERM by now, as /proc shows it: Python itself has started."""
    caught = int(next(line for line in command_line.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught & 1 << (signal.SIGTERM - 1))


def wait_until_handled(pid: int) -> None:
    """Waits until the process handles signals."""
    status = Path(f"/proc/{pid}/status")
    while status.exists() and "SigCgt" in (text := status.read_text()) and not started(text, pid):
        time.sleep(0.001)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_is_one_line_and_leaves_no_process(folder: Path, name: str, scale: int) -> None:
    generator = random.Random(f"moments of {name}")
    for number in itertools.islice(itertools.cycle(SIGNALS), max(1, round(0.6 * scale)) if scale > 1 else 1):
        delay = generator.uniform(0, 0.3 if name in ("help", "doctor") else 3.0)
        with running(*COMMANDS[name], cwd=folder) as command:
            wait_until_handled(command.process.pid)
            time.sleep(delay)
            code, out, err = command.end(number, group=generator.random() < 0.5)
            where = f"{name}, {number!r} after {delay:.3f} s: {code} {out[-300:]} {err[-2000:]}"
            assert "Traceback" not in out + err, where
            assert "Exception ignored" not in out + err, where
            assert code in (0, 1, 2, SIGNALS[number]), where
            if code == SIGNALS[number] and err:
                assert err.splitlines()[-1].startswith("tledge: interrupted"), where
            assert not command.orphans(), where


def test_the_first_tenths_of_a_second(tmp_path: Path, scale: int) -> None:
    for delay in range(0, 300, max(5, 60 // scale)):
        with running("--help", cwd=tmp_path) as command:
            wait_until_handled(command.process.pid)
            time.sleep(delay / 1000)
            code, out, err = command.end(signal.SIGINT)
        assert (code, err) in ((130, "tledge: interrupted\n"), (130, ""), (0, "")), (delay, code, out, err)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_a_benchmark_keeps_what_was_measured(folder: Path, tmp_path: Path, number: int, group: bool) -> None:
    output = tmp_path / "results"
    with running(*BENCH, "--rounds", 100, "--output", output, cwd=folder) as command:
        while len(command.descendants()) < 2:
            assert command.process.poll() is None
            time.sleep(0.02)
        time.sleep(6)  # of several rounds
        code, out, err = command.end(number, group=group)
        assert code == SIGNALS[number], (out, err)
        assert "results measured so far are in" in err.splitlines()[-1]
        assert not command.orphans()
    rows = [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]
    assert {"latency_p50", "peak_memory"} <= {row["metric"] for row in rows}
    assert json.loads((output / "run.json").read_text())["interrupted"] is True
