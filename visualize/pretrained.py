"""Published backbones of ``keras.applications``, with the head of 1,000 classes if the weights include it."""

from __future__ import annotations

import inspect
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tledge.core.errors import OptionError, UnknownNameError, WeightsError
from tledge.core.extras import keras_backend, keras_home, require
from tledge.core.images import RESIZE_RULES
from tledge.core.keras_downloads import DownloadError, load_with_downloads, module_of
from tledge.core.progress import Progress
from tledge.core.regular_file import open_regular
from tledge.core.zip_limits import check_members, open_zip
from tledge.visualize.visualized_model import VisualizedModel

IMAGENET, NONE = "imagenet", "none"
CLASSES = 1000
DEFAULT_IMAGE_SIZE = 224
SMALLEST, LARGEST = 32, 1024
SEED = 0
"""Seed of random weights."""

CLASS_INDEX = "imagenet_class_index.json"
"""Keras's file name for the downloaded list of ImageNet class names."""

MOST_BYTES = 1 << 20
"""Of that list, which has 35,363."""

INSIDE_KERAS = "model.weights.h5"
"""Member of a .keras file that holds the weights."""

NOT_OF_LAYERS = frozenset(("optimizer", "optimizer_weights"))
"""Groups of a weights file that hold no weights of layers."""


def model_of_backbone(
    name: str,
    weights: str,
    *,
    image_size: int | None = None,
    labels: Path | None = None,
    resize: str = "crop",
    progress: Progress | None = None,
) -> VisualizedModel:
    """Builds a backbone with its preprocessing inside and loads its weights.

    Args:
        name: a network of ``keras.applications``, such as ``vgg16`` or ``mobilenet_v2``.
        weights: "imagenet" (downloaded by Keras, with the head), "none" (random with a fixed seed, with a head), or a
            file, with or without weights of the head.
        image_size: height and width in pixels; default 224.
        labels: file with one class name per line, in the order of the head's outputs. The default is ImageNet's names
            if Keras has downloaded them, else the class numbers.
        resize: rule for resizing photos.
        progress: reports a damaged download that is discarded.

    Raises:
        UnknownNameError: the backbone or resize rule does not exist.
        OptionError: the image size does not suit the network or its published head, or the labels do not fit.
        WeightsError: the file does not exist or holds weights of another network or head, or the download failed.
        MissingExtraError: Keras or its backend is not installed.
    """
    require("keras", keras_backend(), extra="train", purpose="visualizing a network")
    progress = progress or Progress()
    applications = _applications()
    key = name.lower().replace("_", "").replace("-", "")
    if key not in applications:
        raise UnknownNameError("backbone", name, applications)
    if resize not in RESIZE_RULES:
        raise UnknownNameError("resize rule", resize, RESIZE_RULES)
    side = DEFAULT_IMAGE_SIZE if image_size is None else image_size
    if not SMALLEST <= side <= LARGEST:
        raise OptionError(f"`image_size` must be between {SMALLEST} and {LARGEST} pixels; received {side}")
    model = _read(applications[key], side, weights, progress)
    has_head = len(model.output_shape) == 2
    if labels is not None and not has_head:
        raise OptionError(
            f"`labels` needs a classification head, and '{weights}' has none for {name}; leave `labels` out"
        )
    return VisualizedModel(
        title=f"{applications[key].__name__} ({weights if weights in (IMAGENET, NONE) else Path(weights).name})",
        model=model,
        class_names=_class_names(labels, model.output_shape[-1], weights, progress) if has_head else (),
        resize=resize,
    )


def _applications() -> dict[str, Any]:
    """Returns the builders in ``keras.applications`` by lower-case name ("vgg16")."""
    import keras

    found = inspect.getmembers(keras.applications, inspect.isfunction)
    return {
        name.lower(): function for name, function in found if "include_top" in inspect.signature(function).parameters
    }


def _published(application: Any, side: int, *, head: bool, **options: Any) -> Any:
    """Builds the network as Keras does, with or without a head of logits. Raises OptionError for an unsuitable size."""
    ending = {"classes": CLASSES, "classifier_activation": None} if head else {}
    try:
        return application(include_top=head, **ending, **options)
    except ValueError as error:
        of = f"{application.__name__} with its ImageNet head" if options["weights"] else application.__name__
        raise OptionError(
            f"`image_size={side}` does not suit {of}: {_reason(error)}; leave it out or pass another"
        ) from error


def _build(application: Any, side: int, weights: str | None, *, head: bool) -> Any:
    """Builds a flat graph from pixel values 0 to 255 to logits, or to feature maps without the head."""
    import keras

    family = getattr(keras.applications, application.__module__.rpartition(".")[2])
    image = keras.Input((side, side, 3), name="image", dtype="float32")
    network = _published(application, side, head=head, weights=weights, input_tensor=family.preprocess_input(image))
    output = network.output
    if head and len(output.shape) != 2:  # the MobileNets end in a convolution and a reshape
        output = keras.layers.Flatten()(output)
    return keras.Model(image, output, name=network.name)


def _read(application: Any, side: int, weights: str, progress: Progress) -> Any:
    """Returns the network with its weights, and with a head if the weights include one."""
    if weights == NONE:
        import keras

        keras.utils.set_random_seed(SEED)
        return _build(application, side, None, head=True)
    if weights == IMAGENET:
        try:
            return _with_downloads(lambda: _build(application, side, IMAGENET, head=True), progress)
        except DownloadError as error:
            raise WeightsError(
                f"cannot download the ImageNet weights of {application.__name__}: {error}; put that file into"
                f" {error.folder}, or set `weights` to a file or to 'none'"
            ) from error
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(f"no weights file '{path}'; `weights` takes imagenet, none, or a .h5 or .keras file")
    reasons = []
    for head in (True, False):
        published = _published(application, side, head=head, weights=None, input_shape=(side, side, 3))
        try:
            published.load_weights(path)
        except (ValueError, OSError, KeyError, TypeError) as error:
            reasons.append(_reason(error))
            continue
        if not head and _count(path) > len(published.weights):  # Keras would skip a head that does not fit
            break
        model = _build(application, side, None, head=head)
        model.set_weights(published.get_weights())  # a file fits only the network without preprocessing
        return model
    raise WeightsError(
        f"'{path}' does not hold the weights of {application.__name__} at {side} px, with or without its head:"
        f" {reasons[0]}; pass the matching `backbone` and `image_size`"
    )


def _count(path: Path) -> int:
    """Counts the weights of layers in a .h5 or .keras file."""
    import h5py

    found: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and NOT_OF_LAYERS.isdisjoint(name.split("/")):
            found.append(name)

    stored: Path | io.BytesIO = path
    if zipfile.is_zipfile(path):
        try:
            with open_regular(path) as file, open_zip(file) as archive:
                check_members(archive, path.stat().st_size)
                stored = io.BytesIO(archive.read(INSIDE_KERAS))
        except zipfile.BadZipFile as error:
            raise WeightsError(f"cannot read '{path}': {error}; pass a .keras file that Keras saved") from error
    with h5py.File(stored) as file:
        file.visititems(note)
    return len(found)


def _reason(error: Exception) -> str:
    """Returns Keras's error message in one line, without the values of weights it prints."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return reason.partition(" Target variable:")[0].rstrip(".")


def _class_names(labels: Path | None, classes: int, weights: str, progress: Progress) -> tuple[str, ...]:
    if labels is not None:
        try:
            names = tuple(line.strip() for line in labels.read_text(encoding="utf-8").splitlines() if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(f"cannot read `labels` '{labels}': {error}; expected one class name per line") from error
        if len(names) != classes or len(set(names)) != classes:
            raise OptionError(
                f"'{labels}' holds {len(set(names))} different class names; the network has {classes} outputs"
            )
        return names
    listed = _listed_by_keras(weights, progress)
    return listed if len(listed) == classes else tuple(map(str, range(classes)))


def _listed_by_keras(weights: str, progress: Progress) -> tuple[str, ...]:
    """Returns ImageNet's class names from Keras's list, duplicates numbered; empty if there is no list."""
    if weights != IMAGENET and not (keras_home() / "models" / CLASS_INDEX).exists():
        return ()
    import keras
    import numpy as np

    scores = np.linspace(1, 0, CLASSES, dtype=np.float32)[np.newaxis]  # so that the names come in order
    decode = keras.applications.imagenet_utils.decode_predictions
    try:
        (listed,) = _with_downloads(lambda: decode(scores, top=CLASSES), progress)
    except DownloadError:
        return ()
    names = [str(name) for _, name, _ in listed]
    return tuple(f"{name}_{index}" if names.count(name) > 1 else name for index, name in enumerate(names))


def _with_downloads(build: Callable[[], Any], progress: Progress) -> Any:
    """Calls a function that uses files which Keras downloads; see ``core.keras_downloads``."""
    import keras

    return load_with_downloads(build, get_file_module=module_of(keras.utils.get_file), progress=progress)
