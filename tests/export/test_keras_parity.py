from pathlib import Path

import numpy as np
import pytest

from tledge.core.errors import ConversionError
from tledge.core.splits import Sample, Splits
from tledge.export.keras_parity import Reference

pytestmark = pytest.mark.unit


@pytest.fixture
def reference() -> Reference:
    """Four photos of two classes; Keras is wrong on the last."""
    samples = tuple(Sample(f"{index}.png", index // 2, "") for index in range(4))
    splits = Splits(root=Path(), class_names=("a", "b"), train=(), validation=samples, test=())
    logits = np.array([[2, 0], [3, 0], [0, 1], [1, 0]], np.float32)
    return Reference(splits, "validation", samples, (8, 8), "crop", logits)


def test_the_same_logits_agree_without_noise(reference: Reference) -> None:
    parity = reference.compare_logits(reference.logits.copy())
    assert (parity.agreement, parity.largest_difference, parity.signal_to_noise) == (1.0, 0.0, None)
    assert parity.top1 == parity.keras_top1 == 0.75
    assert parity.drop == 0
    assert parity.recall_change == {"a": 0.0, "b": 0.0}


def test_what_changed_is_counted_by_class_and_in_decibels(reference: Reference) -> None:
    logits = reference.logits.copy()
    logits[0] = [0, 0.5]  # no longer an "a"
    parity = reference.compare_logits(logits)
    assert parity.agreement == 0.75
    assert parity.agreement_interval[1] == pytest.approx(0.9543, abs=1e-3)
    assert parity.largest_difference == 2.0
    assert parity.signal_to_noise == pytest.approx(10 * np.log10((2 + 4.5 + 0.5 + 0.5) / (2.5**2 / 2)))
    assert parity.drop == pytest.approx(25)
    assert parity.recall_change == {"a": -0.5, "b": 0.0}


def test_logits_that_are_no_numbers_are_an_error(reference: Reference) -> None:
    logits = reference.logits.copy()
    logits[1, 0] = np.nan
    with pytest.raises(ConversionError, match="the logits of 1 of 4 photos are no numbers"):
        reference.compare_logits(logits)
