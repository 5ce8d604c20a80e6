"""A finished run, shared by the tests of export."""

from pathlib import Path
from typing import Any

import pytest
from support import TINY_SIDECAR, write_stripes

from tledge.core.artifact import write_artifact
from tledge.core.fingerprint import sha256_of_file
from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Sample, Splits


@pytest.fixture
def run(tiny_keras_model: Any, tmp_path: Path) -> RunDirectory:
    """A finished run of the tiny model, on stripes."""
    directory = RunDirectory(tmp_path / "runs" / "tiny")
    root = write_stripes(directory.data, per_class=10)
    samples = [
        Sample(path.relative_to(root).as_posix(), label, sha256_of_file(path))
        for label, name in enumerate(("across", "upright"))
        for path in sorted((root / name).iterdir())
    ]
    Splits(
        root=root,
        class_names=TINY_SIDECAR.class_names,
        train=tuple(samples[2:]),
        validation=(samples[0],),
        test=(samples[1],),
    ).save(directory.splits_path)
    tiny_keras_model.save(tmp_path / "tiny.keras")
    artifact = write_artifact(directory.model, (tmp_path / "tiny.keras").read_bytes(), TINY_SIDECAR)
    RunManifest(
        name="tiny",
        created="2026-11-24T00:00:00+00:00",
        backbone="none",
        weights=WeightsRecord(source="none"),
        class_names=TINY_SIDECAR.class_names,
        input_size=(16, 16),
        resize="stretch",
        seed=0,
        config={},
        data=DataRecord(source="stripes", fingerprint="", images={}, splits={}),
        device="CPU",
        versions={},
        metrics={},
        model_sha256=artifact.sha256,
    ).save(directory.manifest_path)
    directory.mark_latest()
    return directory
