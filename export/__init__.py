"""Export: a run's Keras model to TFLite and ONNX artifacts, quantized by named recipes."""

from tledge.export.export_api import check_request, export
from tledge.export.export_record import ExportedArtifact, ExportRecord

__all__ = ["ExportRecord", "ExportedArtifact", "check_request", "export"]
