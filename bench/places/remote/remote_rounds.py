"""Running a benchmark's rounds on another machine."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from tledge.bench.measure.rounds import Timed
from tledge.bench.places.remote.workplace import Workplace
from tledge.bench.results.cell_result import Round, Specification
from tledge.core.errors import ConnectionLostError, HostError, MeasurementError


class RemoteRounds:
    """Runs rounds in a workplace, each in a fresh process there, as ``Rounds`` launches them.

    Args:
        workplace: holds the files.
        names: of files here, what they are called below the workplace's folder.
        photos: their fingerprint, since their names there tell nothing of them. What the workplace is called by tells
            of the models and sidecars.

    Attributes:
        found: rounds that were there already, from before a connection was lost.
    """

    def __init__(self, workplace: Workplace, names: Mapping[str, str], photos: str) -> None:
        self._workplace = workplace
        self._names = dict(names)
        self._photos = photos
        self._asked: Counter[str] = Counter()
        self.found = 0

    def __call__(self, specification: Specification, name: str) -> Timed:
        """Runs one round; see ``measure_in_own_process``.

        Raises:
            MeasurementError: it failed there.
            ConnectionLostError: the connection was lost and did not come back; what was measured stays there.
        """
        try:
            there = replace(
                specification,
                artifact=self._there(specification.artifact),
                pixels=self._copy_pixels(specification.pixels),
                images=tuple(map(self._there, specification.images)),
            )
            digest = sha256(self._photos.encode() + there.to_json()).hexdigest()[:16]
            self._asked[digest] += 1  # rounds of one cell are told alike
            key = f"{digest}-{self._asked[digest]}"
            printed = self._workplace.run_module(
                "tledge.bench.places.remote.remote_worker",
                self._workplace.rounds,
                key,
                name,
                purpose=f"measure {name}",
                content=there.to_json(),
            )
        except ConnectionLostError:
            raise
        except HostError as error:
            raise MeasurementError(str(error)) from error
        measured, start, found = _read(printed, name)
        self.found += found
        return measured, start

    def _there(self, path: str) -> str:
        return str(self._workplace.folder / self._names[path])

    def _copy_pixels(self, path: str) -> str:
        """Copies the photos of the timed queries once."""
        if not path:
            return ""
        if path not in self._names:
            name = f"pixels/{sha256(Path(path).read_bytes()).hexdigest()[:16]}.npy"
            self._workplace.copy({name: Path(path)}, "pixels")
            self._names[path] = name
        return self._there(path)


def _read(printed: bytes, name: str) -> tuple[Round, float, bool]:
    """A round, the ms from its process's start to its first answer, and whether it was there already."""
    head, _, content = printed.partition(b"\n")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "round.npz"
            path.write_bytes(content)
            start, _, origin = head.decode().partition(" ")
            return Round.load(path), float(start), origin == "found"
    except (OSError, ValueError, MeasurementError) as error:
        raise MeasurementError(f"{name} came back garbled: {error}") from error
