"""Names in the parameters of robustness measurements."""

from __future__ import annotations

CLEAN, WORST = "none", "worst"
"""Names in place of an attack: the original photos, and the worst of all attacks, chosen for each photo."""

TRANSFER, DIRECT = "transfer", "direct"
"""Where attacked images were made: on another model, or on the artifact itself."""
