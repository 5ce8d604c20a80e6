"""Photos and the adversarial images that one attack made of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from tledge.attacks.goal import Goal, Indices
from tledge.attacks.threat_model import ThreatModel
from tledge.core.images import Pixels

ORIGINALS = "originals"
LONGEST = 80
"""Characters of a name in a path."""


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """The photos that are attacked.

    Attributes:
        pixels: uint8 (N, height, width, 3), of a model's input size.
        goal: their classes, and the target classes of a targeted attack.
        sources: (N,), where each photo came from, for people.
    """

    pixels: Pixels
    goal: Goal
    class_names: tuple[str, ...]
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def file(self, index: int) -> str:
        """Returns the path of an original in the folder of an attack set."""
        name = _path_part(self.class_names[self.goal.labels[index]])
        return f"{ORIGINALS}/{index:04d}-{name}.png"


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackedPhotos:
    """The adversarial images of one attack at one eps, for N photos.

    Attributes:
        white_box: whether it used gradients of the model that the artifacts were exported from.
        source: name of the model or artifact that it attacked.
        source_sha256: of that file.
        threat: the allowed changes.
        steps: steps of each restart, or queries.
        images: uint8 (N, height, width, 3).
        made_at: (N,), the eps at which each image was found, which may be smaller; infinite where there is no image.
        queries: (N,), the images of each photo shown to the attacked model.
        seconds: duration of the attack, including the smaller eps that it continued from.
    """

    attack: str
    white_box: bool
    source: str
    source_sha256: str
    threat: ThreatModel
    steps: int
    seed: int
    images: Pixels
    made_at: npt.NDArray[np.float64]
    queries: Indices
    seconds: float

    @property
    def exists(self) -> npt.NDArray[np.bool_]:
        """(N,), whether there is an image of each photo."""
        exists: npt.NDArray[np.bool_] = self.made_at <= self.threat.eps
        return exists

    def shown(self, originals: Pixels) -> Pixels:
        """Returns the images that a model is shown: uint8 (N, height, width, 3), the original where there is none."""
        return np.where(self.exists[:, None, None, None], self.images, originals)

    def file(self, index: int) -> str:
        """Returns the path of an image in the folder of an attack set."""
        folder = f"{_path_part(self.attack)}-{_path_part(self.source)}-{self.threat.norm}-{self.made_at[index]:g}"
        return f"{folder}/{index:04d}.png"


def _path_part(name: str) -> str:
    """Returns a name as part of a path, different for every name."""
    quoted = quote(name, safe=" ", errors="backslashreplace")
    if len(quoted) <= LONGEST:
        return quoted
    digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()
    return f"{quoted[: LONGEST - 9]}-{digest[:8]}"
