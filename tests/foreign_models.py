"""Real models in the manner of others: what tledge did not export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def keras_classifier(size: int, channels: int, classes: int, last: str | None, seed: int = 0) -> Any:
    """A tiny Keras model with float input, of random weights; ``last`` is the activation of its output."""
    import keras

    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, channels))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(classes, kernel_initializer=keras.initializers.RandomNormal(stddev=3.0))(x)
    return keras.Model(image, keras.layers.Activation(last)(x) if last else x)


def write_tflite(path: Path, model: Any, calibration: Any = None) -> Path:
    """Converts with TensorFlow's converter; to int8, input and output too, where images calibrate it."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())
    return path


def write_onnx(
    path: Path, *, size: int | str = 24, classes: int = 4, batch: int | str = 1, last: str = "", inputs: int = 1
) -> Path:
    """A PyTorch-like export: float32 NCHW in, logits out, unless ``last`` names an operator after them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(5)
    weights = {
        "conv.weight": rng.normal(0, 0.4, (8, 3, 3, 3)),
        "fc.weight": rng.normal(0, 1.5, (8, classes)),
        "fc.bias": rng.normal(0, 0.3, classes),
    }
    nodes = [
        helper.make_node("Conv", ["input", "conv.weight"], ["conv"], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"]),
        *([helper.make_node(last, ["logits"], ["answer"])] if last else []),
    ]
    images = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, size, size])]
    images += [helper.make_tensor_value_info(f"more{i}", TensorProto.FLOAT, [1, 7]) for i in range(1, inputs)]
    output = helper.make_tensor_value_info("answer" if last else "logits", TensorProto.FLOAT, [batch, classes])
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "main", images, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
