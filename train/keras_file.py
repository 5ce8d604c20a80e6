"""Reads Keras files that were not trained here, and converts them to the model contract. Imports Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from tledge.core.errors import ModelError, UnknownNameError, first_line
from tledge.train.keras_file_check import check_keras_file

INPUT_RANGES = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""Input ranges of models, with the scale and offset that convert pixel values 0 to 255."""


def read_keras_file(path: Path, classes: int, *, input_range: str = "0..255", trust: bool = False) -> Any:
    """Reads an image classifier and converts it to the contract: pixel values 0 to 255 in, logits out, a flat graph.

    A softmax at the end is removed. A single output, a sigmoid or its logit, becomes the logits (0, z) of two classes.
    Layers that do nothing at inference (dropout, random changes of the image) are removed.

    Args:
        path: a ``.keras`` or ``.h5`` file.
        input_range: the pixel values that the model expects, a key of ``INPUT_RANGES``.
        trust: also load files that can execute code, such as a Lambda layer.

    Returns:
        A ``keras.Model`` from ``image``, float32 (N, height, width, 3), to ``logits`` (N, classes).

    Raises:
        ModelError: the file is no Keras model, could execute code, or is no image classifier of that many classes.
        UnknownNameError: there is no such input range.
    """
    if input_range not in INPUT_RANGES:
        raise UnknownNameError("input range", input_range, INPUT_RANGES)
    check_keras_file(path, trust=trust)
    try:
        loaded = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # Keras passes on any error of a layer's constructor
        raise ModelError(
            f"Keras {keras.__version__} cannot load '{path}': {first_line(error)}; save it again with this version"
        ) from error
    size = _check_input(path, loaded)
    image = keras.Input((*size, 3), name="image", dtype="float32")
    scale, offset = INPUT_RANGES[input_range]
    value = image if input_range == "0..255" else keras.layers.Rescaling(scale, offset, name="to_input_range")(image)
    try:
        features, head, end = _split_head(path, loaded, value=value)
        model = keras.Model(image, _logits(path, features, head=head, end=end, classes=classes))
    except ValueError as error:
        raise ModelError(f"'{path}' cannot be converted to one flat graph: {first_line(error)}") from error
    model.jit_compile = False
    return model


def _check_input(path: Path, model: Any) -> tuple[int, int]:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3:
        raise ModelError(f"'{path}' has the input shape {shape}; expected one RGB image, (None, height, width, 3)")
    if shape[1] is None or shape[2] is None:
        raise ModelError(f"'{path}' has a variable input size; save it with a fixed height and width")
    return int(shape[1]), int(shape[2])


def _split_head(path: Path, model: Any, *, value: Any) -> tuple[Any, Any, str]:
    """Returns the symbolic input of the last layer with weights, that layer, and the activation at the end."""

    def follow(operation: Any) -> Any:
        if isinstance(operation, keras.Model):
            return lambda taken, **_: run(operation, taken)
        if _does_nothing(operation):
            return lambda taken, **_: taken
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
        raise ModelError(f"'{path}' has the output shape {outputs.shape}; expected (None, classes)")
    last = outputs._keras_history.operation
    end = "softmax" if isinstance(last, keras.layers.Softmax) else ""
    if isinstance(last, keras.layers.Activation) and _activation(last) in ("softmax", "sigmoid", "linear"):
        end = _activation(last)
    if end:
        last = last._inbound_nodes[-1].input_tensors[0]._keras_history.operation
    if type(last) is not keras.layers.Dense or _activation(last) not in ("softmax", "sigmoid", "linear"):
        raise ModelError(
            f"the last layer of '{path}' is {type(last).__name__} '{last.name}'; expected a Dense layer that outputs"
            " logits or probabilities"
        )
    return last._inbound_nodes[-1].input_tensors[0], last, end or _activation(last)


def _does_nothing(operation: Any) -> bool:
    """Returns whether a layer does nothing outside of training."""
    name = type(operation).__name__
    own = type(operation).__module__.startswith("keras.")
    return own and (name.startswith("Random") or "Dropout" in name or name in ("GaussianNoise", "InputLayer"))


def _logits(path: Path, features: Any, *, head: Any, end: str, classes: int) -> Any:
    """Returns the symbolic logits of all classes, computed by a copy of the head without softmax or sigmoid."""
    kernel, *bias = head.get_weights()
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
    dense = keras.layers.Dense(classes, use_bias=bool(bias), name="logits", dtype="float32")
    logits = dense(features)
    dense.set_weights([kernel, *bias])
    return logits


def _activation(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", layer.activation))
