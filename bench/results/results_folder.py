"""The folder of a benchmark's results.

bench/
  results.jsonl   one measurement a line
  run.json        what was measured and how
  photos.json     the photos that were classified, and their labels
  profile.json    the operators of each artifact, if requested
  report.md  report.html
  samples/        each cell's raw samples, and the Keras model's logits
  environments/   the records of the machines
  measured/       hard links to the models' files, which need no space until the files are replaced
  adversarial/    attacked photos with their originals, if requested
  robustness.json which of them the report shows, and signs of gradient masking
  paired_runs/    latencies of an earlier benchmark's files and these, measured alternately
  earlier/        earlier results, by the time at which they were started
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.settings import BenchSettings
from tledge.core import atomic
from tledge.core.artifact import files_of
from tledge.core.bounded_json import parse_json
from tledge.core.errors import ArtifactError, MeasurementError
from tledge.core.field_bounds import Count
from tledge.core.folder_contents import replacing_contents
from tledge.core.measurement import Measurement, write_results
from tledge.core.model_files import weight_files
from tledge.core.progress import Progress
from tledge.core.record_types import convert
from tledge.core.regular_file import read_bounded

EARLIER = "earlier"
REFERENCE = "model.keras@keras-cpu.npz"
"""The raw samples of a run's Keras model; kept by a benchmark that leaves it out."""


MOST_PHOTO_BYTES = 256 << 20
"""Of ``photos.json``: two million photos."""


class LabelledPhoto(NamedTuple):
    """A photo that was classified, as ``photos.json`` lists it, and the index of its class."""

    path: str
    label: Count


class ResultsFolder:
    """The paths of one benchmark's results."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results = path / "results.jsonl"
        self.photos = path / "photos.json"
        self.profiles = path / "profile.json"
        self.markdown = path / "report.md"
        self.html = path / "report.html"
        self.samples = path / "samples"
        self.environments = path / "environments"
        self.measured = path / "measured"
        self.adversarial = path / "adversarial"
        self.robustness = path / "robustness.json"
        self.paired_runs = path / "paired_runs"

    def measured_file(self, artifact: str) -> Path:
        """Returns the path of a model file as it was measured; one with several files is in a folder of its own."""
        kept = self.measured / quote(artifact, safe="", errors="backslashreplace")
        return kept / Path(artifact).name if kept.is_dir() else kept

    def keep(self, artifact: str, path: Path) -> None:
        """Keeps a model's files and its sidecar after their replacement, if the file system has hard links.

        A file that is changed in place changes here too: readers check its SHA-256.
        """
        kept = self.measured / quote(artifact, safe="", errors="backslashreplace")
        with suppress(OSError, ArtifactError):
            several = weight_files(path)
            for name, file in files_of(path).items():  # the model last: without the rest it would be another one
                link = kept / name if several else kept.with_name(kept.name + name.removeprefix(path.name))
                link.parent.mkdir(parents=True, exist_ok=True)
                link.hardlink_to(file.resolve())

    def labels(self) -> tuple[int, ...]:
        """Returns the label of each classified photo, in the order of the logits; empty if none was classified.

        Raises:
            MeasurementError: the file cannot be read.
        """
        try:
            content = read_bounded(self.photos, MOST_PHOTO_BYTES, "list of photos")
            photos: tuple[LabelledPhoto, ...] = convert(parse_json(content), tuple[LabelledPhoto, ...])
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            raise MeasurementError(f"cannot read '{self.photos}': {reason}; benchmark again") from error
        return tuple(photo.label for photo in photos)

    def reference(self, model_sha256: str, photos: str) -> CellResult | None:
        """Returns the Keras model's logits from an earlier benchmark of the same model and photos; None without one."""
        try:
            result, settings = CellResult.load(self.samples / REFERENCE), BenchSettings.load(self.path)
        except MeasurementError:  # absent, or of an earlier version
            return None
        return result if result.artifact_sha256 == model_sha256 and settings.photos == photos else None

    @contextmanager
    def replaced(self, progress: Progress) -> Iterator[ResultsFolder]:
        """Yields an empty folder for new results; on success they replace the old ones, which move to ``earlier/``.

        A kill leaves the old results or the new ones, or a replacement that the next reader of the folder finishes.
        """
        with replacing_contents(self.path, self._aside, progress) as fresh:
            yield ResultsFolder(fresh)

    def _aside(self) -> str:
        """Returns where the present results go, relative to this folder."""
        try:
            began = BenchSettings.load(self.path).began
        except MeasurementError:  # of an earlier version
            began = "before"
        name = re.sub(r"[^\dT]", "", began[:19]) or "before"
        attempts = (f"{EARLIER}/{name}{suffix}" for suffix in ("", *(f"-{number}" for number in range(2, 1000))))
        return next((place for place in attempts if not (self.path / place).exists()), f"{EARLIER}/{name}-1000")


def samples_name(artifact: str, target: str) -> str:
    """Returns the name of the file of a cell's raw samples."""
    return f"{artifact.replace('/', '_')}@{target.replace(':', '-')}.npz"


def write(
    folder: ResultsFolder,
    settings: BenchSettings,
    measurements: Iterable[Measurement],
    results: Iterable[tuple[str, CellResult]],
    photos: Iterable[tuple[Path, int]],
) -> None:
    """Writes all results but the reports: ``results`` by their file names, ``photos`` with their labels."""
    for name, result in results:
        result.save(folder.samples / name)
        atomic.write_json(folder.environments / f"{result.environment_id}.json", result.environment)
    atomic.write_json(folder.photos, [[str(path), label] for path, label in photos])
    settings.save(folder.path)
    write_results(folder.results, measurements)
