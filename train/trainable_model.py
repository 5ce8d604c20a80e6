"""The copy of a classifier that is trained: its precision, frozen layers, optimizer and loss. Imports Keras."""

from __future__ import annotations

from typing import Any

import keras

from tledge.train.adversarial_batches import AdversarialModel
from tledge.train.backbone import BACKBONES
from tledge.train.backend import should_jit_compile
from tledge.train.model import build_classifier, freeze_before
from tledge.train.step_schedules import cosine_schedule
from tledge.train.train_settings import Settings

MOMENTUM = 0.9
"""Momentum of the batch norms' moving statistics in full training. Keras' 0.99 to 0.999 needs thousands of steps to
settle; training on a small data set takes hundreds."""

NOT_DECAYED = ("bias", "gamma", "beta")
"""Variables without weight decay: it regularizes kernels only."""


def build_trainable_model(settings: Settings, model: Any, steps: int) -> Any:
    """Builds and compiles a copy of a classifier in the precision of the settings.

    Args:
        model: the float32 classifier whose weights the copy starts with.
        steps: steps of one epoch.
    """
    backbone = BACKBONES.load(settings.backbone)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        trainable = build_classifier(backbone, settings.image_size, model.output.shape[-1], alpha=settings.alpha)
    finally:
        keras.config.set_dtype_policy(policy)
    trainable.set_weights(model.get_weights())
    all_steps = settings.epochs * steps
    if settings.adversarial is not None:
        trainable = AdversarialModel(trainable, eps=settings.adversarial, steps=all_steps, seed=settings.seed)
    if settings.fine_tune:
        freeze_before(trainable, backbone.first_layer_of(settings.fine_tune_from))
    else:
        for layer in trainable.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = MOMENTUM
    optimizer = keras.optimizers.AdamW(
        cosine_schedule(settings.learning_rate, steps=all_steps, warm_up=settings.warm_up),
        weight_decay=settings.weight_decay,
        use_ema=settings.fine_tune,  # in full training, the batch norms' statistics would not fit averaged weights
        ema_momentum=average_momentum(steps),
    )
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    trainable.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="top1"),
            keras.metrics.CategoricalCrossentropy(from_logits=True, name="plain_loss"),  # as the validation loss is
        ],
        jit_compile=should_jit_compile(),
    )
    trainable.optimizer.build(trainable.trainable_variables)  # within the first step, TensorFlow would trace it twice
    return trainable


def average_momentum(steps: int) -> float:
    """Returns the momentum of a moving average over about one epoch of ``steps`` steps."""
    return min(max(1 - 1 / steps, 0.8), 0.999)


def averaged_weights(model: Any) -> list[Any]:
    """Returns a model's weights; trainable ones are replaced by the optimizer's moving averages of them."""
    weights: list[Any] = model.get_weights()
    indices = {id(variable): index for index, variable in enumerate(model.weights)}
    averages = [variable for variable in model.optimizer.variables if variable.name.endswith("_average")]
    for variable, average in zip(model.trainable_variables, averages, strict=True):
        weights[indices[id(variable)]] = keras.ops.convert_to_numpy(average)
    return weights
