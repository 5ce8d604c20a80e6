"""A folder on another machine that holds all a benchmark needs: tledge in a virtual environment, model files, photos.

It is called by what it holds and what is to be measured, so that a benchmark that was cut off finds it again, with the
rounds that it has measured. In the end it is removed.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from tledge.bench.places.remote import remote_receiver
from tledge.bench.places.remote.connection import Connection
from tledge.core.environment import installed_versions
from tledge.core.errors import HostError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.progress import Progress
from tledge.core.sizes import size_text

PINNED = ("numpy", "pillow", "ai-edge-litert", "onnxruntime")
"""Distributions of which the other machine gets the version that is installed here: others may answer otherwise."""

OLDEST_PYTHON = (3, 11)
NEEDED = 400_000_000
"""Bytes that the virtual environment takes, with room to spare."""


@dataclass(frozen=True)
class Machine:
    """The other machine, before anything was copied.

    Attributes:
        folder: where its workplaces stand.
        free: bytes.
    """

    folder: PurePosixPath
    free: int


class Workplace:
    """The folder on the other machine.

    Args:
        connection: to it.
        wheel: of the tledge that is to run there.
        settings: whatever else decides what is measured; a workplace is found again by the same.
        progress: is told what happens.

    Raises:
        HostError: the machine cannot be reached, or cannot run tledge.
        ConnectionLostError: the connection was lost for good.
    """

    def __init__(self, connection: Connection, wheel: Path, settings: Mapping[str, Any], progress: Progress) -> None:
        self._connection = connection
        self._wheel = wheel
        self._progress = progress
        machine = _look(connection)
        identity = json.dumps([sha256_of_file(wheel), settings], sort_keys=True, default=str)
        self.folder = machine.folder / sha256(identity.encode()).hexdigest()[:16]
        self.rounds = self.folder / "rounds"
        self._check_room(machine)

    def install(self, *, onnx: bool) -> None:
        """Makes the virtual environment, unless it is there: tledge, and ONNX Runtime where that is needed."""
        self.copy({self._wheel.name: self._wheel}, "tledge")
        self._make_environment(self._wheel.name, onnx=onnx)

    @property
    def python(self) -> PurePosixPath:
        """The interpreter that holds tledge."""
        return self.folder / "venv/bin/python"

    def run_module(self, name: str, *arguments: str | PurePosixPath, purpose: str, content: bytes = b"") -> bytes:
        """Runs one of tledge's modules there, and returns what it printed."""
        command: list[str | PurePath] = [str(self.python), "-P", "-m", name, *map(str, arguments)]
        return self._connection.run(command, purpose=purpose, content=content)

    def copy(self, files: Mapping[str, Path], what: str) -> None:
        """Copies what is not there yet.

        Args:
            files: files here by their names below the folder there.
            what: what people call them ("photos").
        """
        manifest = {name: sha256_of_file(path) for name, path in files.items()}
        missing = self._missing(manifest)
        if not missing:
            return
        with tempfile.TemporaryDirectory() as folder:
            packed = Path(folder) / "files.tar"
            with tarfile.open(packed, "w", format=tarfile.PAX_FORMAT, dereference=True) as archive:
                for name in missing:
                    archive.add(files[name], arcname=name, recursive=False)
            command: list[str | PurePath] = [*_receiver("receive"), self.folder]
            with self._progress.step(f"Copy {what}", packed.stat().st_size, "bytes") as step:
                self._connection.run(command, purpose=f"take the {what}", content=packed, step=step)
        lost = self._missing(manifest)
        if lost:
            raise HostError(
                f"'{self._connection.host}' has not all of the {what} after they were copied: {lost[0]} is missing or"
                " another one; check its disk"
            )

    def remove(self) -> None:
        """Removes the folder, and tledge's own above it where they are empty then."""
        script = (
            'pkill -f -- "$1/venv/" && sleep 1\n'  # what was begun there and is not waited for any more
            'rm -rf -- "$1" && rmdir --ignore-fail-on-non-empty -- "$2" "$3"'
        )
        command: list[str | PurePath] = ["sh", "-c", script, "sh", self.folder, *self.folder.parents[:2]]
        self._connection.run(command, purpose=f"remove '{self.folder}'")

    def _check_room(self, machine: Machine) -> None:
        if machine.free < NEEDED and not self._exists(self.folder / "venv/ready"):
            raise HostError(
                f"'{self._connection.host}' has {size_text(machine.free)} free in '{machine.folder}'; a benchmark needs"
                f" {size_text(NEEDED)} and room for the photos: free some space there"
            )

    def _exists(self, path: PurePosixPath) -> bool:
        script = 'test -e "$1" && echo there || echo none'
        return self._connection.run(["sh", "-c", script, "sh", path], purpose="look for its folder") == b"there\n"

    def _missing(self, manifest: Mapping[str, str]) -> list[str]:
        content = json.dumps(manifest).encode()
        printed = self._connection.run(
            [*_receiver("missing"), self.folder], purpose="tell what it has", content=content
        )
        return [str(name) for name in json.loads(printed)]

    def _make_environment(self, wheel: str, *, onnx: bool) -> None:
        host = self._connection.host
        pins = pinned_versions()
        wanted = f"{self.folder / wheel}[onnx]" if onnx else str(self.folder / wheel)
        # A marker in the end: an installation that was cut off is made anew.
        # And a lock: where the connection was lost, the first installation may still be at work.
        script = (
            'exec 9> "$1/lock" && flock 9 || exit 1\n'
            'test -e "$1/venv/ready" && exit 0\n'
            'rm -rf -- "$1/venv" && python3 -m venv "$1/venv" || exit 1\n'
            'printf "%s\\n" "$3" > "$1/constraints.txt"\n'
            '"$1/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all:'
            ' -c "$1/constraints.txt" "$2" >&2 && touch "$1/venv/ready"\n'
        )
        with self._progress.step(f"Install on {host}", 1, "environments") as step:
            command: list[str | PurePath] = ["sh", "-c", script, "sh", self.folder, wanted, "\n".join(pins)]
            self._connection.run(command, purpose=f"install tledge ({', '.join(pins)}) from its package index")
            step.advance(1)


def _receiver(action: str) -> list[str]:
    """The command of the program that takes files; its text goes along, since nothing is installed yet."""
    return ["python3", "-c", Path(remote_receiver.__file__).read_text(encoding="utf-8"), action]


def _look(connection: Connection) -> Machine:
    """What is there; refuses a machine that cannot run tledge."""
    told = json.loads(connection.run(_receiver("look"), purpose="run python3 (apt-get install python3)"))
    host, python = connection.host, ".".join(map(str, told["python"]))
    if told["bits"] != 64:
        raise HostError(
            f"'{host}' runs a 32-bit Python on {told['machine']}: LiteRT and ONNX Runtime are built for 64 bits alone;"
            " put the 64-bit Raspberry Pi OS on its card"
        )
    if tuple(told["python"][:2]) < OLDEST_PYTHON:
        raise HostError(f"'{host}' has Python {python}; tledge needs 3.11 or later: update its system")
    if not told["has_venv"]:
        raise HostError(f"'{host}' cannot make virtual environments: apt-get install python3-venv there")
    if not told["writable"]:
        raise HostError(f"'{host}' lets this user not write to '{told['folder']}'; check its permissions")
    return Machine(PurePosixPath(told["folder"]), int(told["free"]))


def pinned_versions() -> list[str]:
    """What the other machine gets of the libraries that answer: the versions of this environment, as pip takes them."""
    versions = installed_versions((*PINNED, "onnxruntime-gpu"))
    for_gpu = versions.pop("onnxruntime-gpu", None)
    if for_gpu is not None:
        versions.setdefault("onnxruntime", for_gpu)
    return [f"{name}=={version}" for name, version in versions.items()]


def names_of(paths: Sequence[Path], folder: str) -> dict[str, Path]:
    """Names on the other machine for files of this one, which may be called anything."""
    return {f"{folder}/{number:06d}{path.suffix.lower()}": path for number, path in enumerate(paths)}
