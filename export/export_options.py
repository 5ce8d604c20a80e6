"""The options of ``export()``, declared once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.core.cpu import CPUS
from tledge.core.errors import OptionError
from tledge.core.options import Choices, Limits, check_options, option
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS

GROUPS = ("Model", "Artifacts", "Limits", "Output")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """All options of ``export()``.

    Raises:
        OptionError: a number is out of range, or options contradict each other.
        UnknownNameError: no such CPU.
    """

    run: str | Path | None = option(
        None, "A run directory or its name.", group="Model", default_text="the newest finished run"
    )
    runs: str | Path = option(DEFAULT_RUNS, "The folder of run directories.", group="Model")
    quantize: str | Sequence[str] = option(
        (),
        "Recipes: float32, float16, dynamic, int16x8 (TFLite), int8, qat; comma-separated. float32 is always"
        " exported too, as the baseline of benchmarks.",
        group="Artifacts",
        default_text="all but qat",
    )
    formats: str | Sequence[str] = option(
        (), "tflite or onnx; comma-separated.", group="Artifacts", default_text="both", flag="format"
    )
    calibration_images: int = option(
        200, "Training photos to calibrate int8 and int16x8 on.", group="Artifacts", allowed=Limits(least=1)
    )
    cpu: str = option(
        "any",
        "CPUs that ONNX int8 files must run correctly on: any, x86, or arm, which is slightly more accurate.",
        group="Artifacts",
        allowed=Choices("CPU", CPUS),
        flag="for",
    )
    sparsity: float = option(
        0.0,
        "Prune this fraction of the weights first (0.05 to 0.95), with a few epochs of training.",
        group="Artifacts",
        default_text="0 (no pruning)",
        allowed=Limits(least=0.05, most=0.95, zero=True),
    )
    max_drop: float | None = option(
        None,
        "Export the smallest 8-bit artifact of each format that loses at most this much validation top-1, in"
        " percentage points. Sensitive layers stay float32 if necessary. With `quantize`, only those recipes are"
        " tried.",
        group="Limits",
        default_text="no search",
        allowed=Limits(least=0, most=100),
    )
    allow_drop: bool = option(
        False, "Keep artifacts even if their predictions differ too much from the Keras model's.", group="Limits"
    )
    overwrite: bool = option(
        False,
        "Replace existing artifacts. Otherwise, requesting an existing one by name is an error.",
        group="Output",
    )
    progress: Progress | None = option(
        None, "Receives progress, notes and warnings.", default_text="bars in a notebook"
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.sparsity and self.max_drop is not None:
            raise OptionError("`sparsity` and `max_drop` cannot be combined: export with one, then with the other")
