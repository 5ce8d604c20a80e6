"""Fine-tuning after the linear probe, on a tiny network: MobileNet of a quarter of its width at 32 px."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lazy_module, rows_of, write_random_weights, write_stripes

from tledge.core.errors import TrainingError
from tledge.core.run_directory import RunDirectory
from tledge.edge_runtime import Classifier
from tledge.train import train
from tledge.train.backbone import BACKBONES

keras = lazy_module("keras")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.weights.h5", "mobilenet", alpha=0.25)


@pytest.fixture(scope="module")
def options(photos: Path, weights: Path) -> dict[str, Any]:
    return {
        "data": photos,
        "backbone": "mobilenet",
        "alpha": 0.25,
        "weights": str(weights),
        "image_size": 32,
        "batch_size": 16,
        "epochs": 12,
        "patience": 12,
        "learning_rate": 3e-3,
        "fine_tune_from": "4",
        "augment": False,
        "label_smoothing": 0.0,
    }


@pytest.fixture(scope="module")
def tuned(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    runs = tmp_path_factory.mktemp("tuned")
    return RunDirectory(runs / train(**options, runs=runs, tensorboard=True).name)


def test_it_changes_the_upper_stages_and_nothing_else(tuned: RunDirectory, weights: Path) -> None:
    metrics = tuned.manifest().metrics
    assert metrics["best_epoch"] >= 1, "on this data fine-tuning helps"
    model = keras.saving.load_model(tuned.model)
    backbone = BACKBONES.load("mobilenet")
    original = backbone.build(32, None, alpha=0.25)
    original.load_weights(weights)
    first = [layer.name for layer in original.layers].index(backbone.stages[3])
    for place, layer in enumerate(original.layers):
        if not layer.weights:
            continue
        same = all(
            np.array_equal(ours, theirs)
            for ours, theirs in zip(layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True)
        )
        learns = place >= first and not isinstance(layer, keras.layers.BatchNormalization)
        assert same != learns, layer.name


def test_it_gets_better_than_the_probe_and_both_are_named(tuned: RunDirectory) -> None:
    rows = rows_of(tuned.history)
    assert list(dict.fromkeys(row["phase"] for row in rows)) == ["linear probe", "fine-tune"]
    probe = min(float(row["val_loss"]) for row in rows if row["phase"] == "linear probe")
    epochs = [row for row in rows if row["phase"] == "fine-tune"]
    best = min(epochs, key=lambda row: float(row["val_loss"]))
    metrics = tuned.manifest().metrics
    assert int(best["epoch"]) == metrics["best_epoch"]
    assert 0 < metrics["best_epoch_share"] <= 1
    assert float(best["val_loss"]) < probe
    right = metrics["validation_top1"] == 1  # then no temperature is applied, and the plain loss is a larger one
    assert right or metrics["validation_loss"] <= float(best["val_loss"]) + 1e-5, "the best of all is kept"


def test_what_does_not_help_is_not_kept(options: dict[str, Any], tmp_path: Path) -> None:
    hurts: dict[str, Any] = {**options, "learning_rate": 1.0, "epochs": 2, "warm_up": 0.0}
    manifest = train(**hurts, runs=tmp_path)
    of_fine_tuning = ("fine_tune_from", "epochs", "patience", "learning_rate", "label_smoothing", "augment")
    of_probe = {name: value for name, value in options.items() if name not in of_fine_tuning}
    plain = train(**{**of_probe, "fine_tune": False}, runs=tmp_path)
    assert manifest.metrics["best_epoch"] == 0
    assert manifest.metrics["validation_loss"] == pytest.approx(plain.metrics["validation_loss"], rel=1e-4)
    assert manifest.metrics["test_top1"] == plain.metrics["test_top1"]


def test_training_stops_when_patience_ends(options: dict[str, Any], tmp_path: Path) -> None:
    idle: dict[str, Any] = {**options, "learning_rate": 1e-9, "epochs": 60, "patience": 2}
    train(**idle, runs=tmp_path)
    losses = [
        float(row["val_loss"]) for row in rows_of(tmp_path / "latest" / "history.csv") if row["phase"] == "fine-tune"
    ]
    assert len(losses) < 60
    assert len(losses) - 1 - losses.index(min(losses)) == 2


def test_a_loss_that_breaks_keeps_the_last_good_weights(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tledge.train.data import training_batches

    genuine = training_batches.Augmentation.apply
    calls = []

    def poisoned(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        pixels = genuine(self, *arguments, **options).astype(np.float32)
        return pixels * (np.nan if len(calls) > 320 else 1)

    monkeypatch.setattr(training_batches.Augmentation, "apply", poisoned)
    with pytest.raises(
        TrainingError, match=r"the loss became nan in epoch \d+ of the fine-tune; train again"
    ) as caught:
        train(**{**options, "augment": True, "rotation": 0.0}, runs=tmp_path)
    (run,) = [path for path in tmp_path.iterdir() if path.name != ".cache"]
    assert f"are saved in '{run / 'last_good.keras'}'" in str(caught.value)
    assert not (tmp_path / "latest").exists()
    assert not (run / "run.json").exists()
    assert not (run / "checkpoints").exists(), "resuming would fail the same way"
    with Classifier(run / "last_good.keras") as classifier:
        splits = RunDirectory(run).splits()
        samples = splits.train + splits.validation + splits.test
        answers = [classifier.classify(path, top=1)[0].index for path in splits.paths(samples)]
    assert len(samples) == 80
    assert np.mean(np.array(answers) == [sample.label for sample in samples]) >= 0.7, "broken ones would guess: 0.5"


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_and_saves_float32(precision: str, options: dict[str, Any], tmp_path: Path) -> None:
    manifest = train(**{**options, "precision": precision, "epochs": 16, "patience": 16}, runs=tmp_path)
    rows = [row for row in rows_of(tmp_path / "latest" / "history.csv") if row["phase"] == "fine-tune"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    model = keras.saving.load_model(tmp_path / manifest.name / "model.keras")
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert manifest.config["precision"] == precision
    assert keras.config.dtype_policy().name == "float32"


def test_scores_are_calibrated_on_the_validation_split(options: dict[str, Any], tmp_path: Path) -> None:
    smoothed = train(**{**options, "label_smoothing": 0.3}, runs=tmp_path)
    assert smoothed.metrics["best_epoch"] >= 1
    if smoothed.metrics["validation_top1"] < 1:
        assert smoothed.metrics["temperature"] < 1, "smoothed labels make a model less sure than it is right"


def test_the_training_loss_is_without_label_smoothing_as_the_validation_loss_is(
    options: dict[str, Any], tmp_path: Path
) -> None:
    train(**{**options, "label_smoothing": 0.9}, runs=tmp_path)
    losses = [float(row["loss"]) for row in rows_of(tmp_path / "latest" / "history.csv") if row["phase"] == "fine-tune"]
    # The smoothed loss is above 0.68 for any logits: the entropy of 0.55 and 0.45.
    assert min(losses) < 0.65


def test_the_run_leaves_its_papers(tuned: RunDirectory) -> None:
    from PIL import Image

    evaluation = json.loads(tuned.evaluation.read_text())
    manifest = tuned.manifest()
    assert evaluation["top1"] == manifest.metrics["test_top1"]
    matrix = np.array(evaluation["confusion"])
    assert matrix.sum() == evaluation["photos"] == manifest.data.splits["test"]
    assert np.trace(matrix) / matrix.sum() == pytest.approx(evaluation["top1"])
    for label, row in enumerate(evaluation["classes"]):
        assert row["name"] == manifest.class_names[label]
        assert row["recall"] == pytest.approx(matrix[label, label] / matrix[label].sum())
        if row["precision"] is not None:
            assert row["precision"] == pytest.approx(matrix[label, label] / matrix[:, label].sum())
    for name in ("training.png", "confusion.png"):
        with Image.open(tuned.figures / name) as picture:
            assert min(picture.size) >= 300
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 20, "something is drawn"
    card = tuned.model_card.read_text()
    for part in (
        f"**Test top-1 {manifest.metrics['test_top1']:.3f}**",
        manifest.data.fingerprint,
        manifest.model_sha256,
        "mobilenet at width 0.25; input: 32 px",
        "linear probe: ",
        "fine-tune: from stage 4 on, batch norms in inference mode",
        "Fewer than 30 test photos of `across`, `upright`",
        f"keras {keras.__version__}",
        "![Confusion matrix of the test split](figures/confusion.png)",
    ):
        assert part in card, part


def test_event_files_hold_the_history(tuned: RunDirectory) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401 - the reader below reads what it writes

    (path,) = (tuned.tensorboard / "fine-tune").glob("events.out.tfevents.*")
    content, place, values = path.read_bytes(), 0, {}
    while place < len(content):  # TFRecord: length, its checksum, the record, its checksum
        length = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + length])
        place += 12 + length + 4
        for value in event.summary.value:
            values[value.tag, event.step] = value.simple_value
    rows = [row for row in rows_of(tuned.history) if row["phase"] == "fine-tune"]
    for row in rows:
        assert values["loss/validation", int(row["epoch"])] == pytest.approx(float(row["val_loss"]), rel=1e-5)
        assert values["top1/train", int(row["epoch"])] == pytest.approx(float(row["top1"]), rel=1e-5)


def test_unbalanced_classes_weigh_the_same_in_sum(tmp_path: Path) -> None:
    from tledge.core.progress import Progress
    from tledge.train.data.dataset import read_dataset
    from tledge.train.data.split_draw import draw_splits
    from tledge.train.data.training_batches import compute_class_weights

    root = write_stripes(tmp_path / "photos", per_class=40)
    for path in sorted((root / "upright").iterdir())[10:]:
        path.unlink()
    splits = draw_splits(read_dataset(root, Progress()), 0).splits
    counts = np.bincount([sample.label for sample in splits.train])
    weights = compute_class_weights(splits, balanced=True)
    assert weights @ counts == pytest.approx(counts.sum())
    assert weights[0] * counts[0] == pytest.approx(weights[1] * counts[1])
    np.testing.assert_array_equal(compute_class_weights(splits, balanced=False), [1, 1])
