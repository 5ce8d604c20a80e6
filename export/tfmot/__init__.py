"""Training with TensorFlow Model Optimization, which knows tf_keras alone: each in a process of its own.

The Keras model's layer graph and weights are handed to the child process as files (``graph``), rebuilt there in
tf_keras (``legacy_model``) and trained with fake quantization (``quantization``) or magnitude pruning (``pruning``);
its weights come back by the Keras model's own layer names.
"""

from tledge.export.tfmot.trained_models import (
    Pruned,
    Quantized,
    compressed_size,
    prune,
    train_quantized,
    with_weights,
)

__all__ = ["Pruned", "Quantized", "compressed_size", "prune", "train_quantized", "with_weights"]
