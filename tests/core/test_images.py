import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import stripes

from tledge.core import images
from tledge.core.errors import ImageError, UnknownNameError


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pixels = stripes(vertical=True, seed=0, size=(20, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned by 90 degrees
    path = save(tmp_path / "turned.png", pixels, exif=exif)
    upright = images.decode(path)
    assert upright.size == (20, 40)
    np.testing.assert_array_equal(np.asarray(upright), np.rot90(pixels, -1))


def test_every_mode_becomes_rgb(tmp_path: Path) -> None:
    grey = np.tile(np.arange(0, 256, 16, np.uint8), (16, 1))
    expected = np.repeat(grey[..., np.newaxis], 3, axis=2)
    sixteen = Image.fromarray(grey.astype(np.uint16) * 257)
    sixteen.save(tmp_path / "sixteen.png")
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(np.dstack([expected, np.full_like(grey, 255)])).save(tmp_path / "opaque.png")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_allclose(np.asarray(images.decode(path), int), expected, atol=1, err_msg=path.name)
    Image.fromarray(expected).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert images.decode(tmp_path / "print.jpg").mode == "RGB"


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    save(tmp_path / "clear.png", np.zeros((4, 4, 4), np.uint8))
    assert np.asarray(images.decode(tmp_path / "clear.png")).min() == 255


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_truncated_photo_is_named(tmp_path: Path, kept: float) -> None:
    buffer = io.BytesIO()
    Image.fromarray(stripes(vertical=True, seed=1, size=(200, 200))).save(buffer, "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(buffer.getvalue()[: int(kept * len(buffer.getvalue()))])
    with pytest.raises(ImageError, match=r"not a readable image: '.*cut.jpg'"):
        images.decode(path)


def test_empty_foreign_and_absent_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("this is no photo")
    with pytest.raises(ImageError, match=r"'.*empty.jpg' is empty \(0 bytes\)"):
        images.decode(tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match=r"'.*text.jpg' \(16 bytes\) is in no image format known"):
        images.decode(tmp_path / "text.jpg")
    with pytest.raises(ImageError, match="cannot read image '.*gone.jpg': No such file"):
        images.decode(tmp_path / "gone.jpg")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "bomb.png", np.zeros((100, 100), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match="too large"):
        images.decode(path)


def test_crop_keeps_shapes_and_stretch_keeps_everything() -> None:
    wide = Image.new("RGB", (300, 100))
    wide.paste((255, 0, 0), (0, 0, 100, 100))
    wide.paste((0, 255, 0), (100, 0, 200, 100))
    wide.paste((0, 0, 255), (200, 0, 300, 100))
    cropped = images.resize(wide, (50, 50), "crop")
    assert cropped.shape == (50, 50, 3)
    assert (cropped[:, 2:-2] == (0, 255, 0)).all()
    stretched = images.resize(wide, (30, 60), "stretch")
    assert stretched.shape == (30, 60, 3)
    assert (stretched[:, 5] == (255, 0, 0)).all()
    assert (stretched[:, -5] == (0, 0, 255)).all()


def test_shrinking_is_antialiased() -> None:
    checkered = Image.fromarray(np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255).convert("RGB")
    assert np.abs(images.resize(checkered, (8, 8), "stretch").astype(int) - 127).max() <= 2


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown resize rule 'croop'. Did you mean 'crop'"):
        images.resize(Image.new("RGB", (4, 4)), (2, 2), "croop")
