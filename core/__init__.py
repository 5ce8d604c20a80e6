"""Shared by all rooms: errors, registries, records, artifacts, run directories, measurements, images, workers.

Imports nothing but the standard library, numpy and Pillow, and none of them until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tledge.core.lazy_exports import lazy_names

if TYPE_CHECKING:
    from tledge.core.artifact import Artifact, read_artifact, write_artifact
    from tledge.core.environment import Environment, read_environment
    from tledge.core.errors import TledgeError
    from tledge.core.manifest import RunManifest
    from tledge.core.measurement import Measurement, read_results, write_results
    from tledge.core.preprocessing import Preprocessing
    from tledge.core.progress import Progress, Step
    from tledge.core.records import Record
    from tledge.core.registry import Registry
    from tledge.core.run_directory import RunDirectory, find_run
    from tledge.core.sidecar import Calibration, Sidecar
    from tledge.core.splits import Sample, Splits
    from tledge.core.worker import Worker, run_worker

_MODULES = {
    "artifact": ("Artifact", "read_artifact", "write_artifact"),
    "environment": ("Environment", "read_environment"),
    "errors": ("TledgeError",),
    "manifest": ("RunManifest",),
    "measurement": ("Measurement", "read_results", "write_results"),
    "preprocessing": ("Preprocessing",),
    "progress": ("Progress", "Step"),
    "records": ("Record",),
    "registry": ("Registry",),
    "run_directory": ("RunDirectory", "find_run"),
    "sidecar": ("Calibration", "Sidecar"),
    "splits": ("Sample", "Splits"),
    "worker": ("Worker", "run_worker"),
}

__all__ = [
    "Artifact",
    "Calibration",
    "Environment",
    "Measurement",
    "Preprocessing",
    "Progress",
    "Record",
    "Registry",
    "RunDirectory",
    "RunManifest",
    "Sample",
    "Sidecar",
    "Splits",
    "Step",
    "TledgeError",
    "Worker",
    "find_run",
    "read_artifact",
    "read_environment",
    "read_results",
    "run_worker",
    "write_artifact",
    "write_results",
]

__getattr__ = lazy_names(
    __name__, {name: f"tledge.core.{module}" for module, names in _MODULES.items() for name in names}
)
