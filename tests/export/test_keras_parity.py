"""Parity of made logits, in counts and decibels, and how an artifact is run."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from tledge.core.errors import ConversionError, RunError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.splits import Sample, Splits
from tledge.edge_runtime.target import Target
from tledge.export import keras_parity
from tledge.export.keras_parity import Parity, Reference, one_thread

pytestmark = pytest.mark.unit

pytestmark = pytest.mark.unit


@pytest.fixture
def reference() -> Reference:
    """Four photos of two classes; Keras is wrong on the last."""
    samples = tuple(Sample(f"{index}.png", index // 2, "") for index in range(4))
    splits = Splits(root=Path(), class_names=("a", "b"), train=(), validation=samples, test=())
    logits = np.array([[2, 0], [3, 0], [0, 1], [1, 0]], np.float32)
    return Reference(splits, samples, (8, 8), "crop", logits)


def test_the_same_logits_agree_without_noise(reference: Reference) -> None:
    parity = reference.compare_logits(reference.logits.copy())
    assert (parity.agreement, parity.largest_difference, parity.signal_to_noise) == (1.0, 0.0, None)
    assert parity.top1 == parity.keras_top1 == 0.75
    assert parity.drop == 0
    assert parity.recall_change == {"a": 0.0, "b": 0.0}


def test_what_changed_is_counted_by_class_and_in_decibels(reference: Reference) -> None:
    logits = reference.logits.copy()
    logits[0] = [0, 0.5]  # no longer an "a"
    parity = reference.compare_logits(logits)
    assert (parity.split, parity.images) == ("validation", 4)
    assert parity.agreement == 0.75
    assert parity.agreement_interval[1] == pytest.approx(0.9543, abs=1e-3)
    assert parity.largest_difference == 2.0
    assert parity.signal_to_noise == pytest.approx(10 * np.log10((2 + 4.5 + 0.5 + 0.5) / (2.5**2 / 2)))
    assert parity.drop == pytest.approx(25)
    assert parity.recall_change == {"a": -0.5, "b": 0.0}


@pytest.mark.parametrize(("noise", "decibels"), [(1.0, 0.0), (0.1, 20.0), (0.01, 40.0), (10.0, -20.0)])
def test_a_tenth_of_the_amplitude_is_20_decibels(reference: Reference, noise: float, decibels: float) -> None:
    logits = reference.logits + noise * reference.logits[::-1]  # the power of the noise is that of the logits, scaled
    assert reference.compare_logits(logits).signal_to_noise == pytest.approx(decibels, abs=1e-4)


def test_a_constant_added_to_all_logits_of_a_photo_is_no_noise(reference: Reference) -> None:
    shifted = reference.compare_logits(reference.logits + np.array([[1], [2], [4], [8]], np.float32))
    assert shifted.signal_to_noise is None
    assert shifted.largest_difference == 8.0
    assert shifted.agreement == 1.0


def test_logits_without_signal_have_no_ratio(reference: Reference) -> None:
    flat = replace(reference, logits=np.full((4, 2), 3, np.float32))
    assert flat.compare_logits(reference.logits).signal_to_noise is None


def test_classes_without_photos_have_no_recall(reference: Reference) -> None:
    parity = reference.first(2).compare_logits(np.array([[2, 0], [0, 3]], np.float32))
    assert parity.images == 2
    assert parity.recall_change == {"a": -0.5}
    assert parity.top1 == 0.5
    assert parity.keras_top1 == 1.0


def test_an_artifact_that_is_better_has_a_negative_drop(reference: Reference) -> None:
    logits = np.array([[2, 0], [3, 0], [0, 1], [0, 1]], np.float32)
    parity = reference.compare_logits(logits)
    assert (parity.top1, parity.drop, parity.lost) == (1.0, -25.0, -1.0)
    assert parity.recall_change == {"a": 0.0, "b": 0.5}


def test_lost_photos_are_counted_from_top1() -> None:
    fields: dict[str, Any] = {
        "split": "test",
        "images": 50,
        "agreement": 1.0,
        "agreement_interval": (0.9, 1.0),
        "largest_difference": 0.0,
        "signal_to_noise": None,
        "recall_change": {},
    }
    parity = Parity(**fields, top1=0.5, keras_top1=0.75)
    assert (parity.drop, parity.lost) == (25.0, 12.5)
    assert parity.to_dict() == {**fields, "top1": 0.5, "keras_top1": 0.75}


def test_logits_that_are_not_finite_are_an_error(reference: Reference) -> None:
    logits = reference.logits.copy()
    logits[1, 0] = np.nan
    with pytest.raises(ConversionError, match="the logits of 1 of 4 photos are not finite"):
        reference.compare_logits(logits)
    logits[2:] = np.inf
    with pytest.raises(ConversionError, match="the logits of 3 of 4 photos are not finite"):
        reference.compare_logits(logits)


def write_photos(root: Path, count: int) -> Splits:
    """Photos of one color each, whose red is their index."""
    samples = []
    for index in range(count):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(root / f"{index:03d}.png")
        samples.append(Sample(f"{index:03d}.png", index % 2, sha256_of_file(root / f"{index:03d}.png")))
    return Splits(root=root, class_names=("a", "b"), train=(), validation=tuple(samples), test=())


def red_logits(pixels: Any) -> Any:
    """Logits (n, 2) that hold the red of each image."""
    reds = pixels[:, 0, 0, 0].astype(np.float32)
    return np.stack([reds, -reds], axis=1)


class StubModel:
    def __init__(self) -> None:
        self.batches: list[tuple[int, str]] = []

    def predict_on_batch(self, pixels: Any) -> Any:
        self.batches.append((len(pixels), str(pixels.dtype)))
        return red_logits(pixels)


def refer(model: StubModel, splits: Splits) -> Reference:
    return Reference.of_model(model, splits, splits.validation, size=(8, 8), resize="stretch")


class StubClassifier:
    made: ClassVar[list["StubClassifier"]] = []

    def __init__(self, artifact: Path, *, target: Target) -> None:
        self.target = target
        self.sizes: list[int] = []
        StubClassifier.made.append(self)

    def __enter__(self) -> "StubClassifier":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def logits(self, pixels: Any) -> Any:
        self.sizes.append(len(pixels))
        return red_logits(pixels)


@pytest.mark.parametrize(("photos", "cores", "classifiers"), [(70, 8, 3), (64, 8, 2), (70, 2, 2), (1, 4, 1)])
def test_photos_run_in_order_on_classifiers_of_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: int, cores: int, classifiers: int
) -> None:
    splits, model = write_photos(tmp_path, photos), StubModel()
    reference = refer(model, splits)
    assert reference.logits.dtype == np.float32
    assert reference.logits[:, 0].tolist() == list(range(photos))
    assert model.batches == [(min(32, photos - start), "float32") for start in range(0, photos, 32)]
    monkeypatch.setattr(StubClassifier, "made", [])
    monkeypatch.setattr(keras_parity, "Classifier", StubClassifier)
    monkeypatch.setattr(keras_parity, "usable_cores", lambda: cores)
    parity = reference.compare(Path("model.tflite"))
    assert (parity.images, parity.agreement, parity.largest_difference) == (photos, 1.0, 0.0)
    assert [classifier.target for classifier in StubClassifier.made] == [Target("litert", "cpu", 1)] * classifiers
    assert sum(sum(classifier.sizes) for classifier in StubClassifier.made) == photos


def test_a_photo_that_has_changed_is_an_error(tmp_path: Path) -> None:
    splits = write_photos(tmp_path, 2)
    (tmp_path / "001.png").write_bytes(b"other")
    with pytest.raises(RunError):
        refer(StubModel(), splits)


def test_each_format_runs_on_one_cpu_thread() -> None:
    assert one_thread(Path("int8.tflite")) == Target("litert", "cpu", 1)
    assert one_thread(Path("int8.mixed.onnx")) == Target("onnxruntime", "cpu", 1)
