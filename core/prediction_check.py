"""Predictions of labelled photos, checked for the signs of wrong preprocessing or of labels in another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tledge.core.significance import SIGNIFICANT, mcnemar
from tledge.core.statistics import wilson_interval

Classes = npt.NDArray[np.intp]

LEAST_PHOTOS = 20
"""Fewer photos show nothing."""

TRIAL_PHOTOS = 200
"""Photos on which other preprocessing is tried."""

MOST_CLASSES = 100
"""Classes up to which another order of the labels is looked for."""

CONSTANT = 0.95
"""Fraction of the photos for which a model predicts one class if it does not see the photos."""


Changes = tuple[str, ...]
"""What is changed in the preprocessing, one sentence part each; empty for nothing."""


class Change(NamedTuple):
    """A way to use a model.

    Attributes:
        preprocessing: what is changed in it.
        order: the label of each output; empty if the present order stays.
    """

    preprocessing: Changes
    order: tuple[int, ...] = ()

    @property
    def changed(self) -> int:
        """The number of things that are changed."""
        return len(self.preprocessing) + bool(self.order)

    def describe(self, class_names: Sequence[str], labels: str) -> str:
        """Returns the change in words; ``labels`` is what the list of labels is called."""
        parts = list(self.preprocessing)
        if self.order:
            names = [class_names[label] for label in self.order]
            moved = [f"{place}: {name}" for place, name in enumerate(names) if name != class_names[place]]
            order = names if len(names) <= 12 else moved[:8] + ["…"] * (len(moved) > 8)
            parts.append(f"{labels} in the order {', '.join(order)}")
        return " and ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """What would make a model significantly more accurate.

    Attributes:
        changes: one way, and others that are as good.
        before, top1: accuracy without and with it, on photos that did not choose it.
        images: the number of those photos.
    """

    changes: tuple[Change, ...]
    before: float
    top1: float
    images: int

    def describe(self, class_names: Sequence[str], labels: str) -> str:
        """Returns a suggestion; ``labels`` is what the list of labels is called."""
        return (
            f"with {', or '.join(change.describe(class_names, labels) for change in self.changes)}, top-1 would be"
            f" {self.top1:.3f} instead of {self.before:.3f} ({self.images:,} photos)"
        )


def describe_fault(predicted: Classes, labels: Classes, class_names: Sequence[str]) -> str:
    """Returns why predictions look wrong: one class for all photos, or no better than guessing; otherwise empty.

    A model is better than guessing if McNemar's test finds it better than always predicting the largest class, or its
    interval of top-1 is above that class's share. Such a model may nearly always predict a class of most photos.

    Args:
        predicted, labels: (n,), the predicted and the true class of each photo.
    """
    photos, classes = len(labels), len(class_names)
    if photos < LEAST_PHOTOS or classes < 2:
        return ""
    counts, true = np.bincount(predicted, minlength=classes), np.bincount(labels, minlength=classes)
    most, largest, right = int(counts.argmax()), int(true.argmax()), predicted == labels
    better = _is_better(right, labels == largest)
    constant = counts[most] >= CONSTANT * photos and wilson_interval(int(counts[most]), photos)[0] > true[most] / photos
    if constant and not (better and 2 * true[most] > photos):
        return f"it predicts '{class_names[most]}' for {counts[most]:,} of {photos:,} photos"
    guess = int(true[largest]) / photos
    if not better and wilson_interval(int(right.sum()), photos)[0] <= guess:
        return (
            f"its top-1 of {right.mean():.3f} is not significantly better than always predicting"
            f" '{class_names[largest]}' ({guess:.3f})"
        )
    return ""


def find_remedy(predictions: Mapping[Changes, Classes], labels: Classes, classes: int) -> Remedy | None:
    """Returns what would make predictions significantly more accurate; None if nothing does.

    It is chosen on every second photo of each class, and tested on the others. More changes are chosen only if they are
    significantly better than fewer.

    Args:
        predictions: the predicted classes (n,), by the changes of the preprocessing; those without a change by ``()``.
        labels: the true classes (n,).
        classes: the number of classes.
    """
    if len(labels) < LEAST_PHOTOS:
        return None
    chooses = np.zeros(len(labels), bool)
    chooses[np.argsort(labels, kind="stable")[::2]] = True
    right = {Change(changes): found == labels for changes, found in predictions.items()}
    for changes, found in predictions.items() if 2 <= classes <= MOST_CLASSES else ():
        order = best_order(found[chooses], labels[chooses], classes)
        if list(order) != sorted(order):
            right[Change(changes, order)] = np.array(order)[found] == labels
    best = present = Change(())
    for count in range(1, 1 + max(change.changed for change in right)):
        level = [change for change in right if change.changed == count]
        better = max(level, key=lambda change: right[change][chooses].sum(), default=best)
        if _is_better(right[better][chooses], right[best][chooses]):
            best = better
    before, after = right[present][~chooses], right[best][~chooses]
    if not _is_better(after, before):
        return None
    equal = [c for c in right if c.changed == best.changed and c != best and right[c].sum() == right[best].sum()]
    return Remedy(changes=(best, *equal), before=float(before.mean()), top1=float(after.mean()), images=len(after))


def best_order(predicted: Classes, labels: Classes, classes: int) -> tuple[int, ...]:
    """Returns the label of each output that makes the most predictions right; the present one wherever it is as good.

    Source: H. W. Kuhn, The Hungarian method for the assignment problem, Naval Research Logistics Quarterly 2, 1955, in
    the form of shortest augmenting paths of R. Jonker and A. Volgenant, Computing 38, 1987.

    Args:
        predicted, labels: (n,).
        classes: the number of outputs.
    """
    pairs = np.bincount(predicted * classes + labels, minlength=classes**2).reshape(classes, classes)
    cost = np.zeros((classes + 1, classes + 1))
    cost[1:, 1:] = -pairs - np.eye(classes) / (classes + 1)
    of_outputs, of_labels = np.zeros(classes + 1), np.zeros(classes + 1)
    output_of, came_from = np.zeros(classes + 1, np.intp), np.zeros(classes + 1, np.intp)
    for output in range(1, classes + 1):
        output_of[0], label = output, 0
        least, used = np.full(classes + 1, np.inf), np.zeros(classes + 1, bool)
        while output_of[label]:
            used[label] = True
            reduced = cost[output_of[label]] - of_outputs[output_of[label]] - of_labels
            shorter = ~used & (reduced < least)
            least[shorter], came_from[shorter] = reduced[shorter], label
            label = int(np.where(used, np.inf, least).argmin())
            shift = least[label]
            of_outputs[output_of[used]] += shift
            of_labels[used] -= shift
            least[~used] -= shift
        while label:
            output_of[label] = output_of[came_from[label]]
            label = int(came_from[label])
    return tuple((np.argsort(output_of[1:])).tolist())


def _is_better(right: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_]) -> bool:
    gained, lost = int((right & ~others).sum()), int((others & ~right).sum())
    return gained > lost and mcnemar(gained, lost) < SIGNIFICANT
