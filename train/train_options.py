"""The options of ``train()``, declared once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tledge.core.errors import OptionError
from tledge.core.options import Choices, Limits, check_options, option, options_of
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS

GROUPS = ("Data", "Model", "Training", "Augmentation", "Hardware", "Output")

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

LARGEST_EPS = 16
"""Of adversarial training, in pixel values: larger changes are visible."""

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class TrainingDefaults:
    """The defaults of one way to train on photos.

    Attributes:
        learning_rate: None for that of the backbone.
        patience: None for as many epochs as there are.
    """

    epochs: int
    fine_tune_from: str = "3"
    batch_size: int = 32
    learning_rate: float | None = None
    label_smoothing: float = 0.0
    patience: int | None = None


FINE_TUNING = TrainingDefaults(epochs=6, learning_rate=1e-4, label_smoothing=0.1, patience=3)
"""From the third stage on: all but the first convolutions, which detect edges and colours."""

ADVERSARIAL = TrainingDefaults(epochs=12, fine_tune_from="1", batch_size=8, learning_rate=3e-4)
"""From the first stage on, since its convolutions decide how much of a perturbation passes. No early stopping, which
would end the training while the perturbations still grow."""

FULL = TrainingDefaults(epochs=15)

_ANY_COUNT = Limits(least=1)
_FRACTION = Limits(least=0.01, most=0.45)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options that a run is trained with: they are recorded, and resuming the run keeps them.

    Raises:
        OptionError: a number is out of range.
        UnknownNameError: no such precision.
    """

    data: str | Path | None = option(
        None,
        "A folder with one subfolder of photos per class, optionally below train/, val/ and test/; a CSV or Parquet"
        " table of paths and labels; a ZIP of one of these; a folder in the layout of Oxford-IIIT Pet; or tfds:NAME, a"
        " tensorflow-datasets data set.",
        group="Data",
        default_text="built-in handwritten digits",
    )
    validation_fraction: float = option(
        0.15,
        "Fraction of each class to use for validation, if the data has no validation split.",
        group="Data",
        allowed=_FRACTION,
    )
    test_fraction: float = option(
        0.15,
        "Fraction of each class to use for testing, if the data has no test split.",
        group="Data",
        allowed=_FRACTION,
    )
    skip_broken: bool = option(False, "Skip broken photos instead of stopping.", group="Data")
    class_weights: bool = option(True, "Weight classes inversely to their number of photos.", group="Data")
    seed: int = option(
        0,
        "Random seed of the splits, initial weights, shuffling and augmentation.",
        group="Data",
        allowed=Limits(least=0, most=LARGEST_SEED),
    )
    backbone: str = option(
        "mobilenet_v2",
        "mobilenet, mobilenet_v2, mobilenet_v3_small, mobilenet_v3_large, resnet50, resnet101, resnet50_v2, vgg16 or"
        " vgg19.",
        group="Model",
    )
    alpha: float = option(1.0, "Width multiplier of a MobileNet.", group="Model")
    weights: str | None = option(
        None,
        "Initial weights: imagenet (downloaded), none (random), or a file.",
        group="Model",
        default_text="imagenet; none for the digits",
    )
    image_size: int | None = option(
        None,
        "Height and width of the input, in pixels.",
        group="Model",
        default_text="the backbone's; 32 for the digits",
    )
    resize: str = option("crop", "How photos are resized: crop or stretch.", group="Model")
    fine_tune: bool | None = option(
        None,
        "Fine-tune the upper layers after the linear probe, and keep the result if validation improves.",
        group="Training",
        default_text="on with pretrained weights",
    )
    fine_tune_from: str | int | None = option(
        None,
        "First trainable layer: a stage, from 1 (at the input) to 5, or the name of a layer.",
        group="Training",
        default_text=f"{FINE_TUNING.fine_tune_from}; {ADVERSARIAL.fine_tune_from} with `adversarial`",
    )
    adversarial: int | None = option(
        None,
        "Fine-tune by adversarial training with perturbations of up to EPS/255 in each pixel value, EPS from 1 to"
        f" {LARGEST_EPS}. More robust to attacks, less accurate on clean photos.",
        group="Training",
        default_text="off",
        metavar="EPS",
    )
    probe_epochs: int = option(
        100, "Maximum epochs of the linear probe, for each penalty.", group="Training", allowed=_ANY_COUNT
    )
    epochs: int | None = option(
        None,
        "Maximum epochs of fine-tuning, or of training from random weights.",
        group="Training",
        default_text=f"{FINE_TUNING.epochs} when fine-tuning, {ADVERSARIAL.epochs} with `adversarial`,"
        f" {FULL.epochs} from random weights",
        allowed=_ANY_COUNT,
    )
    patience: int | None = option(
        None,
        "Stop after this many epochs without a better validation result.",
        group="Training",
        default_text=f"{FINE_TUNING.patience} when fine-tuning; else no early stopping",
        allowed=_ANY_COUNT,
    )
    batch_size: int | None = option(
        None,
        "Photos per step, over all devices and hosts.",
        group="Training",
        default_text=f"{FULL.batch_size}; {ADVERSARIAL.batch_size} with `adversarial`",
        allowed=_ANY_COUNT,
    )
    learning_rate: float | None = option(
        None,
        "Peak learning rate of fine-tuning, or of training from random weights.",
        group="Training",
        default_text=f"{FINE_TUNING.learning_rate:g} when fine-tuning, {ADVERSARIAL.learning_rate:g} with"
        " `adversarial`, the backbone's from random weights",
        allowed=Limits(above=0, most=1),
    )
    warm_up: float = option(
        0.1,
        "Fraction of steps used for learning-rate warm-up.",
        group="Training",
        allowed=Limits(least=0, most=0.9),
    )
    weight_decay: float = option(1e-4, "Weight decay of AdamW.", group="Training", allowed=Limits(least=0, most=1))
    label_smoothing: float | None = option(
        None,
        "Fraction of each label to spread evenly over all classes.",
        group="Training",
        default_text=f"{FINE_TUNING.label_smoothing:g} when fine-tuning; else 0",
        allowed=Limits(least=0, most=0.9),
    )
    precision: str = option(
        "float32",
        "float32, mixed_bfloat16 or mixed_float16.",
        group="Training",
        allowed=Choices("precision", PRECISIONS),
    )
    augment: bool = option(True, "Augment training photos at random.", group="Augmentation")
    flip: bool | None = option(
        None, "Mirror half of the photos, at random.", group="Augmentation", default_text="on; off for the digits"
    )
    crop: float | None = option(
        None,
        "Smallest crop, as a fraction of the photo's sides.",
        group="Augmentation",
        default_text="0.7; 0.9 for the digits",
    )
    rotation: float | None = option(
        None, "Largest rotation, in degrees.", group="Augmentation", default_text="10; 0 for the digits"
    )
    colour: float | None = option(
        None,
        "Largest change of brightness, contrast and saturation, as a fraction.",
        group="Augmentation",
        default_text="0.2; 0 for the digits",
    )
    devices: int | None = option(
        None,
        "Number of devices that share each batch.",
        group="Hardware",
        default_text="every GPU, or one CPU",
        allowed=_ANY_COUNT,
    )
    hosts: int = option(
        1, "Number of hosts that train together (KERAS_BACKEND=jax).", group="Hardware", allowed=_ANY_COUNT
    )
    host: int = option(0, "Index of this host, from 0. Host 0 writes the run.", group="Hardware")
    coordinator: str | None = option(
        None, "ADDRESS:PORT of host 0.", group="Hardware", default_text="none (a single host)"
    )
    tensorboard: bool = option(False, "Also write logs for TensorBoard.", group="Output")
    license: str | None = option(
        None,
        "License of the model, for its model card: an identifier such as apache-2.0.",
        group="Output",
        default_text="left blank",
    )
    dataset_name: str | None = option(
        None,
        "Name of the data set, for the model card, such as its Hugging Face name microsoft/cats_vs_dogs.",
        group="Output",
        default_text="left blank",
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """All options of ``train()``."""

    resume: bool = option(False, "Resume the newest interrupted run, with its own options.", group="Output")
    run: str | Path | None = option(
        None, "The run to resume, with `resume`.", group="Output", default_text="the newest interrupted run"
    )
    runs: str | Path = option(DEFAULT_RUNS, "The folder of run directories.", group="Output")
    progress: Progress | None = option(
        None, "Receives progress, notes and warnings.", default_text="bars in a notebook"
    )


def check_resume(given: Collection[str]) -> None:
    """Raises OptionError if the names of the options ``given`` with ``resume`` include options of a run."""
    if changed := [f"`{item.name}`" for item in options_of(RunOptions) if item.name in given]:
        raise OptionError(f"`resume=True` continues a run with its own options; leave out {', '.join(changed)}")
