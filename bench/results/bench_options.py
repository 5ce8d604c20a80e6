"""The options of ``bench()``, declared once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.bench.results.photo_overlap import DROP, KEEP
from tledge.core.options import ARGUMENTS, Choices, Limits, check_options, option
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS
from tledge.edge_runtime.tensor import OPEN_LENGTH

GROUPS = ("Models", "Measurement", "Corruptions", "Attacks", "Comparison", "Output")

BATCH_SIZES = (1, 8)

DEFAULT_OUTPUT = Path("bench-results")
"""Where a benchmark of model files writes."""

DEFAULT_EPS = (1.0, 2.0, 4.0, 8.0)
DEFAULT_IMAGES = 100
"""Photos that are corrupted or attacked."""

DEFAULT_QUERIES = 200
"""Of an attack without gradients, on each photo: every artifact has to classify them all."""

_ANY_COUNT = Limits(least=1)


@dataclass(frozen=True, kw_only=True)
class AttackOptions:
    """The options of attacks; None or empty for the defaults, which apply only if something is attacked."""

    attack: str | Sequence[str] = option(
        (),
        "Attack the artifacts: fgsm, pgd or apgd (gradients of the Keras model), or square (queries only);"
        " comma-separated.",
        group="Attacks",
        default_text="none",
        separator=",",
    )
    eps: Sequence[float] | None = option(
        None,
        "Largest perturbations, in pixel values from 0 to 255; comma-separated.",
        group="Attacks",
        default_text=",".join(f"{eps:g}" for eps in DEFAULT_EPS),
        separator=",",
    )
    norm: str | None = option(
        None,
        "Norm of the perturbations: linf (largest change of one value) or l2 (Euclidean length of the whole change).",
        group="Attacks",
        default_text="linf",
    )
    attack_images: int | None = option(
        None,
        "Number of photos to attack.",
        group="Attacks",
        default_text=str(DEFAULT_IMAGES),
        allowed=_ANY_COUNT,
    )
    attack_steps: int | None = option(
        None,
        "Steps of an attack that uses gradients.",
        group="Attacks",
        default_text="the attack's own; 20 for pgd",
    )
    attack_queries: int | None = option(
        None,
        "Queries per photo and artifact, for square; up to 5 times as many where scores are too coarse to compare.",
        group="Attacks",
        default_text=str(DEFAULT_QUERIES),
    )
    attack_target: str | None = option(
        None,
        "The class that the attacks aim at; photos of that class are left out.",
        group="Attacks",
        default_text="any wrong class",
    )
    surrogate: Path | str | None = option(
        None,
        "A Keras model with the same classes and input size whose gradients are used instead (a transfer attack).",
        group="Attacks",
        default_text="the run's own model",
    )
    attack_set: Path | str | None = option(
        None,
        "Reuse the attacked photos of an earlier benchmark: its folder bench/adversarial.",
        group="Attacks",
        default_text="none (new attacks)",
    )


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """The options that choose among the artifacts of a run."""

    artifacts: str | Sequence[str] = option(
        (),
        "Measure only these artifacts of the run: int8.tflite, 'float32.*'; may be repeated.",
        group="Models",
        default_text="all",
        flag="artifact",
        metavar="NAME",
    )
    skip: str | Sequence[str] = option(
        (),
        "Leave out these artifacts of the run; may be repeated.",
        group="Models",
        default_text="none",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class MeasurementOptions:
    """The options that are recorded with the results, and that repeating a benchmark takes from there."""

    run: str | Path | None = option(
        None, "A run directory or its name.", group="Models", default_text="the newest finished run"
    )
    files: Sequence[Path | str] = option(
        (),
        "Model files to measure.",
        group=ARGUMENTS,
        default_text="the artifacts of a run",
        metavar="[FILE]...",
    )
    data: Path | str | None = option(
        None,
        "With model files: labelled photos to measure accuracy on: a folder with one folder per class, or a CSV or ZIP"
        " as in training. If they have splits, the test split is used.",
        group="Models",
        default_text="none (no accuracy)",
    )
    seen_photos: str = option(
        DROP,
        "With `data`: drop or keep photos that a model was trained or validated on; copies are recognized too.",
        group="Models",
        allowed=Choices("choice", (DROP, KEEP)),
    )
    input_size: str | None = option(
        None,
        "With model files that have no sidecar: the input size, HEIGHTxWIDTH, where they leave it open.",
        group="Models",
        default_text=f"{OPEN_LENGTH}x{OPEN_LENGTH}",
    )
    targets: str | Sequence[str] = option(
        (),
        "runtime:device:threads, such as litert:cpu:2; may be repeated.",
        group="Measurement",
        default_text="all on this machine",
        flag="target",
    )
    rigor: str = option(
        "quick",
        "quick, or mlperf: 60 s and 1,024 queries in each round, as in MLPerf Mobile.",
        group="Measurement",
    )
    seconds: float | None = option(
        None,
        "Minimum seconds per artifact and target, over all rounds.",
        group="Measurement",
        default_text="2; fixed with `rigor='mlperf'`",
        allowed=Limits(above=0, most=3600),
    )
    rounds: int | None = option(
        None,
        "Number of rounds per artifact and target, each in a fresh process.",
        group="Measurement",
        default_text="5; 3 with `rigor='mlperf'`",
        allowed=Limits(least=1, most=100),
    )
    batch_sizes: Sequence[int] = option(
        BATCH_SIZES,
        "Images per call, for throughput; comma-separated.",
        group="Measurement",
        allowed=Limits(least=1, most=4096),
        separator=",",
    )
    corruptions: str | Sequence[str] = option(
        (),
        "Also measure accuracy on corrupted photos: all, imagenet-c, edge, or the name of a corruption; may be"
        " repeated.",
        group="Corruptions",
        default_text="none",
    )
    corruption_images: int = option(
        DEFAULT_IMAGES, "Number of photos to corrupt, at 5 severities each.", group="Corruptions", allowed=_ANY_COUNT
    )
    budget: str | Sequence[str] = option(
        (),
        "A limit that the recommended file has to meet: 'p90_ms <= 20', 'size_mb <= 5' or 'top1 >= 0.95'; may be"
        " repeated. It does not change the exit code; `fail_on` does.",
        group="Comparison",
        default_text="none",
    )
    on: str | None = option(
        None,
        "Where the artifacts run: emulated:pi5 or emulated:pi4 (predictions on ARM, no timing), or ssh:pi@HOST (a board"
        " that accepts your ssh keys).",
        group="Measurement",
        default_text="this machine",
        metavar="PLACE",
    )


@dataclass(frozen=True, kw_only=True)
class BenchOptions(MeasurementOptions, AttackOptions, SelectionOptions):
    """All options of ``bench()``.

    Raises:
        OptionError: a number is out of range.
    """

    output: Path | str | None = option(
        None, "With model files: the folder for the results.", group="Output", default_text=str(DEFAULT_OUTPUT)
    )
    profile: bool = option(False, "Also show the slowest operators of each artifact.", group="Measurement")
    against: Path | str | None = option(
        None,
        "Compare with an earlier results.jsonl, or its folder. Its model files that still exist and have changed are"
        " measured again, alternating with the new ones.",
        group="Comparison",
        default_text="none",
    )
    fail_on: str | Sequence[str] = option(
        (),
        "Exit with code 3 if this condition holds: 'top1 < 0.97', or 'int8.tflite: p90_ms > 1.1x' (relative to"
        " `against`); may be repeated.",
        group="Comparison",
        default_text="none",
    )
    ssh_config: Path | str | None = option(
        None,
        "With `on='ssh:…'`: an ssh configuration file.",
        group="Measurement",
        default_text="your own",
    )
    runs: str | Path = option(DEFAULT_RUNS, "The folder of run directories.", group="Models")
    progress: Progress | None = option(
        None, "Receives progress, notes and warnings.", default_text="bars in a notebook"
    )

    def __post_init__(self) -> None:
        check_options(self)
