"""Handwritten digits for a small network to learn, and to be attacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tledge.attacks.attack import Goal
from tledge.core.images import Pixels

PHOTOS = 24


@dataclass(frozen=True)
class Digits:
    """Images that the network has not learned from: uint8 (N, 32, 32, 3), and their classes."""

    images: Pixels
    labels: Any

    @property
    def goal(self) -> Goal:
        return Goal(self.labels)

    @property
    def targeted(self) -> Goal:
        return Goal(self.labels, (self.labels + 1) % 10)
