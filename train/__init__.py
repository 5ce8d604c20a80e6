"""Transfer learning: from a folder of images and a pretrained backbone to a run directory."""

from tledge.train.imported_model import import_model
from tledge.train.train_api import train

__all__ = ["import_model", "train"]
