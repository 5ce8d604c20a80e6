"""Training with TensorFlow Model Optimization, which only supports tf_keras: each training runs in a child process.

The child gets the Keras model's layer graph and weights (``graph``), rebuilds it in tf_keras (``legacy_model``) and
trains it with fake quantization (``fake_quantization``) or magnitude pruning (``pruning``). It returns the weights
under the Keras model's layer names.
"""

from tledge.export.tfmot.job import TuningOptions
from tledge.export.tfmot.trained_models import PrunedModel, QuantizedModel, prune, train_quantized, with_weights

__all__ = ["PrunedModel", "QuantizedModel", "TuningOptions", "prune", "train_quantized", "with_weights"]
