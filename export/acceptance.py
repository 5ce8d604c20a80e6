"""Whether an artifact is close enough to its Keras model to be kept."""

from __future__ import annotations

from pathlib import Path

from tledge.core.cpu import mismatch
from tledge.core.errors import ConversionError
from tledge.core.progress import Progress
from tledge.core.sidecar import Sidecar
from tledge.export.keras_parity import Parity
from tledge.export.recipes import LARGEST_DROP, Recipe, find_recipe

LOST_PHOTOS = 1.5
"""With the usual limit, losing fewer photos than this never rejects an artifact, however few photos there are."""

ROUNDING = 1e-9
"""Points of top-1 that floating-point arithmetic may add to a drop."""


class ArtifactRejectedError(ConversionError):
    """An artifact was not kept, since its logits are too far from the Keras model's."""


def rejection_reasons(recipe: Recipe, parity: Parity, max_drop: float) -> list[str]:
    """Returns why an artifact is rejected, each reason as part of a sentence; nothing if it is accepted.

    Args:
        recipe: of the artifact.
        parity: with the Keras model.
        max_drop: points of top-1 that it may lose. With ``LARGEST_DROP`` a single photo is never too much.
    """
    reasons = []
    if parity.drop > max_drop + ROUNDING and (parity.lost > LOST_PHOTOS or max_drop < LARGEST_DROP):
        reasons.append(f"it loses {parity.drop:.1f} points of top-1, {max_drop:g} are allowed")
    ratio, floor = parity.signal_to_noise, recipe.floor
    if floor is not None and ratio is not None and ratio < floor:
        reasons.append(f"its logits are {ratio:.0f} dB above their noise, {recipe.name} has to reach {floor:g}")
    return reasons


def check_accepted(
    path: Path, sidecar: Sidecar, parity: Parity, *, max_drop: float, allow_drop: bool, progress: Progress
) -> None:
    """Checks that an artifact may be kept.

    An artifact for another kind of CPU is accepted with a warning, since its 8-bit products saturate on this machine.

    Args:
        path: where the artifact will be kept.
        sidecar: of the artifact.
        parity: with the Keras model.
        max_drop: points of top-1 that it may lose.
        allow_drop: accept it in any case.
        progress: shows the warning.

    Raises:
        ArtifactRejectedError: it is too far from the Keras model.
    """
    recipe = find_recipe(sidecar.recipe)
    reasons = rejection_reasons(recipe, parity, max_drop)
    if mismatch(sidecar.cpu):
        progress.warn(
            f"{path.name} is for {sidecar.cpu}: 8-bit products saturate on this CPU, so these figures are not those of"
            " the device, and the artifact was kept without checking them"
        )
    elif reasons and not allow_drop:
        kept = "; the earlier file stays" if path.exists() else ""
        advice = "`max_drop`, more `calibration_images`, or float16" if recipe.calibrated else "another recipe"
        raise ArtifactRejectedError(
            f"{path.name} was not kept: on {parity.images} {parity.split} photos {' and '.join(reasons)} (agreement"
            f" with Keras {parity.agreement:.3f}); try {advice}; or pass `allow_drop=True` to keep it{kept}"
        )
