"""Keras files made elsewhere: checked before they are loaded, and brought to the model contract. Imports Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tledge.core.errors import ModelError, UnknownNameError

INPUT_RANGES = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""What a model may take, with the scale and offset that pixel values 0 to 255 get there by."""

RUNS_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "__lambda__")

OWN_MODULES = ("layers", "models", "initializers", "regularizers", "constraints", "dtype_policies", "ops")
"""Of ``keras`` and ``keras.src``: what a model that runs no code is made of."""

OTHER_CLASSES = (("keras", "DTypePolicy"), ("keras", "Functional"), ("keras", "Sequential"), ("builtins", "slice"))

READS_FILES = ("StringLookup", "IntegerLookup", "TextVectorization")


def read_keras_file(path: Path, classes: int, *, input_range: str = "0..255", trust: bool = False) -> Any:
    """Reads an image classifier and brings it to the contract: pixel values 0 to 255 in, logits out, a flat graph.

    A softmax at the end is taken off. A single output, a sigmoid or its logit, becomes the logits (0, z) of two
    classes. Layers that do nothing at inference (dropout, random changes of the image) are left out.

    Args:
        path: a ``.keras`` or ``.h5`` file.
        classes: how many classes the data has.
        input_range: what the model takes, a key of ``INPUT_RANGES``.
        trust: also load what can run code of its own, such as a Lambda layer.

    Returns:
        A ``keras.Model`` from ``image``, float32 (N, height, width, 3), to ``logits`` (N, classes).

    Raises:
        ModelError: no Keras file, one that could run code, or no image classifier with so many classes.
        UnknownNameError: no such input range.
    """
    if input_range not in INPUT_RANGES:
        raise UnknownNameError("input range", input_range, INPUT_RANGES)
    check_keras_file(path, trust)
    try:
        loaded = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # Keras raises whatever a layer's constructor does
        raise ModelError(
            f"Keras {keras.__version__} cannot load '{path}': {_first_line(error)}; save it again with this version"
        ) from error
    size = _check_input(path, loaded)
    image = keras.Input((*size, 3), name="image", dtype="float32")
    scale, offset = INPUT_RANGES[input_range]
    value = image if input_range == "0..255" else keras.layers.Rescaling(scale, offset, name="to_input_range")(image)
    try:
        features, head, end = _split_head(path, loaded, value)
        model = keras.Model(image, _logits(path, features, head, end, classes=classes))
    except ValueError as error:
        raise ModelError(f"'{path}' cannot be brought to one flat graph: {_first_line(error)}") from error
    model.jit_compile = False
    return model


def check_keras_file(path: Path, trust: bool) -> None:
    """Raises ModelError if a file is no Keras model, or if loading or running it could run code of its own."""
    config = _read_config(path)
    if not trust:
        _refuse_code(path, config)


def _read_config(path: Path) -> Any:
    """The description of a model, without loading it."""
    try:
        if path.suffix.lower() in (".h5", ".hdf5"):
            import h5py

            with h5py.File(path) as file:
                return json.loads(file.attrs["model_config"])
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except FileNotFoundError as error:
        raise ModelError(f"no model '{path}': give a .keras or .h5 file that Keras has saved") from error
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"'{path}' is no whole Keras model ({_first_line(error)}): give a .keras or .h5 file from model.save(), not"
            " one of weights alone"
        ) from error


def _refuse_code(path: Path, config: Any) -> None:
    """Raises ModelError if loading or running a model would run code that is not Keras' own."""
    for part in _described_objects({key: value for key, value in config.items() if key != "compile_config"}):
        name, module = str(part["class_name"]), part.get("module")
        registered = str(part.get("registered_name") or "")
        function = name == "function"
        plain = name.isidentifier() and name not in (*RUNS_CODE, *READS_FILES) and not function
        if not plain or ">" in registered or not _is_own(module, name):
            what = part.get("config") if function else registered if ">" in registered else name
            raise ModelError(
                f"'{path}' holds {what!r}, which could do anything on this machine: it was not loaded. Replace it by"
                " Keras' own layers; or, if you trust whoever made the file, pass --trust-model"
            )


def _is_own(module: Any, name: str) -> bool:
    """Whether a class is one of Keras' own that only computes; older files name no modules."""
    if module is None or (module, name) in OTHER_CLASSES:
        return True
    parts = [part for part in str(module).split(".") if part != "src"]
    return parts[0] == "keras" and len(parts) > 1 and parts[1] in OWN_MODULES


def _described_objects(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        for value in config.values():
            yield from _described_objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _described_objects(value)


def _check_input(path: Path, model: Any) -> tuple[int, int]:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3:
        raise ModelError(f"'{path}' takes {shape}, not one RGB image: expected (None, height, width, 3)")
    if shape[1] is None or shape[2] is None:
        raise ModelError(f"'{path}' takes images of any size: save it with a fixed height and width")
    return int(shape[1]), int(shape[2])


def _split_head(path: Path, model: Any, value: Any) -> tuple[Any, Any, str]:
    """What goes into the last layer that has weights, symbolically, that layer, and the activation at the very end."""

    def follow(operation: Any) -> Any:
        if isinstance(operation, keras.Model):
            return lambda taken, **_: run(operation, taken)
        if _does_nothing(operation):
            return lambda taken, **_: taken
        return operation

    def run(part: Any, taken: Any) -> Any:
        function = part._functional if isinstance(part, keras.Sequential) else part
        if not hasattr(function, "_run_through_graph"):
            raise ModelError(f"'{path}' is a subclassed model: its graph cannot be read; save a functional one")
        outputs = function._run_through_graph([taken], operation_fn=follow)
        if isinstance(outputs, list | tuple) and len(outputs) == 1:
            outputs = outputs[0]
        if not isinstance(outputs, keras.KerasTensor):
            raise ModelError(f"'{path}' gives several outputs ('{part.name}'), not one row of numbers a photo")
        return outputs

    outputs = run(model, value)
    if len(outputs.shape) != 2:
        raise ModelError(f"'{path}' gives {outputs.shape}, not one row of numbers a photo: (None, classes)")
    last = outputs._keras_history.operation
    end = "softmax" if isinstance(last, keras.layers.Softmax) else ""
    if isinstance(last, keras.layers.Activation) and _activation(last) in ("softmax", "sigmoid", "linear"):
        end = _activation(last)
    if end:
        last = last._inbound_nodes[-1].input_tensors[0]._keras_history.operation
    if type(last) is not keras.layers.Dense or _activation(last) not in ("softmax", "sigmoid", "linear"):
        raise ModelError(
            f"'{path}' ends in {type(last).__name__} '{last.name}', not in one Dense layer of logits or probabilities:"
            " it is no image classifier that tledge knows"
        )
    return last._inbound_nodes[-1].input_tensors[0], last, end or _activation(last)


def _does_nothing(operation: Any) -> bool:
    """Whether a layer gives what it takes, outside of training."""
    name = type(operation).__name__
    own = type(operation).__module__.startswith("keras.")
    return own and (name.startswith("Random") or "Dropout" in name or name in ("GaussianNoise", "InputLayer"))


def _logits(path: Path, features: Any, head: Any, end: str, *, classes: int) -> Any:
    """The logits of all classes, by a copy of the head without its softmax."""
    kernel, *bias = head.get_weights()
    units = kernel.shape[-1]
    if units == 1 and classes == 2:
        kernel = np.concatenate([np.zeros_like(kernel), kernel], axis=1)
        bias = [np.concatenate([np.zeros_like(values), values]) for values in bias]
    elif units != classes:
        raise ModelError(
            f"'{path}' tells {units} classes apart, the data has {classes} folders of photos: give the data that it was"
            " trained on"
        )
    elif end == "sigmoid":
        raise ModelError(f"'{path}' ends in {units} independent sigmoids (several labels a photo), not in one class")
    dense = keras.layers.Dense(classes, use_bias=bool(bias), name="logits", dtype="float32")
    logits = dense(features)
    dense.set_weights([kernel, *bias])
    return logits


def _activation(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", layer.activation))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
