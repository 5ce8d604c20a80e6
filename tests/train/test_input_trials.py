"""Imported Keras models whose input range, channels or class order differ from what was given."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import check_one_line_error, lazy_module, tledge

from tledge.core.artifact import read_artifact
from tledge.core.errors import OptionError
from tledge.core.manifest import RunManifest
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.train import import_model

keras = lazy_module("keras")


class Warnings(Progress):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 photos of each class, of which 28 are for validation and testing: blue, green or red is brighter."""
    folder = tmp_path_factory.mktemp("trials") / "photos"
    rng = np.random.default_rng(0)
    for name, channel in (("blue", 2), ("green", 1), ("red", 0)):
        (folder / name).mkdir(parents=True)
        for number in range(90):
            pixels = rng.integers(70, 180, (16, 16, 3))
            pixels[..., channel] += 60
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def write_model(path: Path, *, order: str = "bgr", scale: float = 255) -> Path:
    """Writes a classifier by the brightest channel, for pixel values up to ``scale``.

    Of other ranges, the first output is the largest for all photos.
    """
    image = keras.Input((16, 16, 3))
    dense = keras.layers.Dense(3)
    model = keras.Model(image, dense(keras.layers.GlobalAveragePooling2D()(image)))
    kernel = np.zeros((3, 3))
    for output, channel in enumerate(order):
        kernel["rgb".index(channel), output] = 100 / scale
    brightness = 200 if scale == 1 else -200  # so that values that are too large, or too small, decide
    kernel[:, 0] += brightness / scale
    dense.set_weights([kernel, np.array([-brightness * 1.706, 0, 0])])
    model.save(path)
    return path


def imported(path: Path, photos: Path, runs: Path, **options: object) -> tuple[RunManifest, list[str]]:
    seen = Warnings()
    return import_model(model=path, data=photos, runs=runs, progress=seen, **options), seen.warnings


def test_classes_in_another_order_are_found_and_can_be_given(tmp_path: Path, photos: Path) -> None:
    path = write_model(tmp_path / "m.keras", order="grb")
    _, (warning,) = imported(path, photos, tmp_path / "runs")
    assert "the predictions of 'm.keras' look wrong: its top-1 of 0.000 is not significantly better than" in warning
    assert "with `labels` in the order green, red, blue, top-1 would be 1.000 instead of 0.000" in warning

    (tmp_path / "labels.txt").write_text("green\nred\nblue\n")
    manifest, warnings = imported(path, photos, tmp_path / "runs", labels=tmp_path / "labels.txt")
    assert warnings == []
    assert manifest.class_names == ("green", "red", "blue")
    assert manifest.metrics["test_top1"] == 1
    run = RunDirectory(tmp_path / "runs" / manifest.name)
    assert read_artifact(run.model).sidecar.class_names == ("green", "red", "blue")
    assert read_artifact(run.model).sidecar.seen_photos is None, "its training photos are not known"
    splits = run.splits()
    assert all(Path(sample.path).parts[0] == splits.class_names[sample.label] for sample in splits.test)


@pytest.mark.parametrize(
    ("scale", "given", "right"), [(1, "0..255", "0..1"), (255, "0..1", "0..255"), (255, "-1..1", "0..255")]
)
def test_another_input_range_is_suggested(tmp_path: Path, photos: Path, scale: float, given: str, right: str) -> None:
    path = write_model(tmp_path / "m.keras", scale=scale)
    manifest, (warning,) = imported(path, photos, tmp_path / "runs", input_range=given)
    assert f"with `input_range='{right}'`, top-1 would be 1.000 instead of 0.33" in warning
    assert manifest.metrics["test_top1"] < 0.5, "a suggestion is not applied"
    assert imported(path, photos, tmp_path / "runs", input_range=right)[1] == []


def test_a_range_and_swapped_channels_are_suggested_together(tmp_path: Path, photos: Path) -> None:
    path = write_model(tmp_path / "m.keras", order="rgb", scale=1)
    _, (warning,) = imported(path, photos, tmp_path / "runs")
    assert "with `input_range='0..1'` and `colour='bgr'`, or `input_range='0..1'` and `labels`" in warning


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("red", "blue"), "once: no label for green"),
        (("red", "blue", "green", "black"), "once: no folder for black"),
        (("red", "blue", "yellow"), "no label for green; no folder for yellow"),
        (("red", "blue", "green", "red"), "a label is repeated"),
    ],
)
def test_labels_name_each_folder_once(tmp_path: Path, photos: Path, labels: tuple[str, ...], message: str) -> None:
    path = write_model(tmp_path / "m.keras")
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    with pytest.raises(OptionError, match=message):
        imported(path, photos, tmp_path / "runs", labels=tmp_path / "labels.txt")
    assert not (tmp_path / "runs").exists()


def test_labels_need_a_model(tmp_path: Path) -> None:
    done = tledge("export", "--labels", "labels.txt", cwd=tmp_path)
    check_one_line_error(done, "--labels can only be used with --model")
