"""Copies of Keras models. Imports Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


def copy_model(model: Any, names: Mapping[str, str] | None = None) -> Any:
    """Returns a copy of a model with the same state, which is not all in ``get_weights``.

    An adapted Normalization computes with statistics that it derives from its weights when it is loaded. Each layer's
    state is therefore copied as Keras saves and loads it.

    Args:
        model: a functional ``keras.Model``.
        names: new names of its layers, by their names; the others keep theirs.
    """
    pairs: list[tuple[Any, Any]] = []

    def copy(operation: Any) -> Any:
        name = (names or {}).get(operation.name, operation.name)
        made = type(operation).from_config({**operation.get_config(), "name": name})
        pairs.append((operation, made))
        return made

    copied = keras.models.clone_model(model, clone_function=copy)
    for source, made in pairs:
        if isinstance(source, keras.layers.Layer):
            _copy_state(source, made)
    return copied


def _copy_state(source: Any, made: Any) -> None:
    parts, copies = (list(layer._flatten_layers()) for layer in (source, made))  # a layer with its inner layers
    for part, copy in zip(parts, copies, strict=True):
        state: dict[str, Any] = {}
        part.save_own_variables(state)
        if state:
            copy.load_own_variables(state)
