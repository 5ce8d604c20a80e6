"""A Keras model as one TensorFlow function without variables, and its TFLite converter. Imports TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def freeze(model: Any, dtype: str, batch: int | None) -> Any:
    """Freezes a model's inference into a function without variables.

    Converting it to TFLite is three times faster than ``from_keras_model``, which writes a SavedModel to disk.

    Args:
        model: a ``keras.Model`` from float32 RGB pixel values 0 to 255 (N, height, width, 3) to logits.
        dtype: of the function's input, "uint8" or "float32".
        batch: the batch size; None for any.

    Returns:
        A ``tf.function`` from ``image`` to a dictionary with ``logits``.
    """
    signature = tf.TensorSpec((batch, *model.input.shape[1:]), dtype, name="image")

    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def infer(image: Any) -> Any:
        return model(tf.cast(image, tf.float32), training=False)

    frozen = convert_variables_to_constants_v2(infer.get_concrete_function())

    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def classify(image: Any) -> Any:
        return {"logits": frozen(image)[0]}

    return classify


def make_converter(model: Any) -> Any:
    """Returns a converter of a model's inference from float32 ``image`` (1, height, width, 3) to ``logits``."""
    function = freeze(model, "float32", batch=1)
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
