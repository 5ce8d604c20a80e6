"""Shows what the network sees; ``visualize/kinds`` holds one module per kind of picture."""

from tledge.visualize.visualize_api import VisualizeRecord, visualize

__all__ = ["VisualizeRecord", "visualize"]
