"""Another machine, reached over ssh: a Raspberry Pi with its own processor, clock and temperature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tledge.bench.measure.rounds import Rounds, RoundsResult
from tledge.bench.places.place import Place, PlaceKind
from tledge.bench.places.remote.connection import Account, Connection
from tledge.bench.places.remote.remote_folder import RemoteFolder, pinned_versions
from tledge.bench.places.remote.remote_rounds import RemoteRounds
from tledge.bench.places.remote.wheel import write_wheel
from tledge.bench.results.cell_result import Timing
from tledge.bench.results.cells import Cell, pair_cells
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Model, Workload
from tledge.core.artifact import files_of
from tledge.core.errors import ConnectionLostError, HostError, MeasurementError
from tledge.core.field_bounds import TargetName
from tledge.core.fingerprint import sha256_of_file
from tledge.core.image_formats import EXTRA, SHOWN, format_of_file
from tledge.core.number_text import counted
from tledge.core.progress import Progress
from tledge.core.record_types import convert
from tledge.core.temporary_files import temporary_folder
from tledge.edge_runtime.target import Target


class SshHost(Place):
    """A machine that runs the cells in a virtual environment, which is removed at the end.

    It stays only if the connection was lost for good or this process was killed; the same command then resumes.
    """

    busy = False

    def __init__(self, account: Account, name: str, config: Path | None) -> None:
        self.name = f"ssh:{name}"
        self._account = account
        self._config = config
        self._folder: RemoteFolder | None = None
        self._extras: tuple[str, ...] = ()
        self._progress = Progress()

    def plan(
        self, models: Sequence[Model], wanted: Sequence[str], progress: Progress
    ) -> tuple[list[Cell], list[Skipped]]:
        shipped = [model for model in models if model.format != "keras"]
        if not shipped:
            raise MeasurementError(f"nothing to run on {self.name}: there is no .tflite or .onnx file; export one")
        self._progress = progress
        connection = Connection(self._account, self._config, progress)
        self._extras = ("onnx",) if any(model.format == "onnx" for model in shipped) else ()
        fingerprints = {
            model.name: [(name, sha256_of_file(path)) for name, path in files_of(model.path).items()]
            for model in shipped
        }
        settings = {"models": fingerprints, "onnx": bool(self._extras), "versions": pinned_versions()}
        with temporary_folder() as folder:
            self._folder = RemoteFolder(connection, write_wheel(folder), settings, progress)
            self._folder.install(*self._extras)
        found = self._folder.ask("tledge.bench.places.remote.remote_targets", list(wanted), purpose="list its targets")
        try:
            targets = [Target.parse(text) for text in convert(found, list[TargetName])]
        except ValueError as error:
            raise HostError(f"the reply of '{self.name}' is damaged: {error}") from error
        return pair_cells(shipped, targets, asked=bool(wanted))

    def measure(
        self, workload: Workload, cells: Sequence[Cell], *, count: int, timing: Timing, progress: Progress
    ) -> RoundsResult:
        folder = self._folder
        if folder is None:
            raise HostError(f"{self.name} is not set up: call plan() first")
        models = {cell.model.name: cell.model.path for cell in cells}
        files = {
            f"models/{number}/{name}": path
            for number, model in enumerate(models.values())
            for name, path in files_of(model).items()
        }
        # Safe names: local ones can be anything.
        photos = {f"photos/{number:06d}{path.suffix.lower()}": path for number, path in enumerate(workload.photos)}
        if any(format_of_file(path) in SHOWN for path in workload.photos):
            folder.install(*self._extras, EXTRA)
        folder.copy(files, "model files")
        folder.copy(photos, "photos")
        names = {str(path): name for name, path in {**files, **photos}.items()}
        launch = RemoteRounds(folder, names, workload.fingerprint)
        outcome = Rounds(workload, cells, count=count, timing=timing, progress=progress, launch=launch).run()
        if launch.found:
            progress.note("Resumed", f"reusing {counted(launch.found, 'rounds')} from before the connection was lost")
        return outcome

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._folder is None:
            return
        if isinstance(error, ConnectionLostError | OSError):  # what was copied and measured is needed again
            self._progress.note("Kept", f"'{self._folder.path}' on {self.name}; run the same command again to resume")
            return
        try:
            self._folder.remove()
        except HostError as failure:  # the results are here; only name what is left there
            self._progress.warn(f"'{self._folder.path}' was not removed: {failure}")


PLACE = PlaceKind("ssh:USER@HOST", lambda name, ssh_config: SshHost(Account.parse(name), name, ssh_config))
