"""tfmot's magnitude pruning of a tf_keras model. Imports TensorFlow: for the child process."""

from __future__ import annotations

from typing import Any

import tensorflow_model_optimization as tfmot
import tf_keras

from tledge.export.tfmot.graph import Graph, Weights
from tledge.export.tfmot.job import Job, SparsityRamp
from tledge.export.tfmot.legacy_model import build

_sparsity = tfmot.sparsity.keras
_PRUNED = ("Conv2D", "Dense")


class Pruning:
    """A model whose kernels become sparse during training.

    Args:
        fixed: layers that keep their weights.

    Attributes:
        model: a ``tf_keras.Model``; its pruned layers are wrapped.
        first_full_epoch: the first epoch that ends with the full sparsity.
    """

    def __init__(self, graph: Graph, job: Job, fixed: frozenset[str]) -> None:
        self.pruned = tuple(node.name for node in graph.nodes if node.kind in _PRUNED and node.name not in fixed)
        ramp = SparsityRamp.of_job(job)
        self.first_full_epoch = ramp.first_full_epoch
        if ramp.end:
            schedule = _sparsity.PolynomialDecay(
                0.0, job.sparsity, begin_step=0, end_step=ramp.end, frequency=ramp.frequency
            )
        else:
            schedule = _sparsity.ConstantSparsity(job.sparsity, begin_step=0, frequency=ramp.frequency)

        def wrap(layer: Any) -> Any:
            if layer.name not in self.pruned:
                return layer
            return _sparsity.prune_low_magnitude(layer, pruning_schedule=schedule)

        plain = build(graph)
        for layer in plain.layers:
            if isinstance(layer, tf_keras.layers.BatchNormalization):
                layer.trainable = False  # keep its statistics
        self.model = tf_keras.models.clone_model(plain, clone_function=wrap)
        for layer in self.model.layers:
            inner = getattr(layer, "layer", layer)
            inner.set_weights(plain.get_layer(inner.name).get_weights())
        self.model.compile(optimizer="sgd")  # the callback reads the number of the first step from the optimizer
        self._callback = _sparsity.UpdatePruningStep()
        self._callback.set_model(self.model)
        self._callback.on_train_begin()

    def before_step(self) -> None:
        """Counts a training step."""
        self._callback.on_train_batch_begin(batch=-1)

    def after_epoch(self) -> None:
        """Sets the pruned weights, which the last step has changed, back to zero."""
        self._callback.on_epoch_end(batch=-1)

    def weights(self) -> Weights:
        """Returns the weights of all layers, by name."""
        stripped = _sparsity.strip_pruning(self.model)
        return {layer.name: layer.get_weights() for layer in stripped.layers if layer.weights}
