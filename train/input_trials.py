"""Why an imported model's predictions look wrong: other input ranges, channel orders and class orders, tried on photos.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tledge.core.balanced_sample import choose_balanced
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.prediction_check import TRIAL_PHOTOS, Changes, Classes, describe_fault, find_remedy
from tledge.core.splits import Sample, Splits
from tledge.train.evaluation import BATCH_SIZE, Evaluation
from tledge.train.keras_file import INPUT_RANGES


def explain_predictions(
    model: Any,
    splits: Splits,
    evaluations: tuple[Evaluation, ...],
    *,
    input_range: str,
    colour: str,
    size: tuple[int, int],
    resize: str,
) -> str:
    """Returns what is wrong with the predictions of a model, and what would mend them; empty if nothing seems wrong.

    Args:
        model: a ``keras.Model`` from pixel values to logits.
        splits: its photos. If few are for validation and testing, others are added: it was not trained on them here.
        evaluations: of the validation and the test split.
        input_range: the key of ``INPUT_RANGES`` that its pixel values are converted by.
        colour: the channels that it is given, one of ``core.preprocessing.COLOURS``.
        size: (height, width).
    """
    names, samples = splits.class_names, splits.validation + splits.test
    predicted = np.concatenate([found.logits.argmax(axis=1) for found in evaluations])
    others = max(0, min(TRIAL_PHOTOS - len(samples), len(splits.train)))
    added = choose_balanced(splits.train, [sample.label for sample in splits.train], others, 0)

    def load(chosen: Sequence[Sample]) -> Iterator[Pixels]:
        return batches(splits.paths(tuple(chosen)), size, resize, BATCH_SIZE)

    more = [_classify(model, pixels.astype(np.float32)) for pixels in load(added)]
    predicted, samples = np.concatenate([predicted, *more]), (*samples, *added)
    labels = np.array([sample.label for sample in samples], np.intp)
    fault = describe_fault(predicted, labels, names)
    remedy = find_remedy({(): predicted}, labels, len(names))
    if not fault and remedy is None:
        return ""
    chosen = choose_balanced(range(len(samples)), labels.tolist(), TRIAL_PHOTOS, 0)
    found: dict[Changes, list[Classes]] = {}
    for pixels in load([samples[index] for index in chosen]):
        for changes, image in _variants(pixels.astype(np.float32), input_range, colour).items():
            found.setdefault(changes, []).append(_classify(model, image))
    tried = {changes: np.concatenate(parts) for changes, parts in found.items()}
    remedy = find_remedy(tried, labels[list(chosen)], len(names)) or remedy
    advice = "" if remedy is None else remedy.describe(names, "`labels`")
    return "; ".join(filter(None, (fault or "some classes are taken for others", advice)))


def _classify(model: Any, image: Any) -> Classes:
    classes: Classes = np.asarray(model.predict_on_batch(image)).argmax(axis=1)
    return classes


def _variants(pixels: Any, present: str, colour: str) -> dict[Changes, Any]:
    """Returns pixel values that a model sees as if it were given another input range or order of channels."""
    scale, offset = INPUT_RANGES[present]
    found: dict[Changes, Any] = {}
    other = {"rgb": "bgr", "bgr": "rgb"}.get(colour)
    for swapped in ((), (f"`colour='{other}'`",))[: 2 if other else 1]:
        for name, (other_scale, other_offset) in INPUT_RANGES.items():
            changes = (() if name == present else (f"`input_range='{name}'`",)) + swapped
            image = pixels if name == present else (other_scale * pixels + other_offset - offset) / scale
            found[changes] = image[..., ::-1] if swapped else image
    return dict(sorted(found.items(), key=lambda item: len(item[0])))
