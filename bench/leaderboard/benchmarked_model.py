"""What the files of a benchmark are: the model's backbone, width and input size, and each file's recipe and format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.core.artifact import read_artifact
from tledge.core.errors import TledgeError
from tledge.core.manifest import RunManifest
from tledge.core.number_text import network_name
from tledge.core.run_directory import RunDirectory
from tledge.core.sidecar import Sidecar
from tledge.core.sidecar_storage import FORMATS

KERAS = "keras"


@dataclass(frozen=True, kw_only=True)
class BenchmarkedModel:
    """The model that a file comes from, as far as it is recorded.

    Attributes:
        run: the name of the run; empty if it is not known.
        backbone: its registered name; empty if it is not known.
        width: the width multiplier of the backbone; None if it is not known, or the backbone has none.
        input_size: (height, width); empty if it is not known.
        recipe: the quantization recipe; empty if it is not known.
        format: the format of the file; empty if it is not known.
    """

    run: str = ""
    backbone: str = ""
    width: float | None = None
    input_size: tuple[int, ...] = ()
    recipe: str = ""
    format: str = ""

    @property
    def title(self) -> str:
        """The network: "MobileNetV2 0.35 96×96"; the run's name if no more is known."""
        width = "" if self.width in (None, 1.0) else f" {self.width:g}"
        name = f"{network_name(self.backbone)}{width}" if self.backbone else self.run
        return " ".join(filter(None, [name, self.size]))

    @property
    def size(self) -> str:
        """The input size: "96×96"; empty if it is not known."""
        return "×".join(map(str, self.input_size))

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a dictionary that JSON can hold."""
        known = {name: value or None for name, value in vars(self).items()}
        return {**known, "input_size": self.size.replace("×", "x") or None}


def describe_model(benchmark: StoredResults, artifact: str) -> BenchmarkedModel:
    """Returns what is recorded of a file of a benchmark.

    Its sidecar is read from the copy that the benchmark keeps, and the training from the run whose model has the
    recorded SHA-256: results that were copied into another run do not become results of that run.
    """
    sidecar = _sidecar(benchmark, artifact)
    manifest = _manifest(benchmark, sidecar, artifact)
    suffix = Path(artifact).suffix[1:]
    run = benchmark.settings.run if benchmark.settings is not None else ""
    size: tuple[int, ...] = ()
    if sidecar is not None:
        size, run = sidecar.input_size, sidecar.source_run or run
    elif manifest is not None:
        size = manifest.input_size
    width = None if manifest is None else manifest.config.get("alpha")
    recipe = "" if sidecar is None else sidecar.recipe
    return BenchmarkedModel(
        run=run,
        backbone="" if manifest is None else manifest.backbone,
        width=float(width) if isinstance(width, int | float) else None,
        input_size=size,
        recipe="float32" if suffix == KERAS else recipe,
        format=suffix if suffix in FORMATS else "",
    )


def _sidecar(benchmark: StoredResults, artifact: str) -> Sidecar | None:
    """Returns the sidecar of a file as it was measured; None if the benchmark has no unchanged copy of it."""
    with suppress(TledgeError, OSError):
        found = read_artifact(benchmark.folder.measured_file(artifact))
        return found.sidecar if found.sha256 == _cell(benchmark, artifact).sha256 else None
    return None


def _cell(benchmark: StoredResults, artifact: str) -> StoredCell:
    """Returns a cell of a file that was measured."""
    return next(cell for cell in benchmark.cells if cell.artifact == artifact)


def _manifest(benchmark: StoredResults, sidecar: Sidecar | None, artifact: str) -> RunManifest | None:
    """Returns the record of the run that trained a file's model; None if it is not beside the results or the file."""
    source = _source(benchmark, sidecar, artifact)
    for folder in _possible_runs(benchmark, artifact) if source else ():
        with suppress(TledgeError, OSError):
            manifest = RunManifest.load(RunDirectory(folder).manifest_path)
            if manifest.model_sha256 == source:
                return manifest
    return None


def _source(benchmark: StoredResults, sidecar: Sidecar | None, artifact: str) -> str:
    """Returns the SHA-256 of the Keras model that a file is or was converted from; empty if it is not recorded."""
    if sidecar is not None and sidecar.source_sha256:
        return sidecar.source_sha256
    if Path(artifact).suffix[1:] == KERAS:
        return _cell(benchmark, artifact).sha256
    of_run = benchmark.settings is not None and benchmark.settings.run  # whose files all come from its Keras model
    return benchmark.reference.artifact_sha256 if of_run and benchmark.reference is not None else ""


def _possible_runs(benchmark: StoredResults, artifact: str) -> Iterator[Path]:
    """Yields folders that may be the run of a file: above the results, and above the file as it was given."""
    settings = benchmark.settings
    if settings is None:
        return
    if settings.run:
        yield from (above for above in benchmark.folder.path.resolve().parents[:3])
    for file in settings.files:
        if Path(file).name == Path(artifact).name:
            yield Path(file).parent.parent
