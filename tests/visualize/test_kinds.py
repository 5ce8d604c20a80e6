"""Each kind on a run that learned to tell faint stripes, through the function that the command line calls."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faint_sample import CLASSES, SIZE, photos_of
from PIL import Image

from tledge.core.artifact import read_artifact, write_artifact
from tledge.core.errors import DataError, ImageError, OptionError, UnknownNameError
from tledge.core.run_directory import RunDirectory
from tledge.edge_runtime import Classifier
from tledge.visualize import VisualizeRecord, visualize
from tledge.visualize.kind import KINDS
from tledge.visualize.pictures import Animation, Tile, webp_uri
from tledge.visualize.plots import score_curves
from tledge.visualize.total_variation import total_variation
from tledge.visualize.visualized_model import model_of_run

ARTIFACTS = ["float32.tflite", "int8.tflite"]


def show(run: RunDirectory, folder: Path, *kinds: str, **options: Any) -> VisualizeRecord:
    return visualize(kinds, run=run.path, output=folder, **options)


@pytest.fixture(scope="module")
def ideal(faint_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> VisualizeRecord:
    return show(faint_run, tmp_path_factory.mktemp("ideal"), "ideal", jitter=4, tv=3)


def test_ideal_images_score_and_are_ten_times_smoother_by_the_term(ideal: VisualizeRecord) -> None:
    found = ideal.sections["ideal"].figures["classes"]
    assert [item["class"] for item in found] == list(CLASSES)
    for item in found:
        assert item["score"] >= 0.99
        assert item["total_variation_ratio"] <= 0.1
        assert item["total_variation_ratio"] == pytest.approx(
            item["total_variation"] / item["total_variation_without_tv"]
        )
        assert item["artifacts"]["float32.tflite"] == pytest.approx(item["score"], abs=0.01)
        assert item["artifacts"]["int8.tflite"] >= 0.9


def test_the_ideal_image_as_it_was_written_is_what_the_artifact_likes(
    ideal: VisualizeRecord, faint_run: RunDirectory
) -> None:
    with Classifier(faint_run.artifacts / "float32.tflite") as classifier:
        for label, name in enumerate(CLASSES):
            grid = next(
                picture for picture in ideal.sections["ideal"].pictures if picture.file_name == f"ideal-{name}.png"
            )
            smooth = grid.tiles[1].pixels  # type: ignore[attr-defined]
            assert smooth.shape == (SIZE, SIZE, 3)
            assert classifier.probabilities(smooth[np.newaxis])[0, label] >= 0.99
            figures = ideal.sections["ideal"].figures["classes"][label]
            assert total_variation(smooth[np.newaxis])[0] == pytest.approx(figures["total_variation"])


def test_the_way_to_an_ideal_image_is_an_animation(ideal: VisualizeRecord) -> None:
    for name in CLASSES:
        with Image.open(ideal.folder / f"ideal-{name}.gif") as animation:
            assert animation.n_frames >= 20
            assert animation.info["loop"] == 1
            animation.seek(animation.n_frames - 1)
            assert animation.info["duration"] >= 2000


def test_all_photos_of_a_class_are_turned_into_the_other_within_4(faint_run: RunDirectory, tmp_path: Path) -> None:
    record = show(faint_run, tmp_path, "adversarial", classes=["upright"], target="across", images=20, max_eps=8)
    photos = record.sections["adversarial"].figures["photos"]
    assert len(photos) >= 18, "the network is right about nearly all of the 20"
    assert {photo["class"] for photo in photos} == {"upright"}
    assert all(photo["eps"] is not None and photo["eps"] <= 4 for photo in photos)
    for photo in photos:
        assert photo["target_score"] > 0.5 > photo["target_score_by_eps"][0]
        assert len(photo["target_score_by_eps"]) == photo["eps"] + 1
        assert all(score < 0.5 for score in photo["target_score_by_eps"][:-1]), "a smaller eps would have done"
        assert len(photo["target_score_by_step"]) == 20 + 2
        assert set(photo["artifacts"]) == set(ARTIFACTS)
    fooled = [photo["artifacts"]["float32.tflite"]["fooled"] for photo in photos]
    assert all(fooled), "it is the attacked model in another file"


def test_the_attacked_photo_that_is_shown_is_within_eps_and_fools_the_artifact(
    faint_run: RunDirectory, tmp_path: Path
) -> None:
    photo = photos_of(faint_run, 0)[0]
    record = show(faint_run, tmp_path, "adversarial", photos=[photo], target="upright")
    (figures,) = record.sections["adversarial"].figures["photos"]
    tiles = record.sections["adversarial"].pictures[0].tiles  # type: ignore[attr-defined]
    assert tiles[0].label.splitlines() == [photo.name, f"across ({figures['score']:.3f})"]
    original, attacked, _ = (tile.pixels for tile in tiles)
    assert np.array_equal(original, np.asarray(Image.open(photo)))
    assert np.abs(attacked.astype(int) - original).max() == figures["eps"]
    with Classifier(faint_run.artifacts / "float32.tflite") as classifier:
        assert classifier.classify(attacked)[0].label == "upright"


def test_an_attack_that_fails_says_so(faint_run: RunDirectory, tmp_path: Path) -> None:
    photo = photos_of(faint_run, 1)[0]
    record = show(faint_run, tmp_path, "adversarial", photos=str(photo), max_eps=1, steps=1)
    (figures,) = record.sections["adversarial"].figures["photos"]
    assert figures["eps"] is None
    assert "None of 1 photos was classified as its target at eps 1/255" in record.sections["adversarial"].sentences[0]


def test_saliency_compares_where_each_artifact_looks(faint_run: RunDirectory, tmp_path: Path) -> None:
    section = show(faint_run, tmp_path, "saliency", images=3).sections["saliency"]
    assert section.figures["layer"] == "shapes"
    assert len(section.figures["photos"]) == 3
    for photo in section.figures["photos"]:
        assert photo["rank_correlation"]["float32.tflite"] > 0.99
        assert 0.7 < photo["rank_correlation"]["int8.tflite"] <= 1
        assert -1 <= photo["grad_cam_to_occlusion"] <= 1
    for photo, picture in zip(section.figures["photos"], section.pictures, strict=True):
        labels = [tile.label.split("\n")[0] for tile in picture.tiles]  # type: ignore[attr-defined]
        differing = [name for name in ARTIFACTS if photo["rank_correlation"][name] < 0.99]
        assert labels == [photo["photo"], "Grad-CAM, shapes", "model.keras", *differing]
        assert "float32.tflite" in picture.caption
        assert "int8.tflite" in f"{labels}{picture.caption}", "what is left out is named"


def test_confusions_are_the_most_confident_errors(faint_run: RunDirectory, tmp_path: Path) -> None:
    figures = show(faint_run, tmp_path, "confusions").sections["confusions"].figures
    assert figures["photos"] == 40
    by_name = {item["artifact"]: item for item in figures["artifacts"]}
    assert list(by_name) == ["model.keras", *ARTIFACTS]
    splits = faint_run.splits()
    with Classifier(faint_run.artifacts / "int8.tflite") as classifier:
        pixels = np.stack([classifier.load(path) for path in splits.paths(splits.test)])
        predictions = classifier.logits(pixels).argmax(axis=1)
    wrong = int((predictions != [sample.label for sample in splits.test]).sum())
    assert by_name["int8.tflite"]["wrong"] == wrong
    assert by_name["int8.tflite"]["top1"] == pytest.approx(1 - wrong / 40)
    assert by_name["float32.tflite"]["disagreeing"] == 0
    scores = [error["score"] for error in by_name["int8.tflite"]["surest_errors"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == min(wrong, 10)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_parts_the_classes(method: str, faint_run: RunDirectory, tmp_path: Path) -> None:
    record = show(faint_run, tmp_path, "embedding", method=method)
    figures = record.sections["embedding"].figures
    assert len(figures["points"]) == 40
    assert figures["nearest_of_same_class"] > 0.8
    places = {name: [(p["x"], p["y"]) for p in figures["points"] if p["class"] == name] for name in CLASSES}
    across, upright = (np.array(places[name]) for name in CLASSES)
    between = np.linalg.norm(across.mean(axis=0) - upright.mean(axis=0))
    assert between > 0.5 * (across.std() + upright.std())
    assert set(figures["wrong"]) == {p["photo"] for p in figures["points"] if p["class"] != p["prediction"]}
    with Image.open(tmp_path / f"embedding-{method}.png") as image:
        assert image.size == (760, 560)


def test_feature_maps_are_those_of_the_chosen_layers(faint_run: RunDirectory, tmp_path: Path) -> None:
    photo = photos_of(faint_run, 0)[1]
    record = show(faint_run, tmp_path, "features", photos=[photo], layers=["edges_relu", "shapes"], channels=7)
    (figures,) = record.sections["features"].figures["photos"]
    assert [(layer["layer"], layer["channels"], layer["height"]) for layer in figures["layers"]] == [
        ("edges_relu", 12, 24),
        ("shapes", 16, 12),
    ]
    means = [channel["mean"] for channel in figures["layers"][0]["strongest"]]
    assert means == sorted(means, reverse=True)
    names = sorted(path.name for path in record.files)
    assert names == sorted(
        f"features-{photo.stem}-{layer}{end}.png" for layer in ("edges_relu", "shapes") for end in ("", "-strongest")
    )
    assert len(record.sections["features"].pictures[1].tiles) == 7  # type: ignore[attr-defined]


def test_without_a_name_every_kind_is_shown_on_one_page(faint_run: RunDirectory, tmp_path: Path) -> None:
    record = show(faint_run, tmp_path, steps=24)
    assert list(record.sections) == ["features", "saliency", "ideal", "adversarial", "confusions", "embedding"]
    assert not record.left_out
    page = record.page.read_text()
    assert all(f'id="{name}"' in page for name in record.sections)
    written = json.loads(record.figures.read_text())
    assert written["figures"].keys() == record.sections.keys()
    assert written["options"]["ideal"]["steps"] == 24
    assert [Path(name).name for name in written["files"]] == [path.name for path in record.files]
    assert all(path.stat().st_size for path in record.files)


def test_two_photos_of_one_name_get_two_files(faint_run: RunDirectory, tmp_path: Path) -> None:
    photos = []
    for label in (0, 1):
        photos.append(tmp_path / str(label) / "same.png")
        photos[-1].parent.mkdir()
        photos[-1].write_bytes(photos_of(faint_run, label)[0].read_bytes())
    record = show(faint_run, tmp_path / "out", "adversarial", photos=photos)
    assert {"adversarial-same.png", "adversarial-same-2.png"} <= {path.name for path in record.files}


@pytest.mark.parametrize(
    ("kinds", "options", "error", "message"),
    [
        (["ideal"], {"classes": ["uprigth"]}, UnknownNameError, "unknown class 'uprigth'. Did you mean 'upright'?"),
        (["features"], {"layers": ["edge"]}, UnknownNameError, "unknown layer 'edge'. Did you mean 'edges'?"),
        (["saliency"], {"layers": ["aside"]}, OptionError, "a connection bypasses the layer 'aside'"),
        (
            ["saliency"],
            {"layers": ["edges", "shapes"]},
            OptionError,
            "`layers` must name one layer for Grad-CAM; received 2",
        ),
        (["saliency"], {"artifacts": ["int9.tflite"]}, UnknownNameError, "Did you mean 'int8.tflite'?"),
        (["embedding"], {"method": "umap"}, UnknownNameError, "unknown method 'umap'"),
        (["embedding"], {"points": 3}, OptionError, "`points` must be between 10 and 5000; received 3"),
        (["adversarial"], {"target": "dog"}, UnknownNameError, "unknown class 'dog'. Classes: across, upright"),
        (["adversarial"], {"max_eps": 0}, OptionError, "`max_eps` must be between 1 and 255; received 0"),
        (["adversarial"], {"images": 99, "steps": 0}, OptionError, "`steps` must be between 1 and 100000; received 0"),
        (["ideal"], {"tv": 0}, OptionError, "`tv` must be above 0 and at most 100; received 0"),
        (["ideal"], {"tv": 101}, OptionError, "`tv` must be above 0 and at most 100; received 101"),
        (["ideal"], {"l2": -1}, OptionError, "`l2` must be between 0 and 1; received -1"),
        (["ideal"], {"jitter": -1}, OptionError, "`jitter` must be 0 or more; received -1"),
        (["ideal"], {"scales": 0}, OptionError, "`scales` must be 1 or more; received 0"),
        (["ideal"], {"seed": 2**32}, OptionError, "`seed` must be between 0 and 4294967295; received 4294967296"),
        (
            ["ideal"],
            {"target": "across"},
            OptionError,
            "`target` is an option of adversarial, not of ideal; leave it out",
        ),
        (["dreams"], {}, UnknownNameError, "unknown kind 'dreams'"),
        (["confusions"], {"tiles": 0}, OptionError, "`tiles` must be 1 or more; received 0"),
        (["features"], {"channels": 0}, OptionError, "`channels` must be 1 or more; received 0"),
        (["features"], {"images": 0}, OptionError, "`images` must be 1 or more; received 0"),
        (["ideal"], {"image_size": 96}, OptionError, "`image_size` is for a plain backbone"),
        (["ideal"], {"colour": "red"}, UnknownNameError, "unknown option 'colour'"),
    ],
)
def test_what_does_not_exist_is_an_error(
    kinds: list[str],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    faint_run: RunDirectory,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message.replace("?", r"\?")):
        show(faint_run, tmp_path / "out", *kinds, **options)
    assert not (tmp_path / "out").exists()


def test_a_target_that_is_the_present_class_and_a_photo_that_is_none_are_errors(
    faint_run: RunDirectory, tmp_path: Path
) -> None:
    photo = photos_of(faint_run, 0)[0]
    with pytest.raises(
        OptionError, match=r"is already classified as 'across' \(score [01]\.\d+\); choose another target"
    ):
        show(faint_run, tmp_path, "adversarial", photos=[photo], target="across")
    (tmp_path / "no.jpg").write_text("no photo")
    with pytest.raises(ImageError, match="not a readable image: '.*no.jpg'"):
        show(faint_run, tmp_path, "saliency", photos=[tmp_path / "no.jpg"])
    with pytest.raises(OptionError, match="`photos` names photos, and `classes` chooses test photos: give one"):
        show(faint_run, tmp_path, "features", photos=[photo], classes=["across"])


def test_photos_of_the_target_alone_are_refused(faint_run: RunDirectory, tmp_path: Path) -> None:
    name = CLASSES[0]
    with pytest.raises(OptionError, match="choose a target other than their class"):
        show(faint_run, tmp_path, "adversarial", classes=name, target=name)


def test_a_class_can_be_named_by_its_number(faint_run: RunDirectory) -> None:
    network = model_of_run(faint_run)
    assert network.class_index("1") == 1
    assert network.class_index(CLASSES[1]) == 1
    with pytest.raises(UnknownNameError):
        network.class_index(str(len(CLASSES)))


def test_an_artifact_of_other_classes_is_refused(faint_run: RunDirectory, tmp_path: Path) -> None:
    artifact = read_artifact(faint_run.artifacts / "float32.tflite")
    content = (faint_run.artifacts / "float32.tflite").read_bytes()
    write_artifact(tmp_path / "other.tflite", content, replace(artifact.sidecar, class_names=CLASSES[::-1]))
    with pytest.raises(OptionError, match="has the classes"):
        model_of_run(faint_run).choose_artifacts([str(tmp_path / "other.tflite")])


def test_a_kind_that_cannot_be_shown_costs_no_other(
    faint_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise DataError("too few photos")

    for name in KINDS.names():
        if name != "confusions":
            monkeypatch.setattr(type(KINDS.load(name)), "show", fail)
    record = show(faint_run, tmp_path)
    assert list(record.sections) == ["confusions"]
    assert record.left_out["embedding"] == "too few photos"
    with pytest.raises(DataError, match="too few photos"):
        show(faint_run, tmp_path, "embedding")


@pytest.mark.unit
def test_names_are_drawn_as_they_are() -> None:
    chart = score_curves([("cost$_5_$.png", [0.1, 0.9]), ("_MG_1.jpg", [0.2, 0.8])], "$x$")
    corners = []
    for png in (chart.light, chart.dark):
        with Image.open(io.BytesIO(png)) as image:
            corners.append(image.convert("RGB").getpixel((0, 0)))
    assert corners == [(255, 255, 255), (20, 23, 27)]


@pytest.mark.unit
def test_pictures_in_the_page_are_exact_where_it_matters() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)

    def shown(tile: Tile) -> Any:
        with Image.open(io.BytesIO(base64.b64decode(tile.data_uri.partition(",")[2]))) as image:
            assert image.format == "WEBP"
            return np.asarray(image.convert("RGB"))

    assert np.array_equal(shown(Tile(pixels, "", "", exact=True)), pixels)
    assert np.array_equal(shown(Tile(pixels[:32, :32], "", "")), pixels[:32, :32]), "small ones always"
    assert not np.array_equal(shown(Tile(pixels, "", "")), pixels)


@pytest.mark.unit
def test_an_animation_in_the_page_has_every_frame() -> None:
    frames = [np.full((8, 8, 3), 80 * number, np.uint8) for number in range(3)]
    animation = Animation(name="a", title="", caption="", frames=frames, milliseconds=100, alt="three greys")
    with Image.open(io.BytesIO(base64.b64decode(animation.data_uri.partition(",")[2]))) as image:
        assert image.n_frames == 3
        assert image.info["loop"] == 2
        image.seek(2)
        assert image.convert("RGB").getpixel((4, 4)) == pytest.approx((160, 160, 160), abs=2)


@pytest.mark.unit
def test_pictures_above_the_limit_of_webp_are_png() -> None:
    for height, kind in ((16_383, "webp"), (16_384, "png")):
        start, _, content = webp_uri([Image.new("RGB", (4, height), "red")], lossless=True).partition(",")
        assert start == f"data:image/{kind};base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert image.size == (4, height)


def test_a_notebook_shows_the_pictures_with_captions(faint_run: RunDirectory, tmp_path: Path) -> None:
    record = show(faint_run, tmp_path, "adversarial", "confusions", images=1)
    shown = record._repr_html_()
    pictures = [picture for section in record.sections.values() for picture in section.pictures]
    assert shown.count('<figure><img src="data:image/webp;base64,') == len(pictures)
    assert all(f"<code>{picture.file_name}</code></figcaption>" in shown for picture in pictures)
    assert "<h4>Adversarial images</h4>" in shown
    assert len(repr(record)) < 1000
    assert "http" not in shown
