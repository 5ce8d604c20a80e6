"""Transfer learning: from a folder of images and a pretrained backbone to a run directory."""

from typing import TYPE_CHECKING

from tledge.core.lazy_exports import lazy_names
from tledge.train.train_options import TrainOptions

if TYPE_CHECKING:
    from tledge.train.imported_model import import_model
    from tledge.train.train_api import train

__all__ = ["TrainOptions", "import_model", "train"]

__getattr__ = lazy_names(__name__, {"import_model": "tledge.train.imported_model", "train": "tledge.train.train_api"})
