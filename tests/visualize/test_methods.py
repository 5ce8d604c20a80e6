"""The methods behind the pictures, each held against what it promises."""

from typing import Any

import numpy as np
import pytest
from faint_sample import SIZE, faint_stripes

from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.visualize.activation_maximization import Ascent, AscentOptions, ascend
from tledge.visualize.captions import CaptionWriter
from tledge.visualize.colours import amplify, overlay, positive_part, stretch
from tledge.visualize.grad_cam import GradCam
from tledge.visualize.kinds.features import Features
from tledge.visualize.kinds.ideal import _IdealImages
from tledge.visualize.kinds.saliency import _SaliencyMaps
from tledge.visualize.layers import feature_layers, feature_maps, find_layers, split_at
from tledge.visualize.logit_gradients import LogitGradient
from tledge.visualize.occlusion import Patches, log_odds, occlusion_map, rank_correlation
from tledge.visualize.photo_choice import Photo
from tledge.visualize.pictures import balanced_columns
from tledge.visualize.total_variation import total_variation, total_variation_gradient
from tledge.visualize.visualized_model import model_of_run


@pytest.mark.unit
def test_total_variation_sums_the_steps_between_neighbours() -> None:
    image = np.zeros((1, 2, 3, 1), np.uint8)
    image[0, :, 1] = 6
    assert total_variation(image)[0] == pytest.approx(4 * 6 / 6)
    checkered = (np.indices((8, 8)).sum(axis=0) % 2 * 255).astype(np.uint8)[np.newaxis, ..., np.newaxis]
    assert total_variation(checkered)[0] == pytest.approx(2 * 7 * 8 * 255 / 64)


@pytest.mark.unit
def test_the_gradient_of_total_variation_is_that_of_its_rounded_sum() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 9, (1, 4, 5, 2)).astype(np.float32)

    def smooth(values: Any) -> float:
        down, across = np.diff(values, axis=1), np.diff(values, axis=2)
        return float(
            np.sqrt(down.astype(np.float64) ** 2 + 1).sum() + np.sqrt(across.astype(np.float64) ** 2 + 1).sum()
        )

    gradient = total_variation_gradient(image)
    for index in [(0, 0, 0, 0), (0, 2, 3, 1), (0, 3, 4, 0)]:
        moved = [image.copy(), image.copy()]
        moved[0][index] += 0.05
        moved[1][index] -= 0.05
        assert gradient[index] == pytest.approx((smooth(moved[0]) - smooth(moved[1])) / 0.1, abs=1e-3)


def test_the_gradient_of_a_logit_says_how_it_moves(faint_network: Any) -> None:
    gradient = LogitGradient(faint_network)
    images = np.stack([faint_stripes(label, 5) for label in (0, 1)]).astype(np.float32)
    classes = np.array([1, 0])
    logits, found = gradient(images, classes)
    np.testing.assert_allclose(logits, faint_network.predict_on_batch(images), atol=1e-3)
    step = 0.02 * found / np.sqrt(np.square(found).sum(axis=(1, 2, 3), keepdims=True))
    rise = gradient(images + step, classes)[0] - gradient(images - step, classes)[0]
    expected = 0.04 * np.sqrt(np.square(found).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(rise[[0, 1], classes], expected, rtol=0.1)


def test_layers_are_found_and_the_nearest_is_named(faint_network: Any) -> None:
    names = [layer.name for layer in feature_layers(faint_network)]
    assert "edges" in names
    assert "image" not in names
    assert "features" not in names
    assert [layer.name for layer in find_layers(faint_network, ())] == ["joined", "shapes"]
    with pytest.raises(UnknownNameError, match="unknown layer 'shape'. Did you mean 'shapes'?"):
        find_layers(faint_network, ["shape"])
    (maps,) = feature_maps(faint_network, find_layers(faint_network, ["shapes"]), faint_stripes(0, 1)[np.newaxis])
    assert maps.shape == (1, 12, 12, 16)
    assert maps.min() >= 0


def test_layers_are_told_apart_from_the_image_on(faint_run: RunDirectory) -> None:
    network = model_of_run(faint_run)
    first, second = Features(layers=["shapes", "edges_relu"]).show(network, Progress()).sentences
    assert first.startswith(
        "From 24\u00a0×\u00a024 in edges_relu to 12\u00a0×\u00a012 in shapes: early layers show edges"
    )
    assert second.startswith("Of the 16 channels of shapes, ")
    (alone,) = Features(layers=["edges_relu"]).show(network, Progress()).sentences
    assert alone.startswith("Of the 12 channels of edges_relu, ")


def test_grad_cam_is_that_of_the_paper(faint_network: Any) -> None:
    """The pooled head is linear, so that the weights of the paper are the head's own over the number of positions."""
    photos, classes = np.stack([faint_stripes(0, 3), faint_stripes(1, 3)]), np.array([0, 1])
    cam = GradCam(faint_network)
    assert cam.layer == "shapes"
    found = cam(photos, classes)
    (maps,) = feature_maps(faint_network, find_layers(faint_network, ["shapes"]), photos)
    kernel, _ = faint_network.get_layer("logits").get_weights()
    expected = np.maximum(np.einsum("nhwc,cn->nhw", maps, kernel[:, classes]) / 144, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_grad_cam_of_many_photos_is_that_of_each(faint_network: Any) -> None:
    photos, classes = np.stack([faint_stripes(seed % 2, seed) for seed in range(10)]), np.arange(10) % 2
    cam = GradCam(faint_network)
    each = [cam(photos[[index]], classes[[index]])[0] for index in range(10)]
    np.testing.assert_allclose(cam(photos, classes), each, rtol=1e-4, atol=1e-6)


def test_a_layer_that_a_connection_bypasses_is_refused(faint_network: Any) -> None:
    assert split_at(faint_network, "joined")[2] == "joined"
    with pytest.raises(OptionError, match="a connection bypasses the layer 'aside'"):
        split_at(faint_network, "aside")


def test_occlusion_finds_the_half_that_holds_the_stripes(faint_network: Any) -> None:
    patches = Patches.of((SIZE, SIZE), 12)
    assert len(patches) == 49
    for seed in range(4):
        photo = faint_stripes(0, seed)
        found = occlusion_map(faint_network.predict_on_batch, photo, 0, patches)
        assert found.shape == (7, 7)
        left, right = found[:, :3].mean(), found[:, 4:].mean()
        assert left > right, "the stripes lie in the left half"


@pytest.mark.unit
def test_patches_cover_the_photo_and_their_values_spread_over_it() -> None:
    patches = Patches.of((20, 30), 8)
    photo = np.full((20, 30, 3), 9, np.uint8)
    photo[0, 0] = 255
    parts = list(patches.covered(photo))
    assert len(patches) == 28
    assert [len(part) for part in parts] == [28]
    assert [len(part) for part in Patches.of((20, 30), 4).covered(photo)] == [32, 32, 32, 30]
    (images,) = parts
    assert (images[0, :8, :8] == images[0, 0, 0]).all()
    assert (images[1, 0, 0] == 255).all()
    values = np.arange(len(patches), dtype=np.float32).reshape(len(patches.rows), len(patches.columns))
    spread = patches.spread(values)
    assert spread[0, 0] == 0
    assert spread[-1, -1] == len(patches) - 1
    np.testing.assert_allclose(patches.gathered(np.full((20, 30), 3.0, np.float32)), 3)
    for side in (1, 11):
        with pytest.raises(OptionError, match="`patch` must be between 2 and 10 pixels, half of the photo; received"):
            Patches.of((20, 30), side)


@pytest.mark.unit
def test_log_odds_do_not_end_where_scores_do() -> None:
    logits = np.array([[40.0, 0.0], [0.0, 0.0], [60.0, 0.0]], np.float32)
    np.testing.assert_allclose(log_odds(logits, 0), [40, 0, 60])
    three = np.log(np.array([[0.7, 0.2, 0.1]], np.float32))
    np.testing.assert_allclose(log_odds(three, 0), [np.log(0.7 / 0.3)], rtol=1e-5)


@pytest.mark.unit
def test_ranks_agree_with_what_keeps_the_order() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert rank_correlation(values, -values) == pytest.approx(-1)
    assert rank_correlation(values, np.ones((3, 4), np.float32)) is None


@pytest.mark.unit
def test_tied_values_share_the_mean_of_their_ranks() -> None:
    """Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: covariance 4.5, sums of squares 4.5 and 5."""
    tied, plain = np.array([[0, 7, 7, 9]], np.float32), np.array([[0, 1, 2, 3]], np.float32)
    assert rank_correlation(tied, plain) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def test_an_ascent_is_repeatable_and_its_images_differ_by_the_term_alone(faint_network: Any) -> None:
    gradient = LogitGradient(faint_network)
    options = AscentOptions(steps=12, l2=0.05, jitter=2, scales=3, seed=4)
    steps: list[int] = []

    def climb(weights: tuple[float, ...]) -> Any:
        return ascend(gradient, 1, (SIZE, SIZE), weights=weights, options=options, advance=lambda: steps.append(1))

    first, again, other = climb((0.0, 0.5)), climb((0.0, 0.5)), climb((0.0, 0.0))
    assert len(steps) == 3 * 12
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(other.images[0], other.images[1])
    assert (first.images[0] != first.images[1]).mean() > 0.5
    assert first.frame_steps[0] == 0
    assert first.frame_steps[-1] == 12
    np.testing.assert_array_equal(first.frames[0][0], first.frames[0][1])
    np.testing.assert_array_equal(first.frames[-1], first.images)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"jitter": 25}, "`jitter` must be at most 24 for images of 48 × 48 pixels; received 25"),
        ({"scales": 6}, "`scales` must be at most 4"),
        ({"steps": 2}, "`steps=2` is too few for 3 scales"),
    ],
)
def test_options_of_an_ascent_are_checked(changed: dict[str, Any], message: str) -> None:
    options = {"steps": 12, "l2": 0.05, "jitter": 2, "scales": 3, "seed": 0, **changed}
    with pytest.raises(OptionError, match=message):
        AscentOptions(**options).check((SIZE, SIZE))


@pytest.mark.unit
def test_colours_keep_their_range() -> None:
    flat = np.ones((4, 4), np.float32)
    assert (stretch(flat) == 0).all()
    assert stretch(np.array([[0.0, 5.0]])).max() == 1
    assert (positive_part(-flat) == 0).all()
    assert positive_part(np.array([[-3.0, 2.0, 4.0]])).tolist() == [[0, 0.5, 1]]
    assert overlay(np.full((4, 4, 3), 250, np.uint8), flat).dtype == np.uint8
    difference = np.zeros((2, 2, 3), np.int16)
    difference[0, 0, 0], difference[1, 1, 1] = 2, -1
    shown, factor = amplify(difference)
    assert factor == 63.5
    assert shown[0, 0, 0] == 255
    assert shown[0, 1, 0] == 128
    assert shown[1, 1, 1] == pytest.approx(64, abs=1)


@pytest.mark.unit
def test_letters_fit_into_their_width() -> None:
    writer = CaptionWriter.load(11)
    lines = writer.wrap("a photo of a cat\nthat-is-called-by-one-very-long-word-indeed", 80)
    assert len(lines) >= 3
    assert lines[-1].endswith("…")
    assert all(writer.font.getlength(line) <= 80 for line in lines)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("count", "most", "columns"),
    [(5, 5, 5), (8, 7, 4), (8, 5, 4), (12, 7, 6), (32, 8, 8), (32, 13, 8), (11, 7, 6), (1, 5, 1), (7, 5, 4), (3, 1, 1)],
)
def test_no_tile_is_alone_on_a_row(count: int, most: int, columns: int) -> None:
    assert balanced_columns(count, most) == columns


@pytest.mark.unit
@pytest.mark.parametrize(("score", "found"), [(0.0078, False), (0.499, False), (0.5, True), (1.0, True)])
def test_an_image_without_the_score_is_not_called_ideal(score: float, found: bool) -> None:
    images = np.zeros((2, 8, 8, 3), np.uint8)
    item = _IdealImages("1", Ascent(images, [images], [0]), [1.0, score], [0.0, 0.0], [80.0, 4.0], {})
    grid = item.pictures()[0]
    assert grid.title == ("The ideal 1" if found else "No ideal 1 found")
    assert ("The search failed" in grid.caption, "pretrained weights" in grid.caption) == (not found, not found)
    assert ("no ideal image found" in item.sentence) is not found


@pytest.mark.unit
def test_maps_like_that_of_the_keras_model_are_named_once() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    patches = Patches.of((20, 20), None)
    own = np.arange(len(patches), dtype=np.float32).reshape(len(patches.rows), len(patches.columns))
    maps = {"model.keras": own, "same.tflite": own * 2, "other.tflite": own[::-1].copy(), "flat.onnx": own * 0}
    item = _SaliencyMaps(
        photo=Photo("a.png", pixels), predicted="cat", score=0.9, cam=pixels[..., 0] * 1.0, maps=maps, patches=patches
    )
    shown = [tile.label.split("\n")[0] for tile in item.grid("relu", every=False).tiles]
    assert shown == ["a.png", "Grad-CAM, relu", "model.keras", "other.tflite", "flat.onnx"]
    assert "The maps of same.tflite look like that of model.keras" in item.grid("relu", every=False).caption
    every = item.grid("relu", every=True)
    assert (len(every.tiles), "look like" in every.caption) == (6, False)
