"""Running a benchmark's rounds on another machine."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tledge.bench.measure.rounds import TimedRound
from tledge.bench.places.remote.remote_folder import RemoteFolder
from tledge.bench.results.cell_result import Round, Specification
from tledge.core.errors import ConnectionLostError, HostError, MeasurementError
from tledge.core.field_bounds import NotNegative
from tledge.core.record_types import convert
from tledge.core.temporary_files import temporary_folder


class RemoteRounds:
    """Runs rounds in a remote folder, each in a new process there; ``Rounds`` takes it as its ``launch``.

    Args:
        folder: the folder on the other machine.
        names: the names of local files below that folder, by local path.
        photos: fingerprint of the photos, since their names there do not identify them. The folder's own name
            identifies models and sidecars.

    Attributes:
        found: rounds that were already there, from before a connection was lost.
    """

    def __init__(self, folder: RemoteFolder, names: Mapping[str, str], photos: str) -> None:
        self._folder = folder
        self._names = dict(names)
        self._photos = photos
        self._requested: Counter[str] = Counter()
        self.found = 0

    def __call__(self, specification: Specification, name: str) -> TimedRound:
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
            self._requested[digest] += 1  # the rounds of one cell have the same specification
            request = {
                "folder": str(self._folder.rounds),
                "key": f"{digest}-{self._requested[digest]}",
                "name": name,
                "specification": there.to_dict(),
            }
            result = self._folder.ask("tledge.bench.places.remote.remote_worker", request, purpose=f"measure {name}")
        except ConnectionLostError:
            raise
        except HostError as error:
            raise MeasurementError(str(error)) from error
        measured, start, found = _read_round(result, name)
        self.found += found
        return measured, start

    def _there(self, path: str) -> str:
        return str(self._folder.path / self._names[path])

    def _copy_pixels(self, path: str) -> str:
        """Copies the photos of the timed queries once."""
        if not path:
            return ""
        if path not in self._names:
            name = f"pixels/{sha256(Path(path).read_bytes()).hexdigest()[:16]}.npy"
            self._folder.copy({name: Path(path)}, "pixels")
            self._names[path] = name
        return self._there(path)


def _read_round(result: Mapping[str, Any], name: str) -> tuple[Round, float, bool]:
    """Returns the round, the ms to its first result, and whether it had been measured before."""
    try:
        with temporary_folder() as folder:
            path = folder / "round.npz"
            path.write_bytes(b64decode(result["round"]))
            start = convert(result["start"], NotNegative, "start")
            return Round.load(path), start, convert(result["found"], bool, "found")
    except (OSError, KeyError, TypeError, ValueError, MeasurementError) as error:
        raise MeasurementError(f"the results of {name} arrived damaged: {error}") from error
