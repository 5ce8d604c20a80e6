"""Shows what the network sees; ``visualize/kinds`` holds one module per kind of picture."""

from typing import TYPE_CHECKING

from tledge.core.lazy_exports import lazy_names
from tledge.visualize.visualize_options import VisualizeOptions

if TYPE_CHECKING:
    from tledge.visualize.visualize_api import VisualizeRecord, visualize

__all__ = ["VisualizeOptions", "VisualizeRecord", "visualize"]

__getattr__ = lazy_names(
    __name__,
    {"VisualizeRecord": "tledge.visualize.visualize_api", "visualize": "tledge.visualize.visualize_api"},
)
