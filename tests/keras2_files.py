"""Writes files of Keras 2, by tf_keras; run as a program in a process of its own: ``keras2_files.py FOLDER NAME ...``.

``NAME`` is one of ``KINDS`` or ``application:NAME``, and what follows the last dot is the suffix ("norm.keras").
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE, CLASSES = 32, 3


def write_keras2(folder: Path, *names: str) -> list[Path]:
    """Writes the files in a child process, since tf_keras and Keras 3 do not share one; returns their paths."""
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, __file__, str(folder), *names], check=True, env=environment, capture_output=True)
    return [folder / name.replace(":", "_") for name in names]


def _functional(middle: Callable[[Any, Any], Any], end: str | None = "softmax", channels: int = 3) -> Any:
    """A classifier of ``middle``, a function of tf_keras and the image."""
    import tf_keras

    layers = tf_keras.layers
    image = layers.Input((SIZE, SIZE, channels))
    x = layers.Conv2D(4, 3, strides=2)(middle(tf_keras, image))
    x = layers.BatchNormalization(axis=[3])(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU(max_value=6.0)(x))
    return tf_keras.Model(image, layers.Dense(CLASSES, activation=end)(x))


def _augmented(keras: Any, x: Any) -> Any:
    layers = keras.layers
    for layer in (
        layers.RandomFlip(),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.RandomContrast(0.1),
        layers.RandomBrightness(0.1),
        layers.RandomTranslation(0.1, 0.1),
        layers.GaussianNoise(0.1),
        layers.Rescaling(1 / 255),
    ):
        x = layer(x)
    return x


def _teachable_machine() -> Any:
    """A Sequential of a Sequential of a functional model, as Teachable Machine writes it, with ``groups`` of 1."""
    import tf_keras

    layers = tf_keras.layers
    image = layers.Input((SIZE, SIZE, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(image)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
    inner = tf_keras.Model(image, layers.Conv2D(8, 1)(x))
    features = tf_keras.Sequential([inner, layers.GlobalAveragePooling2D()])
    head = tf_keras.Sequential(
        [layers.Dense(10, activation="relu", input_shape=(8,)), layers.Dense(CLASSES, "softmax")]
    )
    return tf_keras.Sequential([features, head])


def _activations(keras: Any, x: Any) -> Any:
    layers = keras.layers
    x = layers.Rescaling(1 / 64, -2.0)(x)
    found = [
        layers.Conv2D(2, 1, activation=name)(x) for name in ("swish", "hard_sigmoid", "gelu", "elu", "tanh", "mish")
    ]
    found += [layers.LeakyReLU(alpha=0.2)(x), layers.ThresholdedReLU(0.5)(x), layers.PReLU(shared_axes=[1, 2])(x)]
    found += [layers.Activation("hard_sigmoid")(x), layers.Activation(keras.activations.softplus)(x)]
    found += [layers.LayerNormalization()(x), layers.UnitNormalization()(x)]
    return layers.Concatenate()(found)


def _layers(keras: Any, x: Any) -> Any:
    """Layers of NASNet, Inception-ResNet and ConvNeXt, and others."""
    from tf_keras.src.applications import convnext, inception_resnet_v2

    layers = keras.layers
    x = layers.SeparableConv2D(4, 3, padding="same")(layers.Rescaling(1 / 64, -2.0)(x))
    x = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.AveragePooling2D(3, 2, "same")(x))
    x = layers.Conv2DTranspose(4, 3, padding="same")(layers.MaxPooling2D(2, 1, "same")(x))
    x = convnext.StochasticDepth(0.5)(convnext.LayerScale(0.5, 4)(layers.SpatialDropout2D(0.5)(x)))
    x = inception_resnet_v2.CustomScaleLayer(scale=0.2)([x, layers.Conv2D(4, 3, padding="same", groups=2)(x)])
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalMaxPooling2D(keepdims=True)(x))
    x = layers.Permute((2, 1, 3))(layers.Multiply()([x, layers.Reshape((1, 1, 4))(gate)]))
    found = [layers.Maximum()([x, -x]), layers.Average()([x, gate]), layers.Subtract()([x, gate])]
    return layers.Concatenate()([*found, layers.Resizing(SIZE, SIZE)(layers.CenterCrop(20, 20)(x))])


def _functions(keras: Any, x: Any) -> Any:
    import tensorflow as tf

    x = 1.0 - tf.cast(x, tf.float32) / 255.0
    x = tf.concat(tf.split(x, 3, axis=-1)[::-1], -1) * tf.constant([0.5, 1.0, 2.0])
    x = tf.stack(tf.unstack(x, axis=-1), -1) - tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    x = tf.clip_by_value(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), -1.0, 1.0) ** 2
    x = tf.image.resize(tf.gather(x, [2, 1, 0], axis=-1), (17, 17))
    x = tf.nn.silu(x) + tf.nn.relu6(x) + tf.sigmoid(x) + tf.nn.leaky_relu(-x, alpha=0.1) + tf.maximum(x, 0.2)
    return tf.transpose(tf.squeeze(tf.expand_dims(x, 1), [1]), [0, 2, 1, 3])[:, 1:, :-1]


def _adapted(keras: Any, x: Any) -> Any:
    import numpy as np

    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal((120, 110, 90), (60, 50, 40), (32, 8, 8, 3)).astype(np.float32))
    return layer(x)


def _mixed() -> Any:
    import tf_keras

    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return _functional(lambda keras, x: keras.layers.Rescaling(1 / 255)(x))
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")


def _twice() -> Any:
    """A model that uses another one and a layer twice."""
    import tf_keras

    layers = tf_keras.layers
    image = layers.Input((SIZE, SIZE, 3))
    inner = tf_keras.Sequential([layers.Conv2D(3, 3, padding="same", activation="relu", input_shape=(SIZE, SIZE, 3))])
    again = layers.Conv2D(3, 1)
    x = layers.Add()([inner(image), again(inner(again(layers.Rescaling(1 / 255)(image))))])
    return tf_keras.Model(image, layers.Dense(CLASSES)(layers.Flatten()(x)))


def _compiled() -> Any:
    import numpy as np

    model = _functional(lambda keras, x: keras.layers.Rescaling(1 / 255)(x))
    model.compile("adam", loss=lambda wanted, given: (wanted - given) ** 2)
    model.fit(np.zeros((4, SIZE, SIZE, 3), np.float32), np.zeros((4, CLASSES), np.float32), verbose=0)
    return model


def _custom() -> Any:
    import tf_keras

    class Mine(tf_keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x / 255

    return _functional(lambda keras, x: Mine()(x))


def _per_image(keras: Any, x: Any) -> Any:
    import tensorflow as tf

    return tf.image.per_image_standardization(x)


def _preprocess(module: str) -> Callable[[], Any]:
    return lambda: _functional(lambda keras, x: getattr(keras.applications, module).preprocess_input(x))


def _sequential() -> Any:
    import tf_keras

    layers = tf_keras.layers
    first = [layers.RandomFlip(input_shape=(SIZE, SIZE, 3)), layers.Rescaling(1 / 255)]
    return tf_keras.Sequential([*first, layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(CLASSES, "softmax")])


KINDS: dict[str, Callable[[], Any]] = {
    "activations": lambda: _functional(_activations),
    "adapted": lambda: _functional(_adapted),
    "augmented": lambda: _functional(_augmented),
    "caffe": _preprocess("resnet"),
    "compiled": _compiled,
    "custom": _custom,
    "functions": lambda: _functional(_functions, end=None),
    "given": lambda: _functional(lambda keras, x: keras.layers.Normalization(mean=[9, 8, 7], variance=[6, 5, 4])(x)),
    "lambda": lambda: _functional(lambda keras, x: keras.layers.Lambda(lambda y: abs(y / 32 - 4))(x)),
    "layers": lambda: _functional(_layers),
    "mixed": _mixed,
    "other_lambda": lambda: _functional(lambda keras, x: keras.layers.Lambda(lambda y: y // 32)(x)),
    "per_image": lambda: _functional(_per_image),
    "sequential": _sequential,
    "teachable_machine": _teachable_machine,
    "tf": _preprocess("mobilenet_v2"),
    "torch": _preprocess("densenet"),
    "twice": _twice,
}


def _application(name: str) -> Any:
    import tf_keras

    size = {"NASNetMobile": 32, "Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}.get(name, SIZE)
    options: dict[str, Any] = (
        {"alpha": 0.25} if name == "MobileNet" else {"alpha": 0.35} if name == "MobileNetV2" else {}
    )
    return getattr(tf_keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation="softmax", **options
    )


def _write(path: Path, name: str) -> None:
    import numpy as np
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    kind = name.rpartition(".")[0]
    model = _application(kind.partition(":")[2]) if ":" in kind else KINDS[kind]()
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():  # so that a swapped or a lost statistic shows
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.8, 1.2, values.shape) for values in layer.get_weights()])
    model.save(path)


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        _write(Path(sys.argv[1]) / wanted.replace(":", "_"), wanted)
