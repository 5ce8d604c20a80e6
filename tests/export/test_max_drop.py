import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lazy_module

from tledge.core.artifact import read_artifact
from tledge.core.errors import ArtifactError, ConversionError, OptionError, UnknownNameError
from tledge.core.run_directory import RunDirectory
from tledge.export import export
from tledge.export.keras_parity import ArtifactRejectedError, Parity, Reference

lazy_module("tensorflow")


def make_worse(monkeypatch: pytest.MonkeyPatch, drops: dict[str, float]) -> list[str]:
    """Makes 8-bit artifacts lose points of top-1, one less for each float32 layer; returns the names compared."""
    compared: list[str] = []
    compare = Reference.compare

    def worse(self: Reference, artifact: Path) -> Parity:
        compared.append(artifact.name)
        found = compare(self, artifact)
        sidecar = read_artifact(artifact).sidecar
        lost = max(0.0, drops.get(artifact.suffix[1:], 0.0) - len(sidecar.float_layers)) if "8" in sidecar.recipe else 0
        return Parity(**{**vars(found), "top1": found.keras_top1 - lost / 100})

    monkeypatch.setattr(Reference, "compare", worse)
    return compared


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_the_smallest_recipe_within_the_limit_is_found(run: RunDirectory, kind: str) -> None:
    record = export(max_drop=100, formats=kind, calibration_images=6, runs=run.path.parent)
    (search,) = record.searches
    assert [trial.recipe for trial in search.trials] == (
        ["dynamic", "int16x8", "int8"] if kind == "tflite" else ["dynamic", "int8"]
    )
    assert all(trial.kept and trial.latency for trial in search.trials)
    baseline, chosen = record.artifacts
    assert baseline.recipe == "float32"
    assert chosen.path.name == search.chosen
    smallest = min(trial.size for trial in search.trials)
    assert chosen.size <= 1.05 * smallest
    assert {path.name for path in run.artifacts.glob(f"*.{kind}")} == {baseline.path.name, chosen.path.name}
    assert json.loads((run.artifacts / "export.json").read_text())["searches"][0]["chosen"] == search.chosen


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_sensitive_layers_stay_in_float_one_by_one(
    run: RunDirectory, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_worse(monkeypatch, {kind: 2.0})
    record = export(quantize="int8", max_drop=0.5, formats=kind, calibration_images=6, runs=run.path.parent)
    (search,) = record.searches
    assert [len(trial.float_layers) for trial in search.trials] == [0, 1, 2]
    assert [trial.kept for trial in search.trials] == [False, False, True]
    noises = [noise for _, noise in search.sensitivity]
    assert noises == sorted(noises, reverse=True)
    assert len(noises) == 4
    chosen = record.artifacts[-1]
    assert chosen.path.name == f"int8-mixed.{kind}"
    assert chosen.float_layers == tuple(name for name, _ in search.sensitivity[:2])
    assert read_artifact(chosen.path).sidecar.float_layers == chosen.float_layers


def test_no_artifact_within_the_limit_is_an_error(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    make_worse(monkeypatch, {"onnx": 50.0})
    with pytest.raises(ConversionError, match=r"every 8-bit onnx artifact loses more than 0.5 points.*float16"):
        export(quantize="int8", max_drop=0.5, formats="onnx", calibration_images=6, runs=run.path.parent)
    assert {path.name for path in run.artifacts.iterdir()} == {
        "float32.onnx",
        "float32.onnx.json",
        "export.json",
    }


def test_a_search_replaces_no_file_without_permission(run: RunDirectory) -> None:
    export(quantize="int8", formats="onnx", calibration_images=6, runs=run.path.parent)
    with pytest.raises(ArtifactError, match=r"int8.onnx' exists; pass `overwrite=True`"):
        export(quantize="int8", max_drop=1, formats="onnx", runs=run.path.parent)


def test_an_artifact_far_from_keras_is_rejected_and_the_others_are_made(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = Reference.compare

    def noisy(self: Reference, artifact: Path) -> Any:
        found = compare(self, artifact)
        return found if "int8" not in artifact.name else self.compare_logits(self.logits + 10 * np.eye(3)[[0]])

    monkeypatch.setattr(Reference, "compare", noisy)
    options: dict[str, Any] = {"formats": "onnx", "calibration_images": 6, "runs": run.path.parent}
    with pytest.raises(
        ArtifactRejectedError, match=r"int8.onnx was not kept: .* of its logits is -?\d+ dB \(limit 15\)"
    ) as caught:
        export(quantize="int8,float16", **options)
    assert caught.value.record is not None
    assert [item.path.name for item in caught.value.record.artifacts] == ["float32.onnx", "float16.onnx"]
    assert {path.name for path in run.artifacts.glob("*.onnx")} == {"float32.onnx", "float16.onnx"}
    record = export(quantize="int8", allow_drop=True, **options)
    assert [item.path.name for item in record.artifacts] == ["float32.onnx", "int8.onnx"]
    entries = json.loads((run.artifacts / "export.json").read_text())["artifacts"]
    assert [Path(item["path"]).name for item in entries] == ["float16.onnx", "float32.onnx", "int8.onnx"]
    assert all(item["parity"]["images"] == 1 for item in entries)
    assert [item["kept"] for item in entries] == [True, True, False]


def test_invalid_options_are_errors(run: RunDirectory) -> None:
    runs = run.path.parent
    with pytest.raises(OptionError, match="`max_drop` must be between 0 and 100; received -1"):
        export(max_drop=-1, runs=runs)
    with pytest.raises(OptionError, match="`sparsity` must be 0, or between 0.05 and 0.95; received 1"):
        export(sparsity=1.0, runs=runs)
    with pytest.raises(OptionError, match="cannot be combined"):
        export(sparsity=0.5, max_drop=1, runs=runs)
    with pytest.raises(UnknownNameError, match="unknown CPU 'amr'. Did you mean 'arm'"):
        export(cpu="amr", runs=runs)
    with pytest.raises(OptionError, match="onnx has no recipe 'int16x8'; it has float32, float16, dynamic, int8"):
        export(quantize="int16x8", runs=runs)
    assert not run.artifacts.exists()


def test_a_file_for_arm_says_so_and_warns_on_a_cpu_that_saturates(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tledge.core import cpu
    from tledge.edge_runtime import Classifier

    artifacts = export(quantize="int8", cpu="arm", calibration_images=6, runs=run.path.parent).artifacts
    cpus = {item.path.name: read_artifact(item.path).sidecar.cpu for item in artifacts}
    assert cpus == {"float32.tflite": "any", "int8.tflite": "any", "float32.onnx": "any", "int8.onnx": "arm"}
    monkeypatch.setattr(cpu, "saturates", lambda: True)
    with pytest.warns(cpu.CpuWarning, match=r"exported for ARM.*`export\(cpu='any'\)`"):
        Classifier(run.artifacts / "int8.onnx").close()
