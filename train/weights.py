"""The initial weights of a backbone: ImageNet weights that Keras downloads, a file, or random ones."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tledge.core.errors import WeightsError, did_you_mean, first_line
from tledge.core.keras_downloads import DownloadError, load_with_downloads, module_of
from tledge.core.manifest import WeightsRecord
from tledge.core.progress import Progress
from tledge.train.backbone import Backbone

IMAGENET = "imagenet"
NONE = "none"


def build_with_weights(
    backbone: Backbone, image_size: int, *, weights: str, alpha: float = 1.0, progress: Progress | None = None
) -> tuple[Any, WeightsRecord]:
    """Builds a backbone with its weights.

    Args:
        image_size: height and width in pixels.
        weights: "imagenet", "none" for random weights, or a file for ``keras.Model.load_weights``.
        alpha: the width multiplier.
        progress: reports a damaged download that is discarded.

    Returns:
        The ``keras.Model`` of the backbone, and the source of its weights.

    Raises:
        WeightsError: there is no such file, it belongs to another network, or the download failed.
    """
    if weights == NONE:
        return backbone.build(image_size, None, alpha=alpha), WeightsRecord(source=NONE)
    if weights == IMAGENET:
        network = _download(backbone, image_size, alpha=alpha, progress=progress or Progress())
    else:
        network = _read(backbone, image_size, path=Path(weights), alpha=alpha)
    return network, WeightsRecord(source=weights, sha256=_sha256_of_weights(network))


def _download(backbone: Backbone, image_size: int, *, alpha: float, progress: Progress) -> Any:
    import keras

    try:
        return load_with_downloads(
            lambda: backbone.build(image_size, IMAGENET, alpha=alpha),
            get_file_module=module_of(keras.utils.get_file),
            progress=progress,
        )
    except DownloadError as error:
        raise WeightsError(
            f"cannot download the ImageNet weights of {backbone.application}: {error}; put that file into"
            f" {error.folder}, or pass a file or 'none' as `weights`"
        ) from error


def check_weights_file(path: Path) -> None:
    """Raises WeightsError if there is no such file."""
    if not path.is_file():
        meant = did_you_mean(str(path), (IMAGENET, "none"))
        raise WeightsError(
            f"no weights file '{path}'{f'.{meant}' if meant else ';'}"
            " `weights` takes imagenet, none, or a .weights.h5, .h5 or .keras file of the"
            " backbone without its head"
        )


def _read(backbone: Backbone, image_size: int, *, path: Path, alpha: float) -> Any:
    check_weights_file(path)
    network = backbone.build(image_size, None, alpha=alpha)
    try:
        network.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise WeightsError(
            f"'{path}' does not contain the weights of {backbone.application} without its head: {first_line(error)};"
            " pass the matching `backbone` or another file"
        ) from error
    return network


def _sha256_of_weights(network: Any) -> str:
    digest = hashlib.sha256()
    for values in network.get_weights():
        digest.update(values.tobytes())
    return digest.hexdigest()
