"""Damaged records through the commands that read them: each is used, or refused in one line that names the file."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_trials import CommandForks, Trial
from comparison_sample import Planted, write_bench
from PIL import Image
from record_mutations import Mutation, mutations
from support import TINY_SIDECAR, random_images

from tledge.attacks.goal import Goal
from tledge.attacks.threat_model import ThreatModel
from tledge.bench.robustness.attack_set import AttackSet
from tledge.bench.robustness.attacked_photos import AttackedPhotos, PhotoSet
from tledge.core.artifact import read_artifact, write_artifact
from tledge.core.fingerprint import sha256_of_file
from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord
from tledge.core.run_directory import RunDirectory
from tledge.core.sidecar_storage import SIDECAR, embed
from tledge.core.splits import Sample, Splits
from tledge.edge_runtime.delegation import Delegation
from tledge.export.export_record import RECORD, ExportRecord, MaxDropSearch, describe_artifact
from tledge.export.export_record import Trial as SearchTrial
from tledge.export.keras_parity import Parity
from tledge.train.resume import UnfinishedRun, unfinished_path
from tledge.train.train_options import RunOptions
from tledge.train.train_settings import settle

COUNT = 50

SHA = "0" * 64
CREATED = "2026-11-30T10:00:00+00:00"
SAMPLES = "samples/int8.tflite@litert-cpu-2.npz"


@dataclass(frozen=True)
class ReadRecord:
    """A record of a run, and the commands that read it.

    Attributes:
        path: of the record, or of the file that holds it, in the working directory.
        commands: their arguments. Each ends soon after it has read its records, in an error: the model of the run is
            not the one that its records name, and the earlier benchmark measured other files.
        inside: the record is inside the file: the sidecar in a model, or the record of raw samples.
    """

    path: str
    commands: tuple[tuple[str, ...], ...]
    inside: bool = False


READ = {
    "run": ReadRecord(
        "runs/one/run.json", (("export",), ("bench",), ("bench", "--repeat", "runs/one/bench/results.jsonl"))
    ),
    "splits": ReadRecord("runs/one/splits.json", (("bench",),)),
    "begun splits": ReadRecord("runs/begun/splits.json", (("train", "--resume"),)),
    "export": ReadRecord("runs/one/artifacts/export.json", (("export", "--quantize", "float32", "--overwrite"),)),
    "sidecar beside": ReadRecord("float32.tflite.json", (("predict", "float32.tflite", "photos"), ("bench",))),
    "sidecar inside": ReadRecord("lone.tflite", (("predict", "lone.tflite", "photos"),), inside=True),
    "onnx sidecar": ReadRecord("lone.onnx", (("predict", "lone.onnx", "photos"),), inside=True),
    "exported": ReadRecord("runs/one/artifacts/float32.tflite.json", (("export",), ("bench",))),
    "model": ReadRecord("runs/one/model.keras.json", (("export",), ("bench",), ("visualize",))),
    "settings": ReadRecord("old/run.json", (("AGAINST",), ("bench", "--repeat", "old/results.jsonl"))),
    "results": ReadRecord("old/results.jsonl", (("AGAINST",), ("bench", "--repeat", "old/results.jsonl"))),
    "labels": ReadRecord("old/photos.json", (("AGAINST",),)),
    "samples": ReadRecord(f"old/{SAMPLES}", (("AGAINST",),), inside=True),
    "environment": ReadRecord("bare/environments/ENVIRONMENT.json", (("AGAINST BARE",),)),
    "begun": ReadRecord(
        "runs/begun/checkpoints/begun.json", (("train", "--resume"), ("train", "--resume", "--run", "begun"))
    ),
    "attack set": ReadRecord(
        "attacks/attack-set.json",
        (("bench", "float32.tflite", "--data", "photos", "--attack-set", "attacks", "--target", "none"),),
    ),
}
AGAINST = {
    "AGAINST": ("bench", "float32.tflite", "--against", "old/results.jsonl", "--output", "x"),
    "AGAINST BARE": ("bench", "float32.tflite", "--against", "bare/results.jsonl", "--output", "x"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_keras_model: Any) -> Path:
    """The tiny model's files without a sidecar."""
    from tledge.export.format import FORMATS
    from tledge.export.recipes import RECIPES

    folder = tmp_path_factory.mktemp("models")
    for name in ("tflite", "onnx"):
        (folder / f"float32.{name}").write_bytes(FORMATS.load(name).convert(tiny_keras_model, RECIPES[0], None))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, models: Path, tiny_artifacts: Path) -> Path:
    """A working directory with a finished run, one that was interrupted, benchmarks, an attack set and models."""
    root = tmp_path_factory.mktemp("records")
    samples = _write_photos(root / "photos")
    _write_run(RunDirectory(root / "runs" / "one"), samples, models, tiny_artifacts / "plain.keras")
    _write_begun(RunDirectory(root / "runs" / "begun"), samples)
    for name in ("float32.tflite", "float32.onnx"):
        artifact = write_artifact(root / name, (models / name).read_bytes(), TINY_SIDECAR)
        shutil.copy(artifact.path, root / f"lone.{artifact.format}")
    write_bench(root / "old", 1, [Planted()])
    write_bench(root / "bare", 1, [Planted()])
    write_bench(root / "runs" / "one" / "bench", 1, [Planted()])
    shutil.rmtree(root / "bare" / "samples")
    _write_attack_set(root / "attacks")
    return root


def _write_photos(photos: Path) -> list[Sample]:
    samples = []
    for label, name in enumerate(TINY_SIDECAR.class_names):
        (photos / name).mkdir(parents=True)
        for index, pixels in enumerate(random_images(3, 16, seed=label)):
            path = photos / name / f"{index}.png"
            Image.fromarray(pixels).save(path)
            samples.append(Sample(f"{name}/{index}.png", label, sha256_of_file(path)))
    return samples


def _data(samples: list[Sample]) -> DataRecord:
    return DataRecord(
        source="photos",
        fingerprint=SHA,
        images=dict.fromkeys(TINY_SIDECAR.class_names, 3),
        splits={"train": 3, "validation": 3, "test": 3},
        name="photos",
    )


def _write_run(run: RunDirectory, samples: list[Sample], models: Path, keras_model: Path) -> None:
    write_artifact(run.model, keras_model.read_bytes(), TINY_SIDECAR)
    made = [
        write_artifact(
            run.artifacts / f"float32.{kind}",
            (models / f"float32.{kind}").read_bytes(),
            replace(TINY_SIDECAR, source_sha256=SHA),
        )
        for kind in ("tflite", "onnx")
    ]
    parity = Parity(
        split="validation",
        images=3,
        agreement=1.0,
        agreement_interval=(0.4, 1.0),
        largest_difference=0.01,
        signal_to_noise=40.0,
        top1=0.5,
        keras_top1=0.5,
        recall_change={"cat": 0.0},
    )
    trial = SearchTrial(recipe="float32", float_layers=(), drop=0.0, size=9, latency=1.0, kept=True)
    search = MaxDropSearch(
        format="tflite",
        max_drop=1.0,
        images=3,
        trials=(trial,),
        sensitivity=(("logits", 0.1),),
        chosen="float32.tflite",
    )
    ExportRecord(
        artifacts=tuple(
            describe_artifact(item, kept=False, parity=parity, delegation=Delegation(8, 1, ("CAST",))) for item in made
        ),
        searches=(search,),
    ).save(run.artifacts / RECORD)
    _splits(run, samples).save(run.splits_path)
    RunManifest(
        name=run.path.name,
        created=CREATED,
        backbone="mobilenet_v2",
        weights=WeightsRecord(source="none"),
        class_names=TINY_SIDECAR.class_names,
        input_size=(16, 16),
        resize="stretch",
        seed=0,
        config=settle(RunOptions(data="photos", weights="none", image_size=32)).to_dict(),
        data=_data(samples),
        device="CPU",
        versions={"tledge": "0.1.0"},
        metrics={"test_top1": 0.5, "test_top1_low": 0.2, "test_top1_high": 0.8, "best_epoch": 1},
        model_sha256="f" * 64,
    ).save(run.manifest_path)
    run.mark_latest()


def _splits(run: RunDirectory, samples: list[Sample]) -> Splits:
    train, validation, test = (tuple(samples[first::3]) for first in range(3))
    return Splits(
        root=run.path.parent.parent / "photos",
        class_names=TINY_SIDECAR.class_names,
        train=train,
        validation=validation,
        test=test,
    )


def _write_begun(run: RunDirectory, samples: list[Sample]) -> None:
    settings = settle(RunOptions(data="photos", weights="none", image_size=32))
    _splits(run, [sample._replace(sha256=SHA) for sample in samples]).save(run.splits_path)
    UnfinishedRun(settings=settings, data=_data(samples), created=CREATED, backend="tensorflow").save(
        unfinished_path(run)
    )


def _environment(folder: Path) -> str:
    return next((folder / "bare" / "environments").iterdir()).stem


def _write_attack_set(folder: Path) -> None:
    pixels = random_images(3, 16) // 2
    photos = PhotoSet(pixels, Goal(np.arange(3)), TINY_SIDECAR.class_names, ("a", "b", "c"))
    attacked = AttackedPhotos(
        attack="square",
        white_box=False,
        source="int8.tflite",
        source_sha256=SHA,
        threat=ThreatModel("linf", 2),
        steps=10,
        seed=0,
        images=pixels + np.uint8(2),
        made_at=np.full(3, 2.0),
        queries=np.array([3, 7, 11]),
        seconds=1.5,
    )
    AttackSet(photos, (attacked,)).save(folder)


def read_record(path: Path, record: ReadRecord) -> bytes:
    """Returns a record's JSON; of several lines, the first."""
    if not record.inside:
        return path.read_bytes().splitlines()[0] if path.suffix == ".jsonl" else path.read_bytes()
    if path.suffix != ".npz":
        return json.dumps(read_artifact(path).sidecar.to_dict()).encode()
    with np.load(path) as arrays:
        return str(arrays["record"]).encode()


def replace_record(path: Path, record: ReadRecord, content: bytes, models: Path) -> None:
    """Writes a record in the place of another one."""
    if not record.inside:
        rest = path.read_bytes().splitlines()[1:] if path.suffix == ".jsonl" else []
        path.write_bytes(b"\n".join([content, *rest]) + b"\n" * bool(rest))
    elif path.suffix == ".npz":
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        np.savez(path, **{**arrays, "record": np.array(content.decode("latin-1"))})
    else:
        path.write_bytes(embed((models / f"float32{path.suffix}").read_bytes(), path.suffix[1:], {SIDECAR: content}))


def test_damaged_records_are_used_or_refused(folder: Path, models: Path, scale: int) -> None:
    environment = _environment(folder)
    faults, refused = [], 0
    each = -(-COUNT * scale // len(READ))
    with CommandForks("tledge.bench.bench_api", "tledge.export.export_api", "tledge.train.train_api") as commands:
        for seed, (name, record) in enumerate(READ.items()):
            path = folder / record.path.replace("ENVIRONMENT", environment)
            whole = path.read_bytes()
            for number, mutation in enumerate(mutations(read_record(path, record), each, seed)):
                arguments = record.commands[number % len(record.commands)]
                replace_record(path, record, mutation.content, models)
                trial = commands.run(*AGAINST.get(arguments[0], arguments), cwd=folder)
                path.write_bytes(whole)
                found = trial.faults() + unclear(trial, path, mutation)
                refused += "cannot read" in trial.err
                if found:
                    faults.append((name, found, mutation.kind, mutation.field, trial.arguments, trial.err[-600:]))
    print(f"{each * len(READ)} damaged records, {refused} refused")
    assert not faults, "\n".join(map(str, faults))


def unclear(trial: Trial, path: Path, mutation: Mutation) -> list[str]:
    """Returns what is missing in the message on a refused record."""
    lines = [line for line in trial.err.splitlines() if line.startswith("tledge: cannot read")]
    if not lines:
        return []
    found = [] if path.name in lines[0] else ["does not name the file"]
    if mutation.field and not any(
        part in lines[0] for part in (mutation.field, "not valid JSON", "schema version", "nested deeper")
    ):
        found.append("does not name the field")
    return found
