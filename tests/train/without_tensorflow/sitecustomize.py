"""Makes a Python process one in which TensorFlow is not installed."""

import sys

sys.modules["tensorflow"] = None
