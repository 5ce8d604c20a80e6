"""Accuracy of artifacts on corrupted photos, by `tledge bench --corruptions`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import TINY_SIDECAR, check_one_line_error, stripes, tledge

from tledge.attacks.corruptions import SEVERITIES, corrupt
from tledge.bench import bench, summarize
from tledge.bench.results.settings import BenchSettings
from tledge.core.artifact import write_artifact
from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import OptionError
from tledge.core.measurement import Measurement, read_results
from tledge.edge_runtime import Classifier
from tledge.export.format import FORMATS
from tledge.export.recipes import RECIPES

CLASSES = ("cat", "dog", "emu")
NAMES = ("gaussian_noise", "contrast")


@pytest.fixture
def files(tiny_artifacts: Path, tmp_path: Path) -> Path:
    for name in ("float32.tflite", "float32.onnx"):
        shutil.copy(tiny_artifacts / name, tmp_path / name)
    for number, name in enumerate(CLASSES):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(5):
            pixels = stripes(vertical=number == 1, seed=10 * number + index, size=(16, 16))
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path


def measured(files: Path, metric: str, artifact: str) -> list[Measurement]:
    rows = read_results(files / "out" / "results.jsonl")
    return [row for row in rows if (row.metric, row.artifact) == (metric, artifact)]


def test_accuracy_is_that_of_the_artifact_on_the_same_corrupted_photos(files: Path) -> None:
    record = bench(
        files=[files / "float32.tflite", files / "float32.onnx"],
        data=files / "photos",
        output=files / "out",
        targets=["litert:cpu:1", "onnxruntime:cpu:1"],
        seconds=0.02,
        rounds=1,
        corruptions=NAMES,
        corruption_images=9,
    )
    paths = [files / "photos" / name / f"{index}.png" for name in CLASSES for index in range(5)]
    indices = choose_balanced(range(15), [0] * 5 + [1] * 5 + [2] * 5, 9, 0)
    labels = np.array([index // 5 for index in indices])
    assert np.bincount(labels).tolist() == [3, 3, 3]
    with Classifier(files / "float32.tflite", target="litert:cpu:1") as classifier:
        pixels = np.stack([classifier.load(paths[index]) for index in indices])
        expected = {("none", 0): (classifier.logits(pixels).argmax(axis=1) == labels).mean()}
        for name in NAMES:
            for severity in SEVERITIES:
                shown = corrupt(pixels, name, severity=severity, seed=0)
                expected[name, severity] = (classifier.logits(shown).argmax(axis=1) == labels).mean()
    rows = measured(files, "corrupted_accuracy", "float32.tflite")
    assert {(row.params["corruption"], row.params["severity"]): row.value for row in rows} == expected
    assert {row.n for row in rows} == {9}
    assert all(row.interval is not None and row.interval[0] <= row.value <= row.interval[1] for row in rows)
    (row, other) = summarize(record.measurements)
    corrupted = [value for (name, _), value in expected.items() if name != "none"]
    assert row.value("corrupted_accuracy") == pytest.approx(np.mean(corrupted))
    assert row.value("mean_corruption_error") is None  # it is the baseline itself
    assert other.value("mean_corruption_error") is None  # float32, too
    settings = BenchSettings.load(files / "out")
    assert (settings.corruptions, settings.corruption_images) == (("gaussian_noise", "contrast"), 9)
    page = (files / "out" / "report.html").read_text()
    assert page.count("<h3>ImageNet-C</h3>") == 1
    assert "Edge camera" not in page
    assert '<th scope="row">gaussian noise</th>' in page
    assert "Corrupted" in (files / "out" / "report.md").read_text()


def test_the_command_shows_and_repeats_it(files: Path) -> None:
    quick = ("--seconds", "0.02", "--rounds", "1", "--target", "litert:cpu:1", "--output", "out", "--data", "photos")
    done = tledge("bench", "float32.tflite", *quick, "--corruptions", "edge", "--corruption-images", "3", cwd=files)
    assert done.code == 0, done
    assert "on corrupted photos  top-1  mCE (95%)" in done.out
    assert len(measured(files, "corrupted_accuracy", "float32.tflite")) == 31
    done = tledge("bench", "--repeat", "out/results.jsonl", "--json", cwd=files)
    assert done.code == 0, done
    assert json.loads(done.out)["rows"][0]["corrupted"] is not None
    assert len(measured(files, "corrupted_accuracy", "float32.tflite")) == 31
    check_one_line_error(tledge("bench", "float32.tflite", "--corruptions", "edge", cwd=files), "--data")
    check_one_line_error(
        tledge("bench", "float32.tflite", *quick, "--corruptions", "fogg", cwd=files), "Did you mean 'fog'"
    )


def test_no_photos_at_all_are_rejected(files: Path) -> None:
    with pytest.raises(OptionError, match="`corruption_images` must be 1 or more; received 0"):
        bench(files=[files / "float32.onnx"], data=files / "photos", corruptions=["fog"], corruption_images=0)


def test_the_mean_corruption_error_is_relative_to_float32(files: Path, tiny_keras_model: Any) -> None:
    content = FORMATS.load("tflite").convert(tiny_keras_model, RECIPES[0], None)
    write_artifact(files / "same.tflite", content, replace(TINY_SIDECAR, recipe="int8"))
    record = bench(
        files=[files / "float32.tflite", files / "same.tflite"],
        data=files / "photos",
        output=files / "out",
        targets=["litert:cpu:1"],
        seconds=0.02,
        rounds=1,
        corruptions=NAMES,
    )
    (error,) = measured(files, "mean_corruption_error", "same.tflite")
    assert error.value == 1.0
    assert error.interval == (1.0, 1.0)
    assert error.params["against"] == "float32.tflite"
    assert summarize(record.measurements)[1].value("mean_corruption_error") == 1.0
