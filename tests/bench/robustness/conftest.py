"""An attack set that the tests of this room share."""

import numpy as np
import pytest

from tledge.attacks.goal import Goal
from tledge.attacks.threat_model import ThreatModel
from tledge.bench.robustness.attack_set import AttackSet
from tledge.bench.robustness.attacked_photos import AttackedPhotos, PhotoSet


@pytest.fixture
def attack_set() -> AttackSet:
    """Four photos, of which an attack with eps 2 fooled three, one of them within eps 1."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(10, 240, (4, 8, 8, 3), np.uint8)
    photos = PhotoSet(pixels, Goal(np.array([0, 1, 1, 0])), ("cat", "dog/wolf"), tuple("abcd"))
    made_at = np.array([1.0, 2.0, np.inf, 2.0])
    change = np.where(np.isfinite(made_at), made_at, 0)[:, None, None, None].astype(np.uint8)
    attacked = AttackedPhotos(
        attack="square",
        white_box=False,
        source="a/int8.tflite",
        source_sha256="0" * 64,
        threat=ThreatModel("linf", 2),
        steps=10,
        seed=0,
        images=pixels + change,
        made_at=made_at,
        queries=np.array([3, 7, 11, 9]),
        seconds=1.5,
    )
    return AttackSet(photos, (attacked,))
