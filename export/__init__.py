"""Export: a run's Keras model to TFLite and ONNX artifacts, quantized by named recipes."""

from tledge.export.exporting import ExportedArtifact, export

__all__ = ["ExportedArtifact", "export"]
