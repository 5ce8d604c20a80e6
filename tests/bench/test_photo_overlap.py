"""Photos that a model was trained on: left out of a benchmark of its file, or named where they are kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from support import TINY_SIDECAR, check_one_line_error, tledge

from tledge.bench import BenchRecord, bench, summarize
from tledge.bench.earlier.repeated_benchmark import read_repetition
from tledge.bench.results.photo_overlap import PhotoOverlap
from tledge.bench.results.workload import workload_of_files
from tledge.core.artifact import write_artifact
from tledge.core.errors import DataError, OptionError, UnknownNameError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.images import decode
from tledge.core.perceptual_hash import thumbnail
from tledge.core.progress import Progress, Step
from tledge.core.seen_photos import MOST_PHOTOS, SeenPhotos, remember_photos

CLASSES = ("cat", "dog", "emu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven different photos a class."""
    folder = tmp_path_factory.mktemp("overlap") / "photos"
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index in range(7):
            pixels = np.random.default_rng(10 * number + index).integers(0, 256, (9, 9, 3), np.uint8)
            large = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
            large.save(folder / name / f"{index}.png")
    return folder


def remember(paths: list[Path]) -> SeenPhotos:
    thumbnails = np.stack([thumbnail(decode(path)) for path in paths])
    return remember_photos([sha256_of_file(path) for path in paths], thumbnails, ([], thumbnails[:0]))


def artifact(tiny_artifacts: Path, path: Path, seen: SeenPhotos | None) -> Path:
    model = onnx.load(tiny_artifacts / "float32.onnx")
    del model.metadata_props[:]
    write_artifact(path, model.SerializeToString(), replace(TINY_SIDECAR, seen_photos=seen))
    return path


def measure(*files: Path, data: Path, out: Path, **options: object) -> BenchRecord:
    return bench(
        files=files,
        data=data,
        output=out,
        targets=["onnxruntime:cpu:1"],
        seconds=0.02,
        rounds=1,
        batch_sizes=[1],
        **options,
    )


def split_of(record: BenchRecord) -> set[str]:
    return {item.params["split"] for item in record.measurements if item.metric == "top1"}


def test_photos_of_the_training_are_left_out_or_named(tiny_artifacts: Path, photos: Path, tmp_path: Path) -> None:
    used = [photos / name / f"{index}.png" for name in CLASSES for index in (1, 4)]
    model = artifact(tiny_artifacts, tmp_path / "own.onnx", remember(used))
    record = measure(model, data=photos, out=tmp_path / "out")
    assert record.settings.images == 15
    assert record.settings.overlap == PhotoOverlap(seen=6)
    assert record.folder.labels() == tuple(np.repeat([0, 1, 2], 5))
    sentence = (
        "6 of the 21 photos were used in training or validation and are left out; accuracy is measured on the other 15."
    )
    assert sentence in record.conclusions
    assert split_of(record) == {"test"}
    text = record.folder.markdown.read_text()
    assert sentence in text
    assert "| Test top-1 |" in text
    assert read_repetition(record.results).arguments["seen_photos"] == "drop"

    kept = measure(model, data=photos, out=tmp_path / "kept", seen_photos="keep")
    assert kept.settings.images == 21
    assert split_of(kept) == {"seen"} == {row.to_dict()["top1_photos"] for row in summarize(kept.measurements)}
    text = kept.folder.markdown.read_text()
    assert "| Top-1 with training photos |" in text
    assert "est top-1" not in text
    assert "6 of the 21 photos were used in training or validation: on new photos, accuracy may be lower." in text
    assert "Top-1 with training photos" in kept.folder.html.read_text()
    assert read_repetition(kept.results).arguments["seen_photos"] == "keep"

    new = tmp_path / "new"
    for number, name in enumerate(CLASSES):
        (new / name).mkdir(parents=True)
        Image.effect_noise((64, 64), 90 + number).convert("RGB").save(new / name / "1.png")
    record = measure(model, data=new, out=tmp_path / "new-out", seen_photos="keep")
    assert split_of(record) == {"test"}, "nothing was kept that had to be left out"


def test_copies_are_left_out_too(tiny_artifacts: Path, photos: Path, tmp_path: Path) -> None:
    model = artifact(tiny_artifacts, tmp_path / "own.onnx", remember([photos / name / "3.png" for name in CLASSES]))
    for name in CLASSES:
        (tmp_path / "copies" / name).mkdir(parents=True)
        Image.open(photos / name / "3.png").resize((50, 50)).save(tmp_path / "copies" / name / "a.jpg", quality=80)
        Image.open(photos / name / "5.png").save(tmp_path / "copies" / name / "b.jpg", quality=80)
    record = measure(model, data=tmp_path / "copies", out=tmp_path / "out")
    assert (record.settings.images, record.settings.overlap.seen) == (3, 3)
    workload = workload_of_files([model], tmp_path / "copies", tmp_path / "out", Progress())
    assert [path.name for path in workload.photos] == ["b.jpg"] * 3


def test_it_is_said_if_training_photos_are_not_known(tiny_artifacts: Path, photos: Path, tmp_path: Path) -> None:
    seen = remember([photos / "cat" / "0.png"])
    own = artifact(tiny_artifacts, tmp_path / "own.onnx", seen)
    (tmp_path / "old").mkdir()
    old = artifact(tiny_artifacts, tmp_path / "old" / "old.onnx", None)
    record = measure(own, old, data=photos, out=tmp_path / "out")
    assert record.settings.overlap == PhotoOverlap(seen=1, unknown=("old.onnx",))
    assert split_of(record) == {"given"}
    (sentence,) = (text for text in record.conclusions if "may have" in text)
    assert sentence == "Some photos may have been used in training: old.onnx does not record all training photos."
    assert "| Top-1 |" in record.folder.markdown.read_text()
    sampled = artifact(tiny_artifacts, tmp_path / "big.onnx", replace(seen, photos=MOST_PHOTOS + 1))
    assert measure(sampled, data=photos, out=tmp_path / "big").settings.overlap.unknown == ("big.onnx",)


def test_it_is_said_if_copies_cannot_be_recognized(tiny_artifacts: Path, photos: Path, tmp_path: Path) -> None:
    used = [photos / name / "3.png" for name in CLASSES]
    thumbnails = np.stack([thumbnail(decode(path)) for path in used])
    digests = [sha256_of_file(path) for path in used]
    seen = remember_photos(digests, thumbnails, (["0" * 64] * 3, thumbnails))
    model = artifact(tiny_artifacts, tmp_path / "own.onnx", seen)
    steps: list[tuple[str, int, int]] = []

    class Counted(Progress):
        @contextmanager
        def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
            class Counter(Step):
                count = 0

                def advance(self, count: int = 1, detail: str = "") -> None:
                    self.count += count

            yield (counter := Counter())
            steps.append((label, total, counter.count))

    workload = workload_of_files([model], photos, tmp_path / "out", Counted())
    assert steps == [("Check photos", 21, 21)]
    assert workload.overlap == PhotoOverlap(seen=3, exact=("own.onnx",))
    assert workload.overlap.sentences(18)[1] == (
        "Copies of training photos may be among the photos: those of own.onnx look so alike that only identical files"
        " are recognized."
    )


def test_photos_that_are_all_known_are_an_error(tiny_artifacts: Path, photos: Path, tmp_path: Path) -> None:
    for used, message in (
        (sorted(photos.rglob("*.png")), "all 21 photos in "),
        (sorted((photos / "dog").iterdir()), "all photos of dog in "),
    ):
        model = artifact(tiny_artifacts, tmp_path / "own.onnx", remember(used))
        with pytest.raises(DataError, match=f"{message}.* were used in training.*`seen_photos='keep'`"):
            measure(model, data=photos, out=tmp_path / "out")
    done = tledge("bench", model, "--data", photos, cwd=tmp_path)
    check_one_line_error(done, "all photos of dog", "pass --seen-photos keep to measure on them anyway")
    assert measure(model, data=photos, out=tmp_path / "out", seen_photos="keep").settings.images == 21


def test_all_broken_photos_are_named_before_anything_is_measured(
    tiny_artifacts: Path, photos: Path, tmp_path: Path
) -> None:
    model = artifact(tiny_artifacts, tmp_path / "own.onnx", None)
    for name in ("1.png", "2.png"):
        (photos / "dog" / name).write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"^2 broken images: .*dog/1\.png.*; and .*dog/2\.png; repair or remove them$"):
        measure(model, data=photos, out=tmp_path / "out")


def test_the_option_needs_files_and_has_two_values() -> None:
    with pytest.raises(OptionError, match=r"`seen_photos='keep'` needs model files"):
        bench(seen_photos="keep")
    with pytest.raises(UnknownNameError, match="unknown choice 'no'"):
        bench(seen_photos="no")


@pytest.mark.parametrize(
    ("overlap", "split"),
    [
        (PhotoOverlap(), "test"),
        (PhotoOverlap(seen=3), "test"),
        (PhotoOverlap(kept=True), "test"),
        (PhotoOverlap(seen=3, kept=True), "seen"),
        (PhotoOverlap(seen=3, kept=True, unknown=("a",)), "seen"),
        (PhotoOverlap(seen=3, unknown=("a",)), "given"),
        (PhotoOverlap(unknown=("a",)), "given"),
        (PhotoOverlap(exact=("a",)), "given"),
        (PhotoOverlap(seen=3, exact=("a",)), "given"),
    ],
)
def test_only_photos_that_were_held_out_are_test_photos(overlap: PhotoOverlap, split: str) -> None:
    assert overlap.split == split
    assert bool(overlap.sentences(10)) == bool(overlap.seen or overlap.unknown or overlap.exact)
