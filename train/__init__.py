"""Transfer learning: from a folder of images and a pretrained backbone to a run directory."""

from tledge.train.importing import import_model
from tledge.train.training import train

__all__ = ["import_model", "train"]
