"""Validation under a short attack, which adversarial training compares its epochs by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tledge.attacks.goal import Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.losses import CROSS_ENTROPY
from tledge.attacks.threat_model import LINF, ThreatModel
from tledge.core.image_batches import batches
from tledge.core.splits import Splits
from tledge.train.evaluation import Evaluation
from tledge.train.inference import BATCH_SIZE

STEPS = 3
"""Steps of the attack."""

TOTAL_LENGTH = 2.5
"""Length of all steps together, in radii of the ball."""

Logits = npt.NDArray[np.float32]


def evaluate_under_attack(
    model: GradientModel, splits: Splits, split: str, *, eps: int, size: tuple[int, int], resize: str
) -> tuple[Evaluation, Evaluation]:
    """Evaluates a model on the photos of a split, unchanged and under a few steps of PGD.

    The attack is short: its robust accuracy is an upper bound, good enough to compare the epochs of a training.

    Source: Madry et al., Towards deep learning models resistant to adversarial attacks, arXiv 1706.06083.

    Args:
        model: the model.
        splits: the photos.
        split: "train", "validation" or "test".
        eps: the radius in the L-infinity norm, in pixel values 0 to 255.
        size: (height, width) of the resized photos.
        resize: the resize rule.

    Returns:
        The evaluation on the unchanged photos, and under attack. A photo that is misclassified unchanged stays
        misclassified under attack.
    """
    samples = splits.samples(split)
    labels = np.array([sample.label for sample in samples], np.intp)
    threat = ThreatModel(LINF, eps)
    clean, attacked = [], []
    done = 0
    for pixels in batches(splits.paths(samples), size, resize, BATCH_SIZE):
        goal = Goal(labels[done : done + len(pixels)])
        images = pixels.astype(np.float32)
        for step in range(STEPS):
            found = model.gradients(images, goal, CROSS_ENTROPY)
            if step == 0:
                clean.append(found.logits)
            images += TOTAL_LENGTH * eps / STEPS * threat.steepest(found.gradients)
            images = threat.project(images, pixels)
        attacked.append(lower_margins(goal, clean[-1], model.logits(threat.round(images, pixels))))
        done += len(pixels)
    first, second = (Evaluation(np.concatenate(parts).astype(np.float64), labels) for parts in (clean, attacked))
    return first, second


def lower_margins(goal: Goal, clean: Logits, attacked: Logits) -> Logits:
    """Returns for each photo the logits that are closer to the attack's goal; the clean ones if both are equally close.

    Args:
        goal: the goal of the attack.
        clean: (N, classes), on the unchanged photos.
        attacked: (N, classes), on the attacked photos.
    """
    closer = goal.margins(attacked) < goal.margins(clean)
    return np.where(closer[:, np.newaxis], attacked, clean)
