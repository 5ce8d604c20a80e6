"""What the parameters of robustness measurements are called."""

from __future__ import annotations

CLEAN, WORST = "none", "worst"
"""In the place of an attack: the photos as they are, and the worst of all attacks, photo by photo."""

TRANSFER, DIRECT = "transfer", "direct"
"""Roads: images made on another model, and on the very artifact."""
