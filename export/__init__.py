"""Export: a run's Keras model to TFLite and ONNX artifacts, quantized by named recipes."""

from typing import TYPE_CHECKING

from tledge.core.lazy_exports import lazy_names
from tledge.export.export_options import ExportOptions

if TYPE_CHECKING:
    from tledge.export.export_api import check_request, export, require_formats
    from tledge.export.export_record import ExportedArtifact, ExportRecord
    from tledge.export.keras_parity import ArtifactRejectedError

__all__ = [
    "ArtifactRejectedError",
    "ExportOptions",
    "ExportRecord",
    "ExportedArtifact",
    "check_request",
    "export",
    "require_formats",
]

__getattr__ = lazy_names(
    __name__,
    {
        "ArtifactRejectedError": "tledge.export.keras_parity",
        "ExportRecord": "tledge.export.export_record",
        "ExportedArtifact": "tledge.export.export_record",
        "check_request": "tledge.export.export_api",
        "export": "tledge.export.export_api",
        "require_formats": "tledge.export.export_api",
    },
)
