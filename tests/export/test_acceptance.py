"""Which artifacts are kept: at the limits and on both sides of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from parity_sample import make_parity
from support import TINY_SIDECAR

from tledge.core import cpu
from tledge.core.progress import Progress
from tledge.export.keras_parity import ArtifactRejectedError, Parity, check_accepted, rejection_reasons
from tledge.export.recipes import find_recipe

pytestmark = pytest.mark.unit

INT8 = find_recipe("int8")


def parity(*, images: int = 1000, drop: float = 0.0, decibels: float | None = 40.0) -> Parity:
    return make_parity(images=images, drop=drop, decibels=decibels)


@pytest.mark.parametrize(
    ("drop", "max_drop", "accepted"),
    [
        (0.5, 0.5, True),
        (0.5 + 1e-8, 0.5, False),
        (0.5 - 1e-8, 0.5, True),
        (-3.0, 0.0, True),
        (0.0, 0.0, True),
        (0.1, 0.0, False),
        (5.0, 5.0, True),
        (5.1, 5.0, False),
    ],
)
def test_the_allowed_drop_itself_is_allowed(drop: float, max_drop: float, accepted: bool) -> None:
    assert bool(rejection_reasons(INT8, parity(drop=drop), max_drop)) is not accepted


@pytest.mark.parametrize(
    ("lost", "max_drop", "accepted"), [(1, 5.0, True), (2, 5.0, False), (1, 4.9, False), (1, 8.0, True)]
)
def test_a_single_photo_is_only_too_much_for_a_limit_of_the_users(lost: int, max_drop: float, accepted: bool) -> None:
    found = parity(images=10, drop=10.0 * lost)
    assert bool(rejection_reasons(INT8, found, max_drop)) is not accepted


def test_rounding_errors_are_no_drop() -> None:
    assert not rejection_reasons(INT8, parity(drop=0.5 + 5e-10), 0.5)


@pytest.mark.parametrize(
    ("recipe", "decibels", "accepted"),
    [
        ("int8", 15.0, True),
        ("int8", 14.99, False),
        ("int8", 15.01, True),
        ("int8", None, True),
        ("int16x8", 15.0, False),
        ("qat", 1.0, True),
    ],
)
def test_the_floor_itself_is_reached(recipe: str, decibels: float | None, accepted: bool) -> None:
    assert bool(rejection_reasons(find_recipe(recipe), parity(decibels=decibels), 5.0)) is not accepted


def test_reasons_give_the_figures() -> None:
    assert rejection_reasons(INT8, parity(drop=7.5, decibels=9.6), 5.0) == [
        "it loses 7.5 points of top-1 (limit 5)",
        "the signal-to-noise ratio of its logits is 10 dB (limit 15)",
    ]


class Warnings(Progress):
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


def check(path: Path, found: Parity, *, recipe: str = "int8", cpu: str = "any", allow_drop: bool = False) -> list[str]:
    progress = Warnings()
    sidecar = replace(TINY_SIDECAR, recipe=recipe, cpu=cpu)
    check_accepted(path, sidecar, found, max_drop=5.0, allow_drop=allow_drop, progress=progress)
    return progress.warned


def test_an_artifact_that_is_too_far_off_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "int8.tflite"
    with pytest.raises(ArtifactRejectedError) as caught:
        check(path, parity(decibels=9.6))
    assert str(caught.value) == (
        "int8.tflite was not kept: on 1000 validation photos the signal-to-noise ratio of its logits is 10 dB"
        " (limit 15); agreement with Keras 0.500; try `max_drop`, more `calibration_images`, or float16; or pass"
        " `allow_drop=True` to keep it"
    )
    path.touch()
    with pytest.raises(ArtifactRejectedError, match="to keep it; the existing file is unchanged$"):
        check(path, parity(decibels=9.6))
    with pytest.raises(ArtifactRejectedError, match=r" and .*; try another recipe; or"):
        check(path, parity(drop=50, decibels=9.6), recipe="float16")


def test_it_is_kept_if_it_is_close_enough_or_a_drop_is_allowed(tmp_path: Path) -> None:
    assert check(tmp_path / "int8.tflite", parity()) == []
    assert check(tmp_path / "int8.tflite", parity(drop=50, decibels=1.0), allow_drop=True) == []


def test_figures_of_another_cpu_are_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "saturates", lambda: True)
    (warning,) = check(tmp_path / "int8.onnx", parity(decibels=1.0), cpu="arm")
    assert warning.startswith(
        "int8.onnx is for arm and was kept without checking its accuracy: on this CPU, 8-bit products"
    )
    monkeypatch.setattr(cpu, "saturates", lambda: False)
    with pytest.raises(ArtifactRejectedError):
        check(tmp_path / "int8.onnx", parity(decibels=1.0), cpu="arm")
