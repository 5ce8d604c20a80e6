"""Errors and disagreements of fixed logits, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tledge.core.images import Pixels
from tledge.edge_runtime.tensor import softmax
from tledge.visualize.kinds.confusions import ClassifiedPhotos
from tledge.visualize.pictures import Grid

pytestmark = pytest.mark.unit

PHOTOS = ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]
LABELS = np.array([0, 0, 1, 1, 2, 2])
FLOAT = np.array([[4, 0, 0], [3, 0, 0], [0, 2, 0], [5, 0, 0], [0, 0, 1], [0, 2, 0]], np.float32)
"""Right about a, b, c and e; takes d for 0 and f for 1."""
SMALL = np.array([[4, 0, 0], [0, 2, 0], [0, 2, 0], [0, 3, 0], [6, 0, 0], [0, 2, 0]], np.float32)
"""Wrong about b (2 ahead), e (6 ahead) and f (2 ahead); disagrees with FLOAT on b, d and e."""


def classified(name: str, logits: np.ndarray) -> ClassifiedPhotos:
    return ClassifiedPhotos(
        name=name,
        class_names=("cat", "dog", "owl"),
        photos=PHOTOS,
        labels=LABELS,
        scores=softmax(logits),
        float_scores=softmax(FLOAT),
    )


def score(ahead: float) -> float:
    return float(np.exp(ahead) / (np.exp(ahead) + 2))


def test_errors_and_disagreements_are_listed_by_confidence() -> None:
    small = classified("small.tflite", SMALL)
    assert small.wrong == [4, 1, 5]
    assert small.disagreeing == [4, 3, 1]
    assert small.sentence == (
        "small.tflite gets 3 of 6 test photos wrong; its most confident error predicts cat for a photo of owl with"
        " score 0.995; it disagrees with the Keras model on 3."
    )
    assert "small.tflite gets 3 of 6 photos wrong;" in replace(small, kind="photos").sentence
    keras = classified("model.keras", FLOAT)
    assert keras.wrong == [3, 5]
    assert keras.disagreeing == []


def test_figures_name_photos_classes_and_predictions() -> None:
    figures = classified("small.tflite", SMALL).figures(2)
    assert (figures["top1"], figures["wrong"], figures["disagreeing"]) == (0.5, 3, 3)
    assert figures["surest_errors"] == [
        {"photo": "e.png", "class": "owl", "prediction": "cat", "score": pytest.approx(score(6))},
        {"photo": "b.png", "class": "cat", "prediction": "dog", "score": pytest.approx(score(2))},
    ]
    assert figures["disagreements"] == [
        {
            "photo": "e.png",
            "class": "owl",
            "prediction": "cat",
            "float_prediction": "owl",
            "score": pytest.approx(score(6)),
        },
        {
            "photo": "d.png",
            "class": "dog",
            "prediction": "dog",
            "float_prediction": "cat",
            "score": pytest.approx(score(3)),
        },
    ]


def test_only_photos_that_are_shown_are_read() -> None:
    read: list[int] = []

    def load(photo: int) -> Pixels:
        read.append(photo)
        return np.full((4, 4, 3), photo, np.uint8)

    wrong, disagreeing = classified("small.tflite", SMALL).pictures(2, load)
    assert isinstance(wrong, Grid)
    assert isinstance(disagreeing, Grid)
    assert [int(tile.pixels[0, 0, 0]) for tile in wrong.tiles] == [4, 1]
    assert [int(tile.pixels[0, 0, 0]) for tile in disagreeing.tiles] == [4, 3]
    assert set(read) == {1, 3, 4}
    assert disagreeing.tiles[1].label == f"d.png\nsmall.tflite: dog ({score(3):.3f}) ✓\nKeras: cat ({score(5):.3f})"
    assert wrong.tiles[0].label == f"e.png\nowl → cat ({score(6):.3f})"
