"""What counts as a photo: what can be decoded, whatever its name; and what is counted as left out."""

import io
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features
from support import blobs

from tledge.core import image_formats, photo_layouts, photo_listing
from tledge.core.errors import DataError, ImageError
from tledge.core.image_formats import SUFFIXES, format_of
from tledge.core.images import decode, load_pixels
from tledge.core.photo_listing import describe_left_out, describe_undecodable, is_photo, list_tree
from tledge.core.progress import Progress

pytestmark = pytest.mark.unit

SAVED: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95},
    "HEIF": {"quality": 95},
    "TIFF": {},
    "GIF": {},
    "BMP": {},
    "PPM": {},
    "JPEG2000": {},
}
"""How each format is saved."""


def encoded(kind: str, image: Image.Image, **options: Any) -> bytes:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **{**SAVED[kind], **options})
    return buffer.getvalue()


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_formats, "is_installed", lambda module: module != "pillow_heif")


def test_every_format_has_a_suffix_and_a_test() -> None:
    assert set(SUFFIXES.values()) == set(SAVED)


@pytest.mark.parametrize("kind", SAVED)
def test_every_format_is_known_by_its_content_and_decoded(kind: str, tmp_path: Path) -> None:
    content = encoded(kind, blobs(1))
    assert format_of(content[: image_formats.HEAD]) == kind
    for name in (
        "photo" + next(suffix for suffix, of in SUFFIXES.items() if of == kind),
        "IMG.0001",
        "nameless",
        "x.dat",
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert is_photo(path)
        shown = np.asarray(decode(path).convert("RGB"), int)
        assert shown.shape == (150, 200, 3)
        assert np.abs(shown - np.asarray(blobs(1), int)).mean() < 8
    assert len(list_tree(tmp_path).photos) == 4


@pytest.mark.parametrize("suffix", [*SUFFIXES, *map(str.upper, SUFFIXES)])
def test_files_with_the_suffix_of_an_image_are_not_opened(suffix: str, tmp_path: Path) -> None:
    assert is_photo(tmp_path / f"absent{suffix}")
    assert not is_photo(tmp_path / f".hidden{suffix}")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"cat\n",
        b"BMW is a brand of cars, and this is text",
        b"P1 of the meeting",
        b"P5\nfive\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"%PDF-1.7\n",
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(40),
        b"\0\0\0\x18ftypqt  \0\0\0\0qt  \0\0\0\0" + b"heic" * 8,  # behind the box of brands
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"PK\3\4",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_other_files_are_no_photos(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_bytes(content)
    assert not is_photo(tmp_path / "x.dat")
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ImageError, match="has an unknown image format|is empty"):
        decode(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("major", "compatible", "kind"),
    [
        (b"heic", b"mif1MiHEMiPrmiafMiHBheic", "HEIF"),  # an iPhone
        (b"mif1", b"mif1heic", "HEIF"),
        (b"mif1", b"mif1avif", "AVIF"),
        (b"avif", b"avifmif1miaf", "AVIF"),
        (b"avis", b"avismsf1", "AVIF"),
        (b"mp42", b"isommp42", None),
    ],
)
def test_brands_tell_heic_avif_and_videos_apart(major: bytes, compatible: bytes, kind: str | None) -> None:
    box = b"ftyp" + major + bytes(4) + compatible
    assert format_of((len(box) + 4).to_bytes(4, "big") + box) == kind


def test_raw_photos_and_incomplete_downloads_are_no_photos(tmp_path: Path) -> None:
    for name in ("a.NEF", "b.dng", "c.jpg.part", "d.tmp"):
        (tmp_path / name).write_bytes(encoded("TIFF", blobs(1)))
    listing = list_tree(tmp_path)
    assert listing.photos == ()
    assert listing.left_out == {".nef": 1, ".dng": 1, ".part": 1, ".tmp": 1}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipes_and_unreadable_files_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert list_tree(tmp_path).left_out == {"without suffix": 2}


def test_what_was_left_out_is_one_line() -> None:
    assert describe_left_out({}) == ""
    assert describe_left_out({".txt": 1200, "@eaDir/": 2}) == "left out: 1,200 .txt, 2 @eaDir/"
    assert describe_left_out({"folder": 2, "linked folder": 1}) == "left out: 2 folders, 1 linked folder"
    many = describe_left_out({f".{number}": number + 1 for number in range(9)})
    assert many == "left out: 9 .8, 8 .7, 7 .6, 6 .5, 5 .4, 4 .3, 3 .2, 2 .1, … (9 kinds)"


def test_heic_photos_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned.heic").write_bytes(encoded("HEIF", blobs(2), exif=exif.tobytes()))
    assert decode(tmp_path / "turned.heic").size == (150, 200)
    turned = np.rot90(np.asarray(blobs(2), int), -1)
    assert np.abs(np.asarray(decode(tmp_path / "turned.heic"), int) - turned).mean() < 8


def test_a_heic_photo_without_its_library_names_the_extra(tmp_path: Path, without_heif: None) -> None:
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(encoded("HEIF", blobs(1)))
    with pytest.raises(
        ImageError, match=r"'.*IMG_1.HEIC' cannot be decoded: decoding HEIC photos needs pillow-heif.*tledge\[heic"
    ):
        load_pixels(path, (32, 32), "crop")


def test_heic_photos_are_counted_before_anything_is_read(tmp_path: Path, without_heif: None) -> None:
    content = {"HEIF": encoded("HEIF", blobs(1)), "JPEG": encoded("JPEG", blobs(1))}
    for name, kind in {
        "a/1.heic": "HEIF",
        "a/2.HEIF": "HEIF",
        "a/3": "HEIF",
        "b/4.heic": "JPEG",
        "b/5.jpg": "JPEG",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content[kind])
    assert describe_undecodable(list_tree(tmp_path).photos).startswith("decoding 3 HEIC photos needs pillow-heif")
    with pytest.raises(DataError, match=r"decoding 3 HEIC photos needs pillow-heif, .*'tledge\[heic\]'; they are in "):
        photo_layouts.find_photos(tmp_path, Progress())
    shutil.rmtree(tmp_path / "a")
    assert describe_undecodable(list_tree(tmp_path).photos) == ""


def test_avif_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.avif").write_bytes(encoded("AVIF", blobs(1)))
    monkeypatch.setattr(features, "check", lambda name: False)
    assert describe_undecodable(list_tree(tmp_path).photos) == (
        "decoding 1 AVIF photos needs Pillow 11.3, not installed here: pip install 'tledge[heic]'"
    )
    with pytest.raises(ImageError, match=r"'.*a.avif' cannot be decoded: decoding AVIF photos needs Pillow"):
        decode(tmp_path / "a.avif")


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "JPEG2000", "WEBP"])
def test_limits_hold_for_every_format(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large").write_bytes(encoded(kind, blobs(1)))
    monkeypatch.setattr("tledge.core.images.LARGEST", 8 * 200 * 150 - 1)
    with pytest.raises(ImageError, match=r"'.*large' is too large: .*limit for a photo"):
        decode(tmp_path / "large")


@pytest.mark.parametrize("kind", SAVED)
def test_cut_off_photos_of_every_format_are_named(kind: str, tmp_path: Path) -> None:
    if kind == "PPM":
        kind = "TIFF"
    content = encoded(kind, blobs(1))
    (tmp_path / "cut").write_bytes(content[: len(content) // 3])
    with pytest.raises(ImageError, match=r"not a readable image: '.*cut'"):
        decode(tmp_path / "cut")


def test_large_folders_are_listed_without_opening_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(photo_listing, "format_of_file", opened.append)
    for number in range(50):
        (tmp_path / f"{number}.jpg").touch()
    (tmp_path / "one.txt").touch()
    assert len(list_tree(tmp_path).photos) == 50
    assert opened == [tmp_path / "one.txt"]
