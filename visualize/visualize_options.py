"""The options of ``visualize()``, declared once; the kinds that take each are named in its help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from tledge.core.options import ARGUMENTS, Choices, Limits, as_tuple, check_options, given_options, option
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS

GROUPS = ("Model", "Photos", "Kinds", "Output")

METHODS = ("pca", "tsne")
"""Of an embedding."""

FEWEST_POINTS = 10
"""Photos of an embedding."""

SMALLEST_PATCH = 2
"""Side of an occluding square, in pixels."""

_LARGEST_SEED = 2**32 - 1
"""Of NumPy's and scikit-learn's generators."""


@dataclass(frozen=True)
class KindOptions:
    """The options that are passed on to the kinds; None or empty for the kind's own default."""

    _: KW_ONLY
    photos: str | Path | Sequence[str | Path] = option(
        (),
        "features, adversarial, saliency: a photo to show; may be repeated.",
        group="Photos",
        default_text="test photos of the run",
        flag="photo",
    )
    classes: str | Sequence[str] = option(
        (),
        "ideal: the class to maximize. features, adversarial, saliency: show test photos of this class. May be"
        " repeated.",
        group="Photos",
        default_text="the first 3 for ideal; else all",
        flag="class",
    )
    images: int | None = option(
        None,
        "features, adversarial, saliency: number of test photos.",
        group="Photos",
        default_text="1 for features, else 4",
        allowed=Limits(least=1),
    )
    seed: int | None = option(
        None,
        "Random seed for the choice of photos, noise and starting points.",
        group="Photos",
        default_text="0",
        allowed=Limits(least=0, most=_LARGEST_SEED),
    )
    artifacts: str | Path | Sequence[str | Path] = option(
        (),
        "adversarial, saliency, confusions: an artifact of the run, or a file; may be repeated.",
        group="Kinds",
        default_text="all of the run",
        flag="artifact",
    )
    layers: str | Sequence[str] = option(
        (),
        "features, saliency: the name of a layer; may be repeated.",
        group="Kinds",
        default_text="the last layer of each size",
        flag="layer",
    )
    channels: int | None = option(
        None, "features: channels to show per layer.", group="Kinds", default_text="32", allowed=Limits(least=1)
    )
    tv: float | None = option(
        None,
        "ideal: weight of the total-variation term; higher is smoother.",
        group="Kinds",
        default_text="0.3",
        allowed=Limits(above=0, most=100),
    )
    l2: float | None = option(
        None,
        "ideal: weight of the pull towards mid-grey.",
        group="Kinds",
        default_text="0.01",
        allowed=Limits(least=0, most=1),
    )
    jitter: int | None = option(
        None,
        "ideal: maximum random shift of the image, in pixels.",
        group="Kinds",
        default_text="8",
        allowed=Limits(least=0),
    )
    scales: int | None = option(
        None,
        "ideal: number of image sizes, each twice the one before.",
        group="Kinds",
        default_text="4",
        allowed=Limits(least=1),
    )
    steps: int | None = option(
        None,
        "ideal, adversarial: number of gradient steps.",
        group="Kinds",
        default_text="192 for ideal, 20 for adversarial",
        allowed=Limits(least=1, most=100_000),
    )
    target: str | None = option(
        None,
        "adversarial: the class that the attack aims at.",
        group="Kinds",
        default_text="the second most likely class of each photo",
    )
    max_eps: int | None = option(
        None,
        "adversarial: the largest eps to try, in 1/255.",
        group="Kinds",
        default_text="16",
        allowed=Limits(least=1, most=255),
    )
    patch: int | None = option(
        None,
        "saliency: side of the occluding square, in pixels.",
        group="Kinds",
        default_text="a fifth of the photo",
        allowed=Limits(least=SMALLEST_PATCH),
    )
    tiles: int | None = option(
        None, "confusions: errors to show per artifact.", group="Kinds", default_text="10", allowed=Limits(least=1)
    )
    method: str | None = option(
        None, "embedding: pca or tsne.", group="Kinds", default_text="pca", allowed=Choices("method", METHODS)
    )
    points: int | None = option(
        None,
        "embedding: number of test photos.",
        group="Kinds",
        default_text="1000",
        allowed=Limits(least=FEWEST_POINTS, most=5000),
    )

    def given(self) -> dict[str, Any]:
        """Returns the options that are given, by name, those that take several values as tuples."""
        found = given_options(self, KindOptions)
        several = {name: as_tuple(value) for name, value in found.items() if name in SEVERAL}
        if "photos" in several:
            several["photos"] = tuple(map(Path, several["photos"]))
        return found | several


SEVERAL = frozenset({"photos", "classes", "artifacts", "layers"})
"""Options that take one value or several."""


@dataclass(frozen=True)
class _Kinds:
    kinds: str | Sequence[str] = option(
        (),
        "features, saliency, ideal, adversarial, confusions, embedding.",
        group=ARGUMENTS,
        default_text="all",
        metavar="[KIND]...",
    )


@dataclass(frozen=True)
class VisualizeOptions(KindOptions, _Kinds):
    """All options of ``visualize()``. Raises OptionError or UnknownNameError if a value is not allowed."""

    _: KW_ONLY
    run: str | Path | None = option(
        None, "A run directory or its name.", group="Model", default_text="the newest finished run"
    )
    runs: str | Path = option(DEFAULT_RUNS, "The folder of run directories.", group="Model")
    backbone: str | None = option(
        None,
        "Instead of a run, a network of keras.applications: vgg16, mobilenet_v2, …",
        group="Model",
        default_text="none (a run)",
    )
    weights: str | None = option(
        None,
        "With `backbone`: imagenet, none (random), or a file, with or without the 1,000-class head.",
        group="Model",
        default_text="imagenet",
    )
    image_size: int | None = option(
        None, "With `backbone`: height and width of the input, in pixels.", group="Model", default_text="224"
    )
    labels: str | Path | None = option(
        None,
        "With `backbone`: a text file of class names, one per line.",
        group="Model",
        default_text="those of ImageNet, or numbers",
    )
    output: str | Path | None = option(
        None, "The folder to write to.", group="Output", default_text="visualize/ in the run, or visualize-BACKBONE"
    )
    progress: Progress | None = option(
        None, "Receives progress, notes and warnings.", default_text="bars in a notebook"
    )

    def __post_init__(self) -> None:
        check_options(self)
