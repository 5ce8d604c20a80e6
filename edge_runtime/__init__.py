"""Runs artifacts: everything that a device needs.

from tledge.edge_runtime import Classifier

classifier = Classifier("int8.tflite", target="litert:cpu:2")
classifier.classify("photo.jpg", top=3)
"""

from tledge.core import word_size

word_size.check_word_size()  # before any compiled library is imported

from tledge.edge_runtime.classifier import Classifier, Prediction  # noqa: E402
from tledge.edge_runtime.runtime import targets_of_this_machine  # noqa: E402
from tledge.edge_runtime.target import Target  # noqa: E402

__all__ = ["Classifier", "Prediction", "Target", "targets_of_this_machine"]
