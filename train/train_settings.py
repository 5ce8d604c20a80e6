"""The options of one training, checked and with every default filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tledge.core.errors import OptionError, RunError, UnknownNameError
from tledge.core.images import RESIZE_RULES
from tledge.core.options import check_used, options_of
from tledge.core.records import Record
from tledge.train.backbone import BACKBONES
from tledge.train.data import digits
from tledge.train.data.augmentation import SMALL_AND_UPRIGHT, UNCHANGED, Augmentation
from tledge.train.evaluation import ResizeRule
from tledge.train.train_options import ADVERSARIAL, FINE_TUNING, FULL, LARGEST_EPS, RunOptions
from tledge.train.weights import IMAGENET, NONE, check_weights_file


@dataclass(frozen=True, kw_only=True)
class Settings(RunOptions, Record, error=RunError, remedy="train again"):
    """The options that a run is trained with; what depends on the data and the weights is filled in.

    The attributes are those of :class:`~tledge.train.train_options.RunOptions`, and:

    Attributes:
        data: the folder as given, "tfds:NAME", or "digits" for the built-in data.
        built_in: ``data`` is the built-in data, not a folder of that name.
    """

    built_in: bool = field()
    data: str = field()
    weights: str = field()
    image_size: int = field()
    fine_tune: bool = field()
    fine_tune_from: str = field()
    epochs: int = field()
    patience: int = field()
    batch_size: int = field()
    learning_rate: float = field()
    label_smoothing: float = field()
    flip: bool = field()
    crop: float = field()
    rotation: float = field()
    colour: float = field()

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image_size, self.image_size

    @property
    def resize_rule(self) -> ResizeRule:
        """How photos are resized for the model."""
        return {"size": self.input_size, "resize": self.resize}

    @property
    def pretrained(self) -> bool:
        """Whether the backbone's weights are more than random."""
        return self.weights != NONE

    @property
    def in_epochs(self) -> bool:
        """Whether more is trained than the linear probe."""
        return self.fine_tune or not self.pretrained

    @property
    def augmentation(self) -> Augmentation:
        """How training photos are changed."""
        if not self.augment:
            return UNCHANGED
        return Augmentation(flip=self.flip, crop=self.crop, rotation=self.rotation, colour=self.colour)


@dataclass(frozen=True)
class UnusedOptions:
    """Options that some trainings do not use.

    Attributes:
        names: of the options.
        reason: why they are not used, for an error message.
        applies: whether a training with these settings does not use them.
    """

    names: tuple[str, ...]
    reason: str
    applies: Callable[[Settings], bool]


_AUGMENTATION = ("flip", "crop", "rotation", "colour")

UNUSED = (
    UnusedOptions(_AUGMENTATION, "with `augment=False`", lambda settings: not settings.augment),
    UnusedOptions(
        ("fine_tune_from", "probe_epochs"),
        "with `weights='none'`, which trains every layer",
        lambda settings: not settings.pretrained,
    ),
    UnusedOptions(
        (
            *("fine_tune_from", "epochs", "patience", "learning_rate", "warm_up", "weight_decay", "label_smoothing"),
            *("augment", *_AUGMENTATION),
        ),
        "with `fine_tune=False`, which trains the linear probe alone",
        lambda settings: not settings.in_epochs,
    ),
)
"""Whoever gives one of them expects what it does."""


def settle(options: RunOptions) -> Settings:
    """Fills in the defaults that depend on the data and the weights, and checks the options against one another.

    Raises:
        OptionError: a value that an option cannot take, or an option that this training does not use.
        UnknownNameError: no such backbone, resize rule or stage.
        WeightsError: no such weights file.
    """
    built_in = options.data is None
    backbone = BACKBONES.load(options.backbone)
    weights = options.weights
    if weights is None:
        weights = NONE if built_in else IMAGENET
    fine_tuning = FINE_TUNING if options.adversarial is None else ADVERSARIAL
    usual = fine_tuning if weights != NONE else FULL
    defaults: dict[str, Any] = {
        "data": digits.NAME,
        "weights": weights,
        "image_size": digits.IMAGE_SIZE if built_in else backbone.default_image_size,
        "fine_tune": weights != NONE,
        **vars(usual),
        "patience": usual.patience or options.epochs or usual.epochs,
        "learning_rate": usual.learning_rate or backbone.full_learning_rate,
        **vars(SMALL_AND_UPRIGHT if built_in else Augmentation()),
    }
    given = {item.name: getattr(options, item.name) for item in fields(RunOptions)}
    values: dict[str, Any] = {name: defaults.get(name) if value is None else value for name, value in given.items()}
    values |= {name: str(values[name]) for name in ("data", "fine_tune_from")}
    settings = Settings(built_in=built_in, **values)
    check_settings(settings)
    for unused in UNUSED:
        if unused.applies(settings):
            check_used(options, unused.names, unused.reason)
    return settings


def check_settings(settings: Settings) -> None:
    """Checks settings, also those read from a record, against their limits and one another; see :func:`settle`."""
    for item in options_of(RunOptions):
        item.check(getattr(settings, item.name))
    backbone = BACKBONES.load(settings.backbone)
    backbone.check_image_size(settings.image_size)
    backbone.check_alpha(settings.alpha, imagenet=settings.weights == IMAGENET)
    if settings.pretrained and settings.weights != IMAGENET:
        check_weights_file(Path(settings.weights))
    if settings.resize not in RESIZE_RULES:
        raise UnknownNameError("resize rule", settings.resize, RESIZE_RULES)
    if settings.fine_tune:
        if not settings.pretrained:
            raise OptionError(
                "`fine_tune=True` needs pretrained weights: with `weights='none'` every layer is trained from random"
                " weights"
            )
        backbone.first_layer_of(settings.fine_tune_from)
    _check_adversarial(settings)
    _check_devices(settings)
    _ = settings.augmentation  # which checks its own values


def _check_adversarial(settings: Settings) -> None:
    eps = settings.adversarial
    if eps is None:
        return
    if eps not in range(1, LARGEST_EPS + 1):
        raise OptionError(
            f"`adversarial` must be a whole number from 1 to {LARGEST_EPS}, the largest change in a pixel value of 0"
            f" to 255; received {eps}"
        )
    if not settings.fine_tune:
        raise OptionError(
            "`adversarial` fine-tunes a pretrained model: pass `weights='imagenet'` or a file, and leave out"
            " `fine_tune=False`"
        )
    if settings.precision != "float32":
        raise OptionError(
            f"`adversarial` needs `precision='float32'`; received {settings.precision}, which is too coarse for changes"
            f" of {eps}/255"
        )
    if settings.hosts > 1:
        raise OptionError(
            f"`adversarial` trains on one host, with any number of `devices`; received `hosts={settings.hosts}`"
        )


def _check_devices(settings: Settings) -> None:
    if not 0 <= settings.host < settings.hosts:
        raise OptionError(f"`host` must be between 0 and {settings.hosts - 1}; received {settings.host}")
    if (settings.hosts > 1) != (settings.coordinator is not None):
        raise OptionError(
            "several hosts need both `hosts=COUNT` and `coordinator='ADDRESS:PORT'`, the same on each host"
        )
    shares = settings.hosts * (settings.devices or 1)
    if settings.batch_size % shares:
        raise OptionError(
            f"`batch_size={settings.batch_size}` cannot be divided among {settings.hosts} hosts x"
            f" {settings.devices or 1} devices: choose a multiple of {shares}"
        )
