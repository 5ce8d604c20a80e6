"""The options of ``import_model()``, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tledge.core.options import REQUIRED, option
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS

GROUP = "A model made elsewhere"


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """All options of ``import_model()``."""

    model: str | Path = option(
        REQUIRED,
        "A .keras or .h5 file made elsewhere, which is imported as a new run; requires `data`.",
        group=GROUP,
        default_text="none",
    )
    data: str | Path = option(
        REQUIRED,
        "With `model`: a folder with one subfolder of photos per class, or a CSV or ZIP as in training.",
        group=GROUP,
        default_text="none",
    )
    labels: str | Path | None = option(
        None,
        "With `model`: a text file with the class of each output, one per line; the names of the folders.",
        group=GROUP,
        default_text="the folders' names, sorted",
    )
    input_range: str = option(
        "0..255", "With `model`: the pixel values that the model expects: 0..255, 0..1 or -1..1.", group=GROUP
    )
    colour: str | None = option(
        None,
        "With `model`: the channels that the model expects: rgb, bgr or grey.",
        group=GROUP,
        default_text="grey for one channel, otherwise rgb",
    )
    resize: str = option(
        "stretch", "With `model`: how photos are resized to the model's input: stretch or crop.", group=GROUP
    )
    trust_model: bool = option(False, "With `model`: load the model even if it can execute code.", group=GROUP)
    validation_fraction: float = option(0.15, "Fraction of each class to use for validation.")
    test_fraction: float = option(0.15, "Fraction of each class to use for testing.")
    seed: int = option(0, "Random seed of the splits.")
    skip_broken: bool = option(False, "Skip broken photos instead of stopping.")
    runs: str | Path = option(DEFAULT_RUNS, "The folder in which the run directory is made.")
    progress: Progress | None = option(
        None, "Receives progress, notes and warnings.", default_text="bars in a notebook"
    )
