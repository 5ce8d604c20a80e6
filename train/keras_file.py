"""Reads Keras files that were not trained here, and converts them to the model contract. Imports Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tledge.core.errors import ModelError, OptionError, UnknownNameError, first_line
from tledge.core.extras import is_installed
from tledge.core.preprocessing import COLOURS
from tledge.core.progress import Progress
from tledge.core.temporary_files import temporary_folder
from tledge.train import keras2_conversion
from tledge.train.keras2_conversion import infer, name_uniquely
from tledge.train.keras_config import KerasConfig, float32_file
from tledge.train.keras_file_check import check_keras_file
from tledge.train.model_comparison import LARGEST_DIFFERENCE, end_removed, find_difference, probe_images
from tledge.train.pixel_arithmetic import fold_pixel_arithmetic

INPUT_RANGES = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""Input ranges of models, with the scale and offset that convert pixel values 0 to 255."""

LUMINANCE = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in a grey value (ITU-R BT.601), as Pillow's."""

_ENDS = ("softmax", "sigmoid", "linear")


@dataclass(frozen=True)
class ImportedModel:
    """A model of others that follows the contract.

    Attributes:
        model: a ``keras.Model`` from ``image``, float32 (N, height, width, 3), to ``logits`` (N, classes).
        keras2_difference: if tf_keras has read the file, the largest difference of the converted model's outputs, as a
            fraction of the largest output, or of 1 if that is larger; otherwise None.
        colour: the channels that the file's model is given, one of ``core.preprocessing.COLOURS``.
    """

    model: Any
    keras2_difference: float | None
    colour: str


def read_keras_file(
    path: Path,
    classes: int,
    *,
    input_range: str = "0..255",
    colour: str | None = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> ImportedModel:
    """Reads an image classifier and converts it to the contract: RGB values 0 to 255 in, logits out, a flat graph.

    A softmax at the end is removed. A single output, a sigmoid or its logit, becomes the logits (0, z) of two classes.
    Layers that do nothing at inference (dropout, random changes of the image) are removed, and lower or mixed precision
    becomes float32. Arithmetic on the pixels becomes a Rescaling layer (``pixel_arithmetic``), a Lambda layer the
    operations that it calls. A file of Keras 2 is converted by ``keras2_conversion``; without ``tf_keras`` Keras 3 may
    load it. The result is compared with the file's model on ``probe_images``.

    Args:
        path: a ``.keras`` or ``.h5`` file.
        input_range: the pixel values that the model expects, a key of ``INPUT_RANGES``.
        colour: the channels that the model expects, one of ``core.preprocessing.COLOURS``; by default grey if it takes
            one channel, otherwise rgb. With grey, the input may also be (N, height, width), or (N, pixels) of a square.
        trust: also load files that can execute code, such as a Lambda layer.

    Raises:
        ModelError: the file is no Keras model, could execute code, or is no image classifier of that many classes.
        MissingExtraError: a file of Keras 2 needs ``tf_keras``, since Keras 3 would not load it or change its outputs.
        OptionError: ``colour`` contradicts the model's input.
        UnknownNameError: there is no such input range or colour.
    """
    for what, name, names in (("input range", input_range, INPUT_RANGES), ("colour", colour or "rgb", COLOURS)):
        if name not in names:
            raise UnknownNameError(what, name, names)
    loaded, difference = _load(path, input_range=input_range, trust=trust, progress=progress)
    size, colour = _read_input(path, loaded, colour)
    image = keras.Input((*size, 3), name="image", dtype="float32")
    scale, offset = INPUT_RANGES[input_range]
    try:
        value = _to_input(image, loaded, colour)
        if input_range != "0..255":
            value = keras.layers.Rescaling(scale, offset, name="to_input_range")(value)
        features, head, end = _split_head(path, loaded, value=value)
        logits = _logits(path, features, head=head, end=end, classes=classes)
        name_uniquely(logits)
        model = fold_pixel_arithmetic(keras.Model(image, logits))
    except ValueError as error:
        raise ModelError(f"'{path}' cannot be converted to one flat graph: {first_line(error)}") from error
    model.jit_compile = False
    pixels = probe_images((*size, 3), 0, 255).round()
    given = infer(keras.Model(image, value), pixels)  # what the file's model takes of these pixels
    expected = infer(loaded, given)
    with end_removed(loaded) as removed:
        before = infer(loaded, given) if removed else None
    _check_same(path, infer(model, pixels), expected, before=before, end=end)
    return ImportedModel(model, difference, colour)


def _load(path: Path, *, input_range: str, trust: bool, progress: Progress | None) -> tuple[Any, float | None]:
    """Loads a file in float32. Returns the model and, for a file of Keras 2, the difference of its conversion."""
    config = check_keras_file(path, trust=trust)
    scale, offset = INPUT_RANGES[input_range]
    with temporary_folder() as folder:
        file = float32_file(path, folder)
        if config.of_keras2 and not loads_directly(config):
            span = {"low": offset, "high": 255 * scale + offset}
            converted = keras2_conversion.convert_keras2(file, **span, trust=trust, progress=progress)
            return converted.model, converted.difference
        loaded = load_with_keras3(path, file, of_keras2=config.of_keras2, trust=trust)
    if config.of_keras2 and progress:
        progress.warn(
            f"'{path}' is a Keras 2 file, and `tf_keras` is not installed: its outputs were not compared with Keras 2's"
        )
    loaded.jit_compile = False
    return loaded, None


def load_with_keras3(path: Path, file: Path, *, of_keras2: bool, trust: bool) -> Any:
    """Loads a Keras file.

    Args:
        path: its name in error messages.
        file: the file, or its copy in float32.
        of_keras2: Keras 2 wrote it.
        trust: also load what can execute code.

    Raises:
        ModelError: Keras 3 cannot load it.
        MissingExtraError: tf_keras might.
    """
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=not trust)
    except MemoryError:
        raise
    except Exception as error:  # Keras passes on any error of a layer's constructor
        if of_keras2:
            keras2_conversion.require_keras2()
        raise ModelError(f"Keras {keras.__version__} cannot load '{path}': {str(error).strip()}") from error


def loads_directly(config: KerasConfig) -> bool:
    """Returns whether to try Keras 3 on a Keras 2 file: there is no tf_keras, and no function that has changed."""
    return not is_installed("tf_keras") and "hard_sigmoid" not in str(config.model)


def _read_input(path: Path, model: Any, colour: str | None) -> tuple[tuple[int, int], str]:
    """Returns the (height, width) of the image that a model takes, and its colour."""
    shape = getattr(model, "input_shape", None)
    shape = tuple(shape) if isinstance(shape, list | tuple) else ()
    sizes, channels = (shape[1:3], shape[3]) if len(shape) == 4 else (shape[1:], 1)
    if len(shape) == 2 and colour == "grey" and shape[1] is not None and math.isqrt(shape[1]) ** 2 == shape[1]:
        sizes = (math.isqrt(shape[1]),) * 2
    if len(sizes) != 2 or channels not in (1, 3) or (len(shape) < 4 and colour != "grey"):
        raise ModelError(
            f"'{path}' has the input shape {shape or None}; expected one RGB image, (None, height, width, 3), one grey"
            " image, (None, height, width, 1), or with `colour='grey'` (None, height, width) or (None, pixels)"
        )
    if None in sizes:
        raise ModelError(f"'{path}' has a variable input size; save it with a fixed height and width")
    found = colour or ("grey" if channels == 1 else "rgb")
    if (found == "grey") != (channels == 1):
        raise OptionError(f"`colour='{found}'` contradicts '{path}', which takes {channels} channels")
    return (int(sizes[0]), int(sizes[1])), found


def _to_input(image: Any, model: Any, colour: str) -> Any:
    """Returns the symbolic channels that a model takes of an RGB image, in the shape of its input."""
    if colour == "rgb":
        return image
    mix = np.array([LUMINANCE]) if colour == "grey" else np.eye(3)[::-1]
    layer = keras.layers.Conv2D(len(mix), 1, use_bias=False, trainable=False, name=f"to_{colour}")
    value = layer(image)
    layer.set_weights([mix.T.reshape(1, 1, 3, -1)])
    shape = model.input_shape[1:]
    return value if len(shape) == 3 else keras.layers.Reshape(shape, name="to_input_shape")(value)


def _check_same(path: Path, logits: Any, expected: Any, *, before: Any, end: str) -> None:
    """Raises ModelError unless logits give the outputs of a file's model, whose activation at the end is ``end``.

    Args:
        before: what that activation takes in the file's model; None if that is not known.
    """
    found = logits
    if expected.shape[1] == 1:
        found = logits[:, 1:]
    difference = 0.0 if before is None else find_difference(found, before.reshape(found.shape))
    if end == "softmax":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        found = powers / powers.sum(axis=1, keepdims=True)
    elif end == "sigmoid":
        found = 1 / (1 + np.exp(-found))
    difference = max(difference, find_difference(found, expected))
    if not difference <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"'{path}' cannot be converted: its outputs would differ by {difference:.2g} (limit {LARGEST_DIFFERENCE:g})"
        )


def _split_head(path: Path, model: Any, *, value: Any) -> tuple[Any, Any, str]:
    """Returns the symbolic input of the last layer with weights, that layer, and the activation at the end.

    The layer is None if a softmax follows something else than a dense layer: its input are then logits.
    """

    def follow(operation: Any) -> Any:
        if isinstance(operation, keras.Model):
            return lambda taken, **_: run(operation, taken)
        if _does_nothing(operation):
            return lambda taken, **_: taken
        if isinstance(operation, keras.layers.Lambda):
            return lambda taken, **_: _traced(path, operation, taken)
        return operation

    def run(part: Any, taken: Any) -> Any:
        function = part._functional if isinstance(part, keras.Sequential) else part
        if not hasattr(function, "_run_through_graph"):
            raise ModelError(
                f"'{path}' is a subclassed model, whose graph cannot be read; save it as a functional model"
            )
        outputs = function._run_through_graph([taken], operation_fn=follow)
        if isinstance(outputs, list | tuple) and len(outputs) == 1:
            outputs = outputs[0]
        if not isinstance(outputs, keras.KerasTensor):
            raise ModelError(f"'{path}' has several outputs ('{part.name}'); expected one, of shape (None, classes)")
        return outputs

    outputs = run(model, value)
    if len(outputs.shape) != 2:
        maps = ": a map, as of a segmentation model" if len(outputs.shape) == 4 else ""
        raise ModelError(f"'{path}' has the output shape {outputs.shape}; expected (None, classes){maps}")
    last, end = outputs._keras_history.operation, ""
    if _activation(last) in _ENDS and not getattr(last, "weights", None):
        end = _activation(last)
        outputs = last._inbound_nodes[-1].input_tensors[0]
    producer = _behind_reshapes(outputs)
    last = producer._keras_history.operation
    if _is_dense(last, producer) and _activation(last) in _ENDS:
        return last._inbound_nodes[-1].input_tensors[0], last, end or _activation(last)
    if end == "softmax":
        return outputs, None, end
    raise ModelError(
        f"the last layer of '{path}' is {type(last).__name__} '{last.name}'; expected a Dense layer that outputs"
        " logits or probabilities: embeddings and other features are not supported"
    )


def _behind_reshapes(tensor: Any) -> Any:
    """Returns the tensor behind which only layers follow that remove dimensions of length 1."""
    while True:
        operation = tensor._keras_history.operation
        before = operation._inbound_nodes[-1].input_tensors
        if not isinstance(operation, keras.layers.Reshape | keras.layers.Flatten) or before[0].shape[1:3] != (1, 1):
            return tensor
        tensor = before[0]


def _is_dense(layer: Any, output: Any) -> bool:
    """Returns whether a layer is dense, or a 1 x 1 convolution of one pixel, as at the end of MobileNet."""
    if type(layer) is keras.layers.Conv2D:
        return layer.kernel_size == (1, 1) and layer.groups == 1 and tuple(output.shape[1:3]) == (1, 1)
    return type(layer) is keras.layers.Dense and len(output.shape) == 2


def _traced(path: Path, layer: Any, taken: Any) -> Any:
    """Returns the output of a Lambda layer's function as operations, which can be loaded without executing its code."""
    try:
        return layer.function(taken, **layer.arguments)
    except Exception as error:  # of any code
        raise ModelError(
            f"the Lambda layer '{layer.name}' of '{path}' cannot be converted; replace it with other layers, or call"
            f" only `keras.ops` in it: {first_line(error)}"
        ) from error


def _does_nothing(operation: Any) -> bool:
    """Returns whether a layer does nothing outside of training."""
    name = type(operation).__name__
    own = type(operation).__module__.startswith("keras.") and name != "RandomCrop"  # which always crops
    return own and (name.startswith("Random") or "Dropout" in name or name in ("GaussianNoise", "InputLayer"))


def _logits(path: Path, features: Any, *, head: Any, end: str, classes: int) -> Any:
    """Returns the symbolic logits of all classes, computed by a copy of the head without softmax or sigmoid."""
    kernel, *bias = head.get_weights() if head else [np.empty((0, features.shape[-1]))]
    kernel = kernel.reshape(-1, kernel.shape[-1])
    units = kernel.shape[-1]
    if units == 1 and classes == 2:
        kernel = np.concatenate([np.zeros_like(kernel), kernel], axis=1)
        bias = [np.concatenate([np.zeros_like(values), values]) for values in bias]
    elif units != classes:
        raise ModelError(
            f"'{path}' has {units} classes, the data has {classes}; pass the data that the model was trained on"
        )
    elif end == "sigmoid":
        raise ModelError(f"'{path}' outputs {units} independent sigmoids; multi-label classifiers are not supported")
    if head is None:
        return keras.layers.Activation("linear", name="logits")(features)
    if len(features.shape) == 4:
        features = keras.layers.Flatten()(features)
    dense = keras.layers.Dense(classes, use_bias=bool(bias), name="logits", dtype="float32")
    logits = dense(features)
    dense.set_weights([kernel, *bias])
    return logits


def _activation(layer: Any) -> str:
    """Returns the name of a layer's activation, or of a layer or operation that only is one; "" if there is none."""
    if type(layer).__name__ in ("Softmax", "Sigmoid"):
        return type(layer).__name__.lower()
    activation = getattr(layer, "activation", "")
    return str(getattr(activation, "__name__", activation))
