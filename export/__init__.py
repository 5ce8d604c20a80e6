"""Export: a run's Keras model to TFLite and ONNX artifacts, quantized by named recipes."""

from tledge.export.exported import ExportedArtifact, ExportRecord
from tledge.export.exporting import check_request, export

__all__ = ["ExportRecord", "ExportedArtifact", "check_request", "export"]
