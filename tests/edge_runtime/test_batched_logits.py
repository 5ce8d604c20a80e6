"""Logits of many images, a batch at a time."""

from typing import Any

import numpy as np
import pytest

from tledge.core.images import Pixels
from tledge.core.progress import Step
from tledge.edge_runtime.batched_logits import batched_logits

pytestmark = pytest.mark.unit

IMAGES = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)


class Recorder(Step):
    def __init__(self) -> None:
        self.counts: list[int] = []

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.counts.append(count)


@pytest.mark.parametrize(
    ("images", "options", "sizes"),
    [
        (IMAGES, {"batch_size": 3}, [3, 3, 1]),
        (IMAGES, {"batch_size": 7}, [7]),
        (IMAGES, {}, [7]),
        (np.repeat(IMAGES, 10, axis=0), {}, [32, 32, 6]),
        ((IMAGES[begin : begin + 2] for begin in (0, 2, 4, 6)), {}, [2, 2, 2, 1]),
    ],
)
def test_all_images_are_shown_once_in_order(images: Any, options: Any, sizes: list[int]) -> None:
    shown = []

    def model(batch: Pixels) -> Any:
        shown.append(len(batch))
        return np.stack([batch[:, 0, 0, 0], batch[:, 1, 1, 2]], axis=1).astype(np.float64)

    step = Recorder()
    logits = batched_logits(model, images, step=step, **options)
    assert shown == step.counts == sizes
    assert logits.dtype == np.float32
    expected = np.repeat(np.arange(7), sum(sizes) // 7)
    np.testing.assert_array_equal(logits, np.stack([expected, expected], axis=1))
