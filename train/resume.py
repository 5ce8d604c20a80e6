"""A training that has begun: what is on disk from then on until it is finished, so that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tledge.core import atomic
from tledge.core.errors import RunError
from tledge.core.manifest import DataRecord
from tledge.core.run_directory import RunDirectory
from tledge.train.train_settings import Settings

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class UnfinishedRun:
    """What a run was begun with.

    Attributes:
        settings: what it was told.
        data: its photos, as ``run.json`` will record them.
        created: when, ISO 8601 with offset.
        backend: of Keras: "tensorflow" or "jax".
    """

    settings: Settings
    data: DataRecord
    created: str
    backend: str

    def save(self, run: RunDirectory) -> None:
        """Marks a run as one that can be resumed."""
        content: Mapping[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "settings": self.settings.to_dict(),
            "data": asdict(self.data),
            "created": self.created,
            "backend": self.backend,
        }
        atomic.write_json(_path(run), content)

    @classmethod
    def load(cls, run: RunDirectory) -> UnfinishedRun:
        """Reads what :meth:`save` wrote. Raises RunError."""
        path = _path(run)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema version {content['schema_version']}, this tledge reads {SCHEMA_VERSION}")
            return cls(
                settings=Settings.from_dict(content["settings"], path),
                data=DataRecord.from_dict(content["data"]),
                created=str(content["created"]),
                backend=str(content["backend"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"cannot read '{path}': {error}; remove '{run.path}' and train again") from error


def is_unfinished(run: RunDirectory) -> bool:
    """Whether a run has begun, can be resumed, and is not finished."""
    return _path(run).exists() and not run.manifest_path.exists()


def find_unfinished(runs: Path, name: str | Path | None) -> RunDirectory:
    """The run to resume.

    Args:
        runs: the folder of runs.
        name: a run directory or its name; None for the newest unfinished one.

    Raises:
        RunError: there is none.
    """
    if name is None:
        unfinished = [
            RunDirectory(path)
            for path in (sorted(runs.iterdir(), reverse=True) if runs.is_dir() else ())
            if not path.is_symlink() and is_unfinished(RunDirectory(path))
        ]
        if not unfinished:
            raise RunError(f"no unfinished run in '{runs}': there is nothing to resume; leave --resume out")
        return unfinished[0]
    path = Path(name) if Path(name).is_dir() else runs / name
    if path.name in ("", ".."):
        path = path.resolve()
    run = RunDirectory(path)
    if run.manifest_path.exists():
        raise RunError(f"'{path}' is finished: there is nothing to resume; leave --resume out")
    if not is_unfinished(run):
        raise RunError(f"'{path}' is no unfinished run: name one that was interrupted, or leave --run out")
    return run


def _path(run: RunDirectory) -> Path:
    return run.checkpoints / "begun.json"
