"""Linear probe: the backbone stays frozen, its features are computed once, and the head is trained on them.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tledge.core.loading import batches
from tledge.core.progress import Progress
from tledge.core.splits import Sample, Splits
from tledge.train.backend import use_xla
from tledge.train.epochs import Epoch, Recorder
from tledge.train.model import features_of
from tledge.train.settings import Settings

PHASE = "linear probe"
PATIENCE = 10
"""Epochs without a better validation loss after which the head is done."""

L2 = 0.03
"""The weight of the kernel's squared length in the loss: there are about as many features as images."""

Features = npt.NDArray[np.float32]


def train_linear_probe(model: Any, splits: Splits, settings: Settings, progress: Progress) -> list[Epoch]:
    """Trains the layer ``logits`` of a classifier and nothing else.

    Args:
        model: as ``train.model.assemble`` builds it; its head's weights are replaced.
        splits: the images.
        settings: of the run.
        progress: is told of it.

    Returns:
        The epochs of the head.
    """
    backbone = features_of(model)
    computed: list[Features] = []
    total = len(splits.train) + len(splits.validation)
    with progress.step("Linear probe: features", total, "images") as step:
        for samples in (splits.train, splits.validation):
            parts: list[Features] = []
            for batch in batches(splits.paths(samples), settings.input_size, settings.resize, settings.batch_size):
                parts.append(backbone.predict_on_batch(batch.astype(np.float32)))
                step.advance(len(batch))
            computed.append(np.concatenate(parts))
    train, validation = computed
    with progress.step("Linear probe: head", settings.epochs, "epochs") as step:
        recorder = Recorder(PHASE, step)
        kernel, bias = _fit_head(
            (train, _labels(splits.train)),
            (validation, _labels(splits.validation)),
            classes=len(splits.class_names),
            settings=settings,
            recorder=recorder,
        )
    model.get_layer("logits").set_weights([kernel, bias])
    return recorder.epochs


def _labels(samples: Sequence[Sample]) -> npt.NDArray[np.int32]:
    return np.array([sample.label for sample in samples], np.int32)


def _fit_head(
    train: tuple[Features, npt.NDArray[np.int32]],
    validation: tuple[Features, npt.NDArray[np.int32]],
    *,
    classes: int,
    settings: Settings,
    recorder: Recorder,
) -> tuple[Features, Features]:
    """The best kernel (channels, classes) and bias (classes,) by validation loss.

    The head learns on standardized features, since those of VGG are hundreds of times larger than those of
    MobileNet; mean and deviation are then folded into its weights.
    """
    mean = train[0].mean(axis=0)
    deviation = train[0].std(axis=0)
    deviation = np.maximum(deviation, 0.01 * deviation.mean() + np.finfo(np.float32).tiny)  # for channels that are dead
    head = keras.Sequential(
        [
            keras.Input(train[0].shape[1:]),
            keras.layers.Dense(classes, kernel_initializer="zeros", kernel_regularizer=keras.regularizers.L2(L2)),
        ]
    )
    head.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="top1")],
        jit_compile=use_xla(),
    )
    stop = keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True)
    head.fit(
        (train[0] - mean) / deviation,
        train[1],
        validation_data=((validation[0] - mean) / deviation, validation[1]),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        callbacks=[recorder, stop],
        verbose=0,
    )
    kernel, bias = head.get_weights()
    folded = kernel / deviation[:, np.newaxis]
    return folded, bias - mean @ folded
