"""Each corruption does what its name says."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tledge.attacks.corruptions import SEVERITIES, corrupt
from tledge.attacks.corruptions.colour_temperature import LUMINANCE, chromaticity, light_of
from tledge.attacks.corruptions.filters import convolve, gaussian_blur, path_kernel, sample, trail_kernel
from tledge.attacks.corruptions.frost import frost_pictures
from tledge.attacks.corruptions.pixels import decode_gamma, encode_gamma, to_light
from tledge.attacks.corruptions.weather import plasma
from tledge.core.images import Pixels

GREY = np.full((1, 128, 128, 3), 128, np.uint8)


def laplacian_energy(images: Pixels) -> float:
    values = images.astype(float)
    inner = values[:, 1:-1, 1:-1]
    around = values[:, 2:, 1:-1] + values[:, :-2, 1:-1] + values[:, 1:-1, 2:] + values[:, 1:-1, :-2]
    return float(np.mean((around - 4 * inner) ** 2))


@pytest.mark.unit
@pytest.mark.parametrize(("severity", "deviation"), [(1, 0.08), (2, 0.12)])
def test_gaussian_noise_has_the_deviation_of_the_data_set(severity: int, deviation: float) -> None:
    noisy = corrupt(GREY, "gaussian_noise", severity=severity, seed=0)
    assert noisy.std() / 255 == pytest.approx(deviation, rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=0.5)


@pytest.mark.unit
@pytest.mark.parametrize(("severity", "photons"), [(1, 60), (2, 25)])
def test_shot_noise_is_that_of_as_many_photons(severity: int, photons: int) -> None:
    noisy = corrupt(GREY, "shot_noise", severity=severity, seed=0) / 255
    mean = 128 / 255
    assert noisy.mean() == pytest.approx(mean, abs=0.005)
    assert noisy.var() == pytest.approx(mean / photons, rel=0.05)


@pytest.mark.unit
@pytest.mark.parametrize(("severity", "share"), list(zip(SEVERITIES, (0.03, 0.06, 0.09, 0.17, 0.27), strict=True)))
def test_impulse_noise_flips_a_share_half_to_black_and_half_to_white(severity: int, share: float) -> None:
    noisy = corrupt(GREY, "impulse_noise", severity=severity, seed=0)
    assert np.mean(noisy == 0) == pytest.approx(share / 2, rel=0.1)
    assert np.mean(noisy == 255) == pytest.approx(share / 2, rel=0.1)
    assert set(np.unique(noisy)) == {0, 128, 255}


@pytest.mark.parametrize("name", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "camera_motion"])
def test_blurs_take_away_detail_and_no_light(name: str, photos: Pixels) -> None:
    for severity in SEVERITIES:
        blurred = corrupt(photos, name, severity=severity, seed=0)
        assert laplacian_energy(blurred) < 0.7 * laplacian_energy(photos)
        # The hand's motion is averaged in linear light.
        light = to_light if name == "camera_motion" else np.asarray
        assert np.mean(light(blurred)) == pytest.approx(np.mean(light(photos)), rel=0.06)


@pytest.mark.unit
def test_defocus_makes_a_disk_of_a_point() -> None:
    image = np.zeros((1, 224, 224, 3), np.uint8)
    image[0, 112, 112] = 255
    image[0, 100:125, 100:125] = 255
    blurred = corrupt(image, "defocus_blur", severity=5, seed=0)[0, ..., 0]
    rows = np.flatnonzero(blurred.any(axis=1))
    assert rows[0] == pytest.approx(100 - 10, abs=1)
    assert rows[-1] == pytest.approx(124 + 10, abs=1)


@pytest.mark.unit
def test_lengths_are_scaled_to_the_image(photos: Pixels) -> None:
    def widest(side: int) -> int:
        image = np.zeros((1, side, side, 3), np.uint8)
        image[0, :, : side // 2] = 255
        row = corrupt(image, "defocus_blur", severity=5, seed=0)[0, side // 2, :, 0]
        return int(np.sum((row > 12) & (row < 243)))

    assert widest(224) / widest(112) == pytest.approx(2, rel=0.15)


@pytest.mark.unit
def test_glass_blur_moves_pixels_and_makes_none(photos: Pixels) -> None:
    halves = np.zeros((1, 224, 224, 3), np.uint8)
    halves[0, :, 112:] = 200
    glassy = corrupt(halves, "glass_blur", severity=5, seed=0)[0, ..., 0]
    assert (glassy[:, :80] == 0).all()
    assert (glassy[:, -80:] == 200).all()
    edge = glassy[:, 108:116].astype(float)
    assert edge.std(axis=0).min() > 5, "an edge is ragged"
    assert glassy.mean() == pytest.approx(100, abs=0.5)


@pytest.mark.unit
def test_brightness_raises_the_value_and_keeps_the_hue() -> None:
    image = np.broadcast_to(np.array((100, 50, 25), np.uint8), (1, 32, 32, 3))
    brighter = corrupt(image, "brightness", severity=2, seed=0)
    np.testing.assert_array_equal(brighter[0, 0, 0], np.rint(np.array((1, 0.5, 0.25)) * (100 + 51)).astype(np.uint8))
    means = [corrupt(image, "brightness", severity=severity, seed=0).mean() for severity in SEVERITIES]
    assert image.mean() < means[0] < means[1] < means[2] < means[3] < means[4]


@pytest.mark.unit
def test_contrast_lowers_the_deviation_and_keeps_the_mean(photos: Pixels) -> None:
    for severity, share in zip(SEVERITIES, (0.4, 0.3, 0.2, 0.1, 0.05), strict=True):
        lower = corrupt(photos, "contrast", severity=severity, seed=0)
        for before, after in zip(photos, lower, strict=True):
            assert after.std(axis=(0, 1)) == pytest.approx(share * before.std(axis=(0, 1)), rel=0.05, abs=0.2)
            assert after.mean() == pytest.approx(before.mean(), abs=0.5)


@pytest.mark.unit
def test_fog_takes_away_contrast_and_colour(photos: Pixels) -> None:
    foggy = corrupt(photos, "fog", severity=3, seed=0)
    assert foggy.max() <= photos.max()
    assert np.ptp(foggy, axis=3).mean() < 0.5 * np.ptp(photos, axis=3).mean()


@pytest.mark.unit
def test_snow_whitens_and_lies_in_streaks() -> None:
    dark = np.full((1, 224, 224, 3), 20, np.uint8)
    snowy = corrupt(dark, "snow", severity=2, seed=0)[0, ..., 0].astype(float)
    assert snowy.mean() > 40
    assert np.percentile(snowy, 99) > 150
    assert np.percentile(snowy, 10) < 70
    down, across = np.diff(snowy, axis=0).std(), np.diff(snowy, axis=1).std()
    assert down < across, "flakes are longer down than across"


def test_the_drawn_frost_is_bluish_has_detail_and_varies() -> None:
    pictures = np.stack([np.asarray(picture, float) / 255 for picture in frost_pictures()])
    assert len({picture.tobytes() for picture in pictures}) == 5
    red, green, blue = pictures.mean(axis=(0, 1, 2))
    assert red < green < blue
    assert 0.3 < pictures.mean() < 0.55
    assert pictures.std(axis=(1, 2)).min() > 0.12


@pytest.mark.unit
@pytest.mark.parametrize("name", ["jpeg_compression", "low_quality_jpeg"])
def test_jpeg_is_pillows(name: str, photos: Pixels) -> None:
    qualities = {"jpeg_compression": (25, 18, 15, 10, 7), "low_quality_jpeg": (30, 20, 15, 10, 5)}[name]
    for severity, quality in zip(SEVERITIES, qualities, strict=True):
        stream = io.BytesIO()
        Image.fromarray(photos[0]).save(stream, "JPEG", quality=quality)
        expected = np.asarray(Image.open(stream))
        np.testing.assert_array_equal(corrupt(photos[:1], name, severity=severity, seed=0)[0], expected)


@pytest.mark.unit
def test_pixelate_leaves_blocks() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    blocks = corrupt(image, "pixelate", severity=5, seed=0)[0].reshape(16, 4, 16, 4, 3)
    assert (np.ptp(blocks, axis=(1, 3)) == 0).all()
    np.testing.assert_allclose(blocks[:, 0, :, 0], image[0].reshape(16, 4, 16, 4, 3).mean(axis=(1, 3)), atol=1)


@pytest.mark.unit
def test_elastic_photos_are_warped_and_not_recoloured(photos: Pixels) -> None:
    for severity in SEVERITIES:
        warped = corrupt(photos, "elastic_transform", severity=severity, seed=0)
        assert warped.max() <= photos.max()
        assert warped.min() >= photos.min()
        assert warped.mean() == pytest.approx(photos.mean(), rel=0.1)


@pytest.mark.unit
def test_low_light_darkens_and_is_noisier_where_it_is_dark() -> None:
    noise = []
    for severity in SEVERITIES:
        shot = corrupt(GREY, "low_light", severity=severity, seed=0)
        noise.append(shot.std() / shot.mean())
        assert shot.mean() < 128
    assert noise == sorted(noise)
    assert noise[-1] > 5 * noise[0]


@pytest.mark.unit
def test_white_balance_moves_red_against_blue_both_ways_and_keeps_the_light() -> None:
    many = np.repeat(GREY[:, :32, :32], 40, axis=0)
    previous = 0.0
    for severity in SEVERITIES:
        shifted = corrupt(many, "white_balance", severity=severity, seed=0)
        warmth = shifted[:, 0, 0, 0].astype(float) - shifted[:, 0, 0, 2]
        assert 8 <= np.sum(warmth > 0) <= 32
        assert np.abs(warmth).min() > previous
        previous = np.abs(warmth).min()
        luminance = to_light(shifted)[:, 0, 0] @ LUMINANCE
        assert luminance == pytest.approx(to_light(GREY)[0, 0, 0, 0], rel=0.01)


@pytest.mark.unit
def test_wrong_exposure_multiplies_light_by_stops_both_ways() -> None:
    many = np.repeat(GREY[:, :32, :32], 40, axis=0)
    exposed = to_light(corrupt(many, "wrong_exposure", severity=2, seed=0))[:, 0, 0, 0] / to_light(GREY)[0, 0, 0, 0]
    over = exposed > 1
    assert 8 <= over.sum() <= 32
    assert exposed[over] == pytest.approx(2**1.25, rel=0.01)
    assert exposed[~over] == pytest.approx(2**-1.25, rel=0.02)


@pytest.mark.unit
def test_a_dirty_lens_blurs_and_veils_in_places(photos: Pixels) -> None:
    checks = np.kron(np.indices((64, 64)).sum(axis=0) % 2, np.ones((2, 2))).astype(np.uint8) * 200
    image = np.repeat(checks[None, ..., None], 3, axis=3)
    contrast = []
    for severity in SEVERITIES:
        dirty = corrupt(image, "dirty_lens", severity=severity, seed=0)[0, ..., 0].astype(float)
        blocks = np.ptp(dirty.reshape(16, 8, 16, 8).transpose(0, 2, 1, 3).reshape(256, 64), axis=1)
        contrast.append(np.mean(blocks > 150))
        assert dirty[dirty < 100].size, "there is a clean part"
    assert contrast[0] > 0.5
    assert contrast == sorted(contrast, reverse=True)
    assert contrast[-1] < 0.5


@pytest.mark.unit
def test_gamma_goes_there_and_back() -> None:
    values = np.linspace(0, 1, 101)
    assert encode_gamma(decode_gamma(values)) == pytest.approx(values, abs=1e-6)
    assert decode_gamma(np.array(0.5)) == pytest.approx(0.2140, abs=1e-4)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("kelvin", "expected"), [(2856, (0.4476, 0.4074)), (5000, (0.3451, 0.3516)), (10000, (0.2807, 0.2884))]
)
def test_colours_of_temperatures_are_those_of_black_bodies(kelvin: float, expected: tuple[float, float]) -> None:
    assert chromaticity(kelvin) == pytest.approx(expected, abs=1.5e-3)


@pytest.mark.unit
def test_warm_light_is_red_and_cold_light_is_blue() -> None:
    for mireds in (45.0, 200.0, 355.0):
        assert (light_of(mireds) > 0).all()
    assert light_of(355.0)[0] > light_of(200.0)[0] > light_of(45.0)[0]
    assert light_of(355.0)[2] < light_of(200.0)[2] < light_of(45.0)[2]


def spread(values: npt.NDArray[np.float32]) -> float:
    indices = np.arange(len(values)) - len(values) // 2
    return float(np.sqrt(np.sum(values * indices**2) / values.sum()))


@pytest.mark.unit
@pytest.mark.parametrize("sigma", [0.7, 3.0, 120.0])
def test_gaussian_blur_has_its_deviation_and_keeps_what_is_even(sigma: float) -> None:
    even = np.full((20, 31, 3), 0.25, np.float32)
    np.testing.assert_allclose(gaussian_blur(even, sigma), even, rtol=1e-5)
    if sigma < 100:
        point = np.zeros((51, 51), np.float32)
        point[25, 25] = 1
        assert spread(gaussian_blur(point, sigma).sum(axis=0)) == pytest.approx(sigma, rel=0.01)


@pytest.mark.unit
def test_convolving_shifts_by_a_shifted_kernel_and_mirrors_the_edge() -> None:
    image = np.random.default_rng(0).random((20, 30, 3), dtype=np.float32)
    kernel = path_kernel(np.array([2.0]), np.array([-3.0]), np.ones(1))
    shifted = convolve(image, kernel)
    np.testing.assert_allclose(shifted[2:, :-3], image[:-2, 3:], atol=1e-6)
    np.testing.assert_allclose(shifted[0, :-3], image[1, 3:], atol=1e-6)
    assert trail_kernel(10, 3, 0.3).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.unit
def test_sampling_is_bilinear_and_mirrors_the_edge() -> None:
    image = np.arange(20, dtype=np.float32).reshape(4, 5, 1)
    rows, columns = np.array([[1.5, 0.0, -1.0]], np.float32), np.array([[2.25, 4.0, 3.0]], np.float32)
    assert sample(image, rows, columns)[0, :, 0] == pytest.approx([1.5 * 5 + 2.25, 4.0, 3.0])


@pytest.mark.unit
def test_plasma_fits_at_its_edges_and_is_rougher_with_less_decay() -> None:
    smooth, rough = (plasma(128, decay, np.random.default_rng(0)) for decay in (2.0, 1.3))
    assert (smooth.min(), smooth.max()) == (0, 1)
    assert np.diff(rough, axis=0).std() > 2 * np.diff(smooth, axis=0).std()
    assert np.abs(smooth[0] - smooth[-1]).max() < 0.1
