"""tfmot's magnitude pruning of a tf_keras model. Imports TensorFlow: for the child process."""

from __future__ import annotations

from typing import Any

import tensorflow_model_optimization as tfmot
import tf_keras

from tledge.export.tfmot.graph import Graph, Weights
from tledge.export.tfmot.job import Job
from tledge.export.tfmot.legacy_model import build

RAMP = 0.5
"""The share of the training over which zeros become more."""

CHANGES = 20
"""How often the share of zeros grows."""

_sparsity = tfmot.sparsity.keras
_PRUNED = ("Conv2D", "Dense")


class Pruning:
    """A model whose kernels become sparse.

    Args:
        graph: the float model.
        job: how sparse, and in how many steps.
        fixed: layers that are left as they are.

    Attributes:
        model: a ``tf_keras.Model``; its pruned layers are wrapped.
        pruned: the names of the pruned layers.
        first_full_epoch: the first epoch after which the wanted share is zero.
    """

    def __init__(self, graph: Graph, job: Job, fixed: frozenset[str]) -> None:
        self.pruned = tuple(node.name for node in graph.nodes if node.kind in _PRUNED and node.name not in fixed)
        steps_an_epoch = -(-len(job.train.paths) // job.batch_size)
        frequency = max(1, int(RAMP * steps_an_epoch * job.epochs) // CHANGES)
        ramp = frequency * CHANGES  # the share is only brought up to date in steps that the frequency divides
        if ramp < steps_an_epoch * job.epochs:
            self.first_full_epoch = ramp // steps_an_epoch + 1
            schedule = _sparsity.PolynomialDecay(
                initial_sparsity=0.0, final_sparsity=job.sparsity, begin_step=0, end_step=ramp, frequency=frequency
            )
        else:  # too few steps to go slowly
            self.first_full_epoch = 1
            schedule = _sparsity.ConstantSparsity(job.sparsity, begin_step=0, frequency=1)

        def wrap(layer: Any) -> Any:
            if layer.name not in self.pruned:
                return layer
            return _sparsity.prune_low_magnitude(layer, pruning_schedule=schedule)

        plain = build(graph)
        for layer in plain.layers:
            if isinstance(layer, tf_keras.layers.BatchNormalization):
                layer.trainable = False  # its statistics stay
        self.model = tf_keras.models.clone_model(plain, clone_function=wrap)
        for layer in self.model.layers:
            inner = getattr(layer, "layer", layer)
            inner.set_weights(plain.get_layer(inner.name).get_weights())
        self.model.compile(optimizer="sgd")  # the callback looks there for the number of the first step
        self._callback = _sparsity.UpdatePruningStep()
        self._callback.set_model(self.model)
        self._callback.on_train_begin()

    def before_step(self) -> None:
        """Counts a step of training."""
        self._callback.on_train_batch_begin(batch=-1)

    def after_epoch(self) -> None:
        """Sets to zero what the last step has moved."""
        self._callback.on_epoch_end(batch=-1)

    def weights(self) -> Weights:
        """The weights of all layers, by name."""
        stripped = _sparsity.strip_pruning(self.model)
        return {layer.name: layer.get_weights() for layer in stripped.layers if layer.weights}
