"""The options of one training, checked and filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

from tledge.core.errors import OptionError, RunError, UnknownNameError
from tledge.core.images import RESIZE_RULES
from tledge.train.backbone import BACKBONES, Backbone
from tledge.train.data import digits
from tledge.train.data.augmentation import SMALL_AND_UPRIGHT, UNCHANGED, Augmentation
from tledge.train.weights import IMAGENET, NONE, check_weights_file

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

PROBE_EPOCHS = 100

LARGEST_EPS = 16
"""Of adversarial training, in pixel values: a person sees changes of more."""


@dataclass(frozen=True, kw_only=True)
class Usual:
    """How epochs over the photos are trained where nothing else is asked for, see :class:`Settings`.

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


FINE_TUNING = Usual(epochs=6, learning_rate=1e-4, label_smoothing=0.1, patience=3)
"""From the third stage on: all but the first convolutions, which see edges and colours."""

ADVERSARIAL = Usual(epochs=12, fine_tune_from="1", batch_size=8, learning_rate=3e-4)
"""From the first stage on, where what an attacker adds is let through or not. Early stopping would end it while the
radius still rises."""

FULL = Usual(epochs=15)


class Options(TypedDict, total=False):
    """What a training can be told, by the names of the command line; the values are those of :class:`Settings`."""

    data: str | Path | None
    backbone: str
    alpha: float
    weights: str | None
    image_size: int | None
    resize: str
    validation_fraction: float
    test_fraction: float
    skip_broken: bool
    fine_tune: bool | None
    fine_tune_from: str | None
    adversarial: int | None
    probe_epochs: int
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    warm_up: float
    weight_decay: float
    label_smoothing: float | None
    patience: int | None
    augment: bool
    flip: bool | None
    crop: float | None
    rotation: float | None
    colour: float | None
    class_weights: bool
    precision: str
    devices: int | None
    coordinator: str | None
    hosts: int
    host: int
    tensorboard: bool
    seed: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run was told, by the names that the command line has.

    Attributes:
        data: the folder as given, "tfds:NAME", or "digits" for the built-in data.
        built_in: ``data`` is the built-in data, not a folder of that name.
        backbone: its registered name.
        alpha: the backbone's width multiplier.
        weights: "imagenet", "none" or a file.
        image_size: height and width in pixels.
        resize: the resize rule.
        validation_fraction, test_fraction: of the photos of each class, where the data does not name these splits.
        skip_broken: broken photos are left out.
        fine_tune: after the linear probe, the upper layers learn too.
        fine_tune_from: the stage, from 1, or the layer at which the layers that learn begin.
        adversarial: by how much photos are changed against the model in fine-tuning, eps in the L-infinity norm and in
            pixel values of which white is 255; None for not at all.
        probe_epochs: the most passes over the features that the head learns in.
        epochs: the most over the photos, in fine-tuning and in full training.
        batch_size: photos a step, over all devices and hosts.
        learning_rate: the highest, in fine-tuning and in full training.
        warm_up: the share of all steps in which the learning rate rises.
        weight_decay: of AdamW.
        label_smoothing: how much of a label is spread over all classes.
        patience: epochs without a better validation result after which training stops.
        augment: training photos are changed at random; else the four below are not used.
        flip, crop, rotation, colour: see :class:`~tledge.train.data.augmentation.Augmentation`.
        class_weights: photos of rare classes weigh more.
        precision: of the computation in fine-tuning and full training, one of ``PRECISIONS``.
        devices: how many share each batch; None for every GPU or TPU, or one CPU.
        coordinator: "address:port" of the first of several hosts.
        hosts: how many share each batch.
        host: which one this is, from 0; the first one writes the run directory.
        tensorboard: also write event files for TensorBoard.
        seed: of the splits, the initial weights, the shuffling and the augmentation.
    """

    data: str
    built_in: bool
    backbone: str
    alpha: float
    weights: str
    image_size: int
    resize: str
    validation_fraction: float
    test_fraction: float
    skip_broken: bool
    fine_tune: bool
    fine_tune_from: str
    adversarial: int | None
    probe_epochs: int
    epochs: int
    batch_size: int
    learning_rate: float
    warm_up: float
    weight_decay: float
    label_smoothing: float
    patience: int
    augment: bool
    flip: bool
    crop: float
    rotation: float
    colour: float
    class_weights: bool
    precision: str
    devices: int | None
    coordinator: str | None
    hosts: int
    host: int
    tensorboard: bool
    seed: int

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image_size, self.image_size

    @property
    def pretrained(self) -> bool:
        """Whether the backbone's weights are more than random."""
        return self.weights != NONE

    @property
    def augmentation(self) -> Augmentation:
        """How training photos are changed."""
        if not self.augment:
            return UNCHANGED
        return Augmentation(flip=self.flip, crop=self.crop, rotation=self.rotation, colour=self.colour)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold; ``from_dict`` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Settings:
        """Reads what ``to_dict`` gave. Raises RunError if it cannot."""
        try:
            return cls(**fields)
        except TypeError as error:
            raise RunError(f"the run was begun by another version of tledge ({error}); train again") from error


def settle(options: Options) -> Settings:
    """Fills in what depends on the data and the weights, and checks everything that can be checked at once.

    Raises:
        OptionError: a value that an option cannot take.
        UnknownNameError: no such backbone, resize rule or precision.
        WeightsError: no such weights file.
    """
    unknown = set(options) - set(Options.__annotations__)
    if unknown:
        raise TypeError(f"train() takes no {', '.join(sorted(unknown))}")
    data, weights = options.get("data"), options.get("weights")
    built_in = data is None
    backbone = BACKBONES.load(options.get("backbone", "mobilenet_v2"))
    if weights is None:
        weights = NONE if built_in else IMAGENET
    pretrained = weights != NONE
    changes = SMALL_AND_UPRIGHT if built_in else Augmentation()
    adversarial = options.get("adversarial")
    tuned = FINE_TUNING if adversarial is None else ADVERSARIAL
    usually = tuned if pretrained else FULL
    epochs = _given(options, "epochs", usually.epochs)
    settings = Settings(
        data=digits.NAME if data is None else str(data),
        built_in=built_in,
        backbone=options.get("backbone", "mobilenet_v2"),
        alpha=options.get("alpha", 1.0),
        weights=weights,
        image_size=_given(options, "image_size", digits.IMAGE_SIZE if built_in else backbone.default_image_size),
        resize=options.get("resize", "crop"),
        validation_fraction=options.get("validation_fraction", 0.15),
        test_fraction=options.get("test_fraction", 0.15),
        skip_broken=options.get("skip_broken", False),
        fine_tune=_given(options, "fine_tune", pretrained),
        fine_tune_from=str(_given(options, "fine_tune_from", usually.fine_tune_from)),
        adversarial=adversarial,
        probe_epochs=options.get("probe_epochs", PROBE_EPOCHS),
        epochs=epochs,
        batch_size=_given(options, "batch_size", usually.batch_size),
        learning_rate=_given(options, "learning_rate", usually.learning_rate or backbone.full_learning_rate),
        warm_up=options.get("warm_up", 0.1),
        weight_decay=options.get("weight_decay", 1e-4),
        label_smoothing=_given(options, "label_smoothing", usually.label_smoothing),
        patience=_given(options, "patience", usually.patience or epochs),
        augment=options.get("augment", True),
        flip=_given(options, "flip", changes.flip),
        crop=_given(options, "crop", changes.crop),
        rotation=_given(options, "rotation", changes.rotation),
        colour=_given(options, "colour", changes.colour),
        class_weights=options.get("class_weights", True),
        precision=options.get("precision", "float32"),
        devices=options.get("devices"),
        coordinator=options.get("coordinator"),
        hosts=options.get("hosts", 1),
        host=options.get("host", 0),
        tensorboard=options.get("tensorboard", False),
        seed=options.get("seed", 0),
    )
    _check(settings, backbone)
    return settings


def _given(options: Options, name: str, otherwise: Any) -> Any:
    value = options.get(name)
    return otherwise if value is None else value


def _check(settings: Settings, backbone: Backbone) -> None:
    backbone.check_image_size(settings.image_size)
    backbone.check_alpha(settings.alpha, imagenet=settings.weights == IMAGENET)
    if settings.pretrained and settings.weights != IMAGENET:
        check_weights_file(Path(settings.weights))
    for kind, name, known in (
        ("resize rule", settings.resize, RESIZE_RULES),
        ("precision", settings.precision, PRECISIONS),
    ):
        if name not in known:
            raise UnknownNameError(kind, name, known)
    if settings.fine_tune:
        if not settings.pretrained:
            raise OptionError(
                "--fine-tune needs pretrained weights: with --weights none every layer is trained from the beginning"
            )
        backbone.first_layer_of(settings.fine_tune_from)
    _check_adversarial(settings)
    for name in ("probe_epochs", "epochs", "batch_size", "patience", "hosts"):
        if getattr(settings, name) < 1:
            raise OptionError(f"{_option(name)} must be 1 or more; received {getattr(settings, name)}")
    if not 0 < settings.learning_rate <= 1:
        raise OptionError(f"--learning-rate must be above 0 and at most 1; received {settings.learning_rate}")
    for name, high in (("warm_up", 0.9), ("weight_decay", 1.0), ("label_smoothing", 0.9)):
        if not 0 <= getattr(settings, name) <= high:
            raise OptionError(f"{_option(name)} must be between 0 and {high}; received {getattr(settings, name)}")
    for name in ("validation_fraction", "test_fraction"):
        if not 0.01 <= getattr(settings, name) <= 0.45:
            raise OptionError(f"{_option(name)} must be between 0.01 and 0.45; received {getattr(settings, name)}")
    if not 0 <= settings.seed < 2**32:
        raise OptionError(f"--seed must be between 0 and {2**32 - 1}; received {settings.seed}")
    _check_devices(settings)
    _ = settings.augmentation  # which checks its own values


def _check_adversarial(settings: Settings) -> None:
    eps = settings.adversarial
    if eps is None:
        return
    if eps not in range(1, LARGEST_EPS + 1):
        raise OptionError(
            f"--adversarial must be a whole number from 1 to {LARGEST_EPS}, the largest change of a pixel value of 0 to"
            f" 255; received {eps}"
        )
    if not settings.fine_tune:
        raise OptionError(
            "--adversarial is a way of fine-tuning: it needs pretrained weights (--weights imagenet or a file) and no"
            " --no-fine-tune"
        )
    if settings.precision != "float32":
        raise OptionError(
            f"--adversarial needs --precision float32; received {settings.precision}, in which changes of {eps}/255 are"
            " lost"
        )
    if settings.hosts > 1:
        raise OptionError(f"--adversarial trains on one host, with any --devices; received --hosts {settings.hosts}")


def _check_devices(settings: Settings) -> None:
    if settings.devices is not None and settings.devices < 1:
        raise OptionError(f"--devices must be 1 or more; received {settings.devices}")
    if not 0 <= settings.host < settings.hosts:
        raise OptionError(f"--host must be between 0 and {settings.hosts - 1}; received {settings.host}")
    if (settings.hosts > 1) != (settings.coordinator is not None):
        raise OptionError("several hosts need both --hosts COUNT and --coordinator ADDRESS:PORT, the same on each host")
    shares = settings.hosts * (settings.devices or 1)
    if settings.batch_size % shares:
        raise OptionError(
            f"--batch-size {settings.batch_size} cannot be shared by {settings.hosts} hosts x"
            f" {settings.devices or 1} devices: choose a multiple of {shares}"
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
