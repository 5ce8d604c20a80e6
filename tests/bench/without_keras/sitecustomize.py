"""Makes a fresh interpreter believe that Keras is not installed."""

import sys

for name in ("keras", "tensorflow"):
    sys.modules[name] = None  # type: ignore[assignment]
