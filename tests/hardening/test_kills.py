"""Commands killed at random moments: the next command works, and nothing is lost, torn, orphaned or left behind.

Each kill is of the whole process group, as a shell's or a container's, or of the parent alone, as the kernel does when
memory runs out. ``--scale 20`` is the long version, of 100 kills.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import Finished, write_stripes

from tledge.bench.results.stored_results import read_stored
from tledge.core.artifact import read_artifact
from tledge.core.run_directory import RunDirectory

KILLS = 5
"""Per unit of ``--scale``."""

PATIENCE_S = 30.0
"""How long the children of a killed parent may take to end."""

LITTER = (".partial-", ".replacing", ".arriving", ".in-progress")
MARK = "TLEDGE_KILL_TEST"

TRAIN = (
    *("train", "--data", "photos", "--weights", "none", "--backbone", "mobilenet", "--alpha", "0.25"),
    *("--image-size", "32", "--epochs", "3", "--batch-size", "16"),
)
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": TRAIN,
    "export": ("export", "--quantize", "float32,dynamic", "--format", "tflite", "--overwrite"),
    "bench": ("bench", "--target", "litert:cpu:1", "--rounds", "2", "--seconds", "0.2"),
    "visualize": ("visualize", "features", "saliency", "--images", "1"),
    "adopt": (
        *("adopt", "elsewhere.tflite", "--labels", "labels.txt", "--input-range", "0..255", "--output", "logits"),
        "--overwrite",
    ),
    "predict": ("predict", "elsewhere.tflite", "photos"),
}
"""In the order in which each needs what the one before has made: the latest run is the last that was trained."""


@dataclass
class Place:
    """A working folder with a finished run, and a home and a folder for temporary files of its own."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.work / "runs" / "latest")

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"},
            **{"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp"), MARK: self.mark},
        }
        return subprocess.Popen(
            [sys.executable, "-P", "-c", "from tledge.cli.main import main; main()", *arguments],
            cwd=self.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *arguments: str) -> Finished:
        process = self.start(arguments)
        out, err = process.communicate(timeout=900)
        return Finished(process.returncode, out, err)

    def processes(self) -> list[int]:
        """The processes of commands that were started here."""
        wanted, found = f"{MARK}={self.mark}".encode(), []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    def results(self) -> Counter[bytes]:
        """The contents of all results files, earlier ones included."""
        return Counter(path.read_bytes() for path in self.work.rglob("results.jsonl") if ".partial-" not in str(path))

    def litter(self) -> list[str]:
        """What should not be there once a command has ended."""
        found = [path for path in (self.folder / "tmp").iterdir() if path.name != "tledge-bench.lock"]
        for root in (self.work, self.folder / "home"):
            found += [path for path in root.rglob("*") if path.name.startswith((*LITTER, "tledge-"))]
        runs = [RunDirectory(path) for path in (self.work / "runs").glob("[0-9]*")]
        found += [run.path for run in runs if not (run.manifest_path.exists() or run.begun.exists())]
        found += [run.checkpoints for run in runs if run.manifest_path.exists() and run.checkpoints.exists()]
        return [str(path.relative_to(self.folder)) for path in found]

    def torn(self) -> list[str]:
        """What does not fit together."""
        found = []
        run = self.run
        try:
            run.manifest()
            run.splits()
            read_artifact(run.model)
            for kept in (self.work / "runs").glob("[0-9]*"):
                bench = RunDirectory(kept).bench
                for folder in (bench, *(bench / "earlier").glob("*")) if bench.exists() else ():
                    read_stored(folder, complete=True)
                    found += [f"{folder}: no {name}" for name in ("report.md",) if not (folder / name).exists()]
                for path in (kept / "artifacts").glob("*.tflite"):
                    read_artifact(path)
                page = kept / "visualize" / "visualize.json"
                if page.exists():
                    shown = json.loads(page.read_text())
                    found += [name for name in (*shown["files"], shown["page"]) if not (self.work / name).exists()]
            if (self.work / "elsewhere.tflite.json").exists():
                read_artifact(self.work / "elsewhere.tflite")
        except Exception as error:  # noqa: BLE001 - whatever cannot be read is a finding
            found.append(f"{type(error).__name__}: {error}")
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = Place(tmp_path_factory.mktemp("kills"))
    for name in ("work", "home", "tmp"):
        (found.folder / name).mkdir()
    write_stripes(found.work / "photos", per_class=20)
    for name in ("train", "export", "bench", "visualize"):
        done = found.call(*COMMANDS[name])
        assert done.code == 0, done
    (found.work / "labels.txt").write_text("across\nupright\n")
    foreign = found.work / "elsewhere.tflite"
    foreign.write_bytes(_without_sidecar(found.run.artifacts / "float32.tflite"))
    done = found.call(*COMMANDS["adopt"])
    assert done.code == 0, done
    assert not found.litter()
    assert not found.torn()
    yield found
    for process in found.processes():
        os.kill(process, signal.SIGKILL)


def _without_sidecar(path: Path) -> bytes:
    """The model as a converter writes it: a sidecar is a ZIP archive after its end."""
    content = path.read_bytes()
    return content[: content.index(b"PK\x03\x04")]


@pytest.mark.slow
def test_after_a_kill_the_next_command_works_and_finds_everything(
    place: Place, scale: int, capsys: pytest.CaptureFixture[str]
) -> None:
    random_moment = random.Random(scale)
    seconds: dict[str, float] = {}
    faults: list[str] = []
    outcomes: Counter[str] = Counter()
    for number in range(KILLS * scale):
        name = list(COMMANDS)[number % len(COMMANDS)]
        alone = (number + number // len(COMMANDS)) % 2 == 1
        if name not in seconds:
            seconds[name] = _seconds(place, name)
        what = f"kill {number}, {'parent of' if alone else 'all of'} {name}"
        before, manifests = place.results(), _manifests(place)
        process = place.start(COMMANDS[name])
        moment = random_moment.uniform(0.05, 1.05) * seconds[name]
        try:
            process.communicate(timeout=moment)
            outcomes["ended before"] += 1
        except subprocess.TimeoutExpired:
            outcomes["killed"] += 1
            (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
        faults += [f"{what} after {moment:.1f} s: orphan {command}" for command in _orphans(place)]
        process.communicate()
        done = _next(place, name)
        if done.code != 0:
            faults.append(f"{what} after {moment:.1f} s: {done}")
        kinds = {"lost": _lost(place, before, manifests), "torn": place.torn(), "litter": place.litter()}
        faults += [f"{what} after {moment:.1f} s: {kind} {item}" for kind, items in kinds.items() for item in items]
        with capsys.disabled():
            print(f"{what} after {moment:.1f} of {seconds[name]:.1f} s; {len(faults)} faults so far", flush=True)
    with capsys.disabled():
        print(f"\n{KILLS * scale} kills: {dict(outcomes)}; {len(faults)} faults")
    assert not faults, "\n".join(faults)


def _seconds(place: Place, name: str) -> float:
    """How long a command takes undisturbed."""
    start = time.monotonic()
    done = place.call(*COMMANDS[name])
    assert done.code == 0, done
    return time.monotonic() - start


def _next(place: Place, name: str) -> Finished:
    """The next command: the same, or ``--resume`` if there is something to resume."""
    if name == "train":
        done = place.call("train", "--resume")
        if "nothing to resume" not in done.err:
            return done
    return place.call(*COMMANDS[name])


def _orphans(place: Place) -> list[str]:
    """The children that a killed command left; they are ended."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := place.processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    named = []
    for process in found:
        try:
            named.append(Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")[-120:])
            os.kill(process, signal.SIGKILL)
        except (OSError, ProcessLookupError):
            continue
    return named


def _manifests(place: Place) -> dict[str, bytes]:
    """The records of finished runs, and their models."""
    runs = [RunDirectory(path) for path in (place.work / "runs").glob("[0-9]*")]
    finished = [run for run in runs if run.manifest_path.exists()]
    return {str(path): path.read_bytes() for run in finished for path in (run.manifest_path, run.model)}


def _lost(place: Place, before: Counter[bytes], manifests: dict[str, bytes]) -> list[str]:
    """What was there before a kill and is not after the next command."""
    found = ["results"] if before - place.results() else []
    now = _manifests(place)
    return found + [name for name, content in manifests.items() if now.get(name) != content]
