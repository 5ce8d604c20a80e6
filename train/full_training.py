"""Full training: every layer learns, from random weights. Imports Keras."""

from __future__ import annotations

from typing import Any

import keras

from tledge.core.progress import Progress
from tledge.core.splits import Splits
from tledge.train.backend import use_xla
from tledge.train.epochs import Epoch, Recorder
from tledge.train.image_batches import ImageBatches
from tledge.train.settings import Settings

PHASE = "full training"
MOMENTUM = 0.9
"""Of the batch norms' moving statistics: Keras' 0.99 to 0.999 needs thousands of steps to settle, and a
small data set has hundreds."""

SHIFT = 0.08
"""How far training images are moved at random, as a fraction of their size."""


def train_fully(model: Any, splits: Splits, settings: Settings, progress: Progress) -> list[Epoch]:
    """Trains all layers of a classifier; the weights with the best validation loss are kept.

    Args:
        model: as ``train.model.assemble`` builds it.
        splits: the images.
        settings: of the run.
        progress: is told of it.

    Returns:
        The epochs.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    train, validation = (
        ImageBatches(
            splits,
            samples,
            size=settings.input_size,
            resize=settings.resize,
            batch_size=settings.batch_size,
            seed=settings.seed,
            shift=shift,
        )
        for samples, shift in ((splits.train, SHIFT), (splits.validation, 0.0))
    )
    steps = settings.epochs * len(train)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=steps, warmup_target=settings.learning_rate, warmup_steps=max(1, steps // 20)
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-4)
    optimizer.build(model.trainable_variables)  # within the first step, it would make TensorFlow trace that twice
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="top1")],
        jit_compile=use_xla(),
    )
    with progress.step("Full training", settings.epochs, "epochs") as step:
        recorder = Recorder(PHASE, step)
        best = keras.callbacks.EarlyStopping("val_loss", patience=settings.epochs, restore_best_weights=True)
        model.fit(train, validation_data=validation, epochs=settings.epochs, callbacks=[recorder, best], verbose=0)
    return recorder.epochs
