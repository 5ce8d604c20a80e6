"""A folder on another machine with everything a benchmark needs: tledge in a virtual environment, models, photos.

Its name is a fingerprint of its contents and of what is measured, so an interrupted benchmark finds it again, with
the rounds that were measured already. It is removed at the end.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from tledge.bench.places.emulation.root import library_versions
from tledge.bench.places.remote import remote_receiver
from tledge.bench.places.remote.connection import Connection
from tledge.core.environment import installed_versions
from tledge.core.errors import HostError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.progress import Progress
from tledge.core.sizes import size_text
from tledge.core.worker import read_reply

OLDEST_PYTHON = (3, 11)
NEEDED = 400_000_000
"""Bytes that the virtual environment takes, with room to spare."""


class RemoteFolder:
    """The folder on the other machine.

    Args:
        wheel: the wheel of tledge to run there.
        settings: everything else that decides what is measured; equal settings give the same folder.

    Attributes:
        path: of the folder, there.
        rounds: the folder of measured rounds, there.

    Raises:
        HostError: the machine cannot be reached, or cannot run tledge.
        ConnectionLostError: the connection was lost and did not come back.
    """

    def __init__(self, connection: Connection, wheel: Path, settings: Mapping[str, Any], progress: Progress) -> None:
        self._connection = connection
        self._wheel = wheel
        self._progress = progress
        folder, free = _inspect(connection)
        identity = json.dumps([sha256_of_file(wheel), settings], sort_keys=True, default=str)
        self.path = folder / sha256(identity.encode()).hexdigest()[:16]
        self.rounds = self.path / "rounds"
        if free < NEEDED and not self._exists(self.path / "venv/ready"):
            raise HostError(
                f"'{connection.host}' has {size_text(free)} free in '{folder}'; a benchmark needs {size_text(NEEDED)}"
                " and room for the photos: free some space there"
            )

    def install(self, *extras: str) -> None:
        """Creates the virtual environment unless it exists, and installs tledge with these extras unless they are."""
        self.copy({self._wheel.name: self._wheel}, "tledge")
        there = self.path / self._wheel.name
        wanted, pins = f"{there}[{','.join(extras)}]" if extras else str(there), pinned_versions()
        # A marker at the end: an installation that was cut off is done again.
        # And a lock: after a lost connection, the first installation may still be running.
        script = (
            'exec 9> "$1/lock" && flock 9 || exit 1\n'
            'test -e "$1/venv/$4" && exit 0\n'
            'test -e "$1/venv/ready" || { rm -rf -- "$1/venv" && python3 -m venv "$1/venv"; } || exit 1\n'
            'printf "%s\\n" "$3" > "$1/constraints.txt"\n'
            '"$1/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all:'
            ' -c "$1/constraints.txt" "$2" >&2 && touch "$1/venv/ready" "$1/venv/$4"\n'
        )
        with self._progress.step(f"Install on {self._connection.host}", 1, "environments") as step:
            command: list[str | PurePath] = ["sh", "-c", script, "sh", self.path, wanted, "\n".join(pins)]
            command.append("-".join(("ready", *extras)))
            self._connection.run(command, purpose=f"install tledge ({', '.join(pins)}) from its package index")
            step.advance(1)

    @property
    def python(self) -> PurePosixPath:
        """The interpreter of the virtual environment."""
        return self.path / "venv/bin/python"

    def ask(self, module: str, request: Any, *, purpose: str) -> Any:
        """Sends a request to a new process of one of tledge's modules there; ``core.worker`` describes the protocol.

        This is not a ``Worker``: a connection may be lost at any time, which ``Connection.run`` distinguishes from a
        failed command and repairs by running the command again. So one command is one request, and its output is
        read when it is complete.

        Args:
            module: a module that serves requests; it may receive the same request twice.
            request: any value that JSON can hold.
            purpose: what it does, for error messages ("measure int8.tflite").

        Returns:
            The result, decoded from JSON.

        Raises:
            HostError: the module reported an error or ended without a result.
            ConnectionLostError: the connection was lost and did not come back.
        """
        command: list[str | PurePath] = [str(self.python), "-P", "-m", module]
        printed = self._connection.run(command, purpose=purpose, content=f"{json.dumps(request)}\n".encode())
        try:
            reply = read_reply(io.StringIO(printed.decode()), self._progress)
        except ValueError as error:
            raise HostError(f"the reply of '{self._connection.host}' is damaged: {error}") from error
        kind, value = reply or ("error", "it ended without a result")
        if kind == "error":
            raise HostError(f"'{self._connection.host}' could not {purpose}: {value}")
        return value

    def copy(self, files: Mapping[str, Path], what: str) -> None:
        """Copies the files that are not there yet.

        Args:
            files: local files by their names below the folder there.
            what: their name in messages ("photos").
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
            command: list[str | PurePath] = [*_receiver("receive"), self.path]
            with self._progress.step(f"Copy {what}", packed.stat().st_size, "bytes") as step:
                self._connection.run(command, purpose=f"receive the {what}", content=packed, step=step)
        lost = self._missing(manifest)
        if lost:
            raise HostError(
                f"not all of the {what} arrived on '{self._connection.host}': {lost[0]} is missing or damaged; check"
                " its disk"
            )

    def remove(self) -> None:
        """Removes the folder, and tledge's parent folders if they are empty then."""
        script = (
            'pkill -f -- "$1/venv/" && sleep 1\n'  # processes that nobody waits for any more
            'rm -rf -- "$1" && rmdir --ignore-fail-on-non-empty -- "$2" "$3"'
        )
        command: list[str | PurePath] = ["sh", "-c", script, "sh", self.path, *self.path.parents[:2]]
        self._connection.run(command, purpose=f"remove '{self.path}'")

    def _exists(self, path: PurePosixPath) -> bool:
        script = 'test -e "$1" && echo there || echo none'
        return self._connection.run(["sh", "-c", script, "sh", path], purpose="look for its folder") == b"there\n"

    def _missing(self, manifest: Mapping[str, str]) -> list[str]:
        content = json.dumps(manifest).encode()
        printed = self._connection.run(
            [*_receiver("missing"), self.path], purpose="list the missing files", content=content
        )
        return [str(name) for name in _decoded(printed, list, self._connection.host)]


def _receiver(action: str) -> list[str]:
    """Returns the command of the receiving program, with its source code: nothing is installed there yet."""
    return ["python3", "-c", Path(remote_receiver.__file__).read_text(encoding="utf-8"), action]


def _decoded(printed: bytes, kind: type, host: str) -> Any:
    """Returns a reply in JSON. Raises HostError if something else was printed."""
    try:
        reply = json.loads(printed)
    except ValueError as error:
        raise HostError(f"the reply of '{host}' is damaged: {error}") from error
    if not isinstance(reply, kind):
        raise HostError(f"the reply of '{host}' is damaged: received {str(reply)[:40]}")
    return reply


def _inspect(connection: Connection) -> tuple[PurePosixPath, int]:
    """Returns the folder of benchmarks there and the free bytes; raises HostError if the machine cannot run tledge."""
    printed = connection.run(_receiver("look"), purpose="run python3 (apt-get install python3)")
    found = _decoded(printed, dict, connection.host)
    host, python = connection.host, ".".join(map(str, found["python"]))
    if found["bits"] != 64:
        raise HostError(
            f"'{host}' runs a 32-bit Python on {found['machine']}, and LiteRT and ONNX Runtime need 64 bits: install"
            " the 64-bit Raspberry Pi OS"
        )
    if tuple(found["python"][:2]) < OLDEST_PYTHON:
        raise HostError(f"'{host}' has Python {python}; tledge needs 3.11 or later: update its system")
    if not found["has_venv"]:
        raise HostError(f"'{host}' cannot create virtual environments: apt-get install python3-venv there")
    if not found["writable"]:
        raise HostError(f"this user cannot write to '{found['folder']}' on '{host}'; check its permissions")
    return PurePosixPath(found["folder"]), int(found["free"])


def pinned_versions() -> list[str]:
    """Returns pip requirements for the libraries that decode photos and compute logits: this environment's versions."""
    versions = {**library_versions(), **installed_versions(("pillow-heif",))}
    return [f"{name}=={version}" for name, version in versions.items()]
