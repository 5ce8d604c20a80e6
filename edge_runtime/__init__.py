"""Runs artifacts: all that a device needs.

from tledge.edge_runtime import Classifier

classifier = Classifier("int8.tflite", target="litert:cpu:2")
classifier.classify("photo.jpg", top=3)
"""

from tledge.edge_runtime.classifier import Classifier, Prediction
from tledge.edge_runtime.runtime import targets_of_this_machine
from tledge.edge_runtime.target import Target

__all__ = ["Classifier", "Prediction", "Target", "targets_of_this_machine"]
