"""Common corruptions of photos: the 15 of ImageNet-C and 6 of edge cameras.

Each is a function of one photo, a severity from 1 to 5 and a random generator, in the module of its family: ``noise``,
``blur``, ``weather``, ``digital`` and ``edge_camera``. They need only NumPy and Pillow, so that a device can corrupt
its own photos.
"""

from tledge.attacks.corruptions.corruption import CORRUPTIONS, EDGE_CORRUPTIONS, SEVERITIES, corrupt
from tledge.attacks.corruptions.mean_corruption_error import MeanCorruptionError, mean_corruption_error

__all__ = [
    "CORRUPTIONS",
    "EDGE_CORRUPTIONS",
    "SEVERITIES",
    "MeanCorruptionError",
    "corrupt",
    "mean_corruption_error",
]
