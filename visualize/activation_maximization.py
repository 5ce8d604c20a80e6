"""Activation maximization: an image that a network takes for a class more than any photo, climbed to from noise.

Source: Erhan, Bengio, Courville and Vincent, Visualizing higher-layer features of a deep network, 2009; Simonyan,
Vedaldi and Zisserman, arXiv 1312.6034, section 2 (the logit, not its softmax; the L2 term); Mahendran and Vedaldi,
arXiv 1412.0035 (the total-variation term and jitter); Mordvintsev, Olah and Tyka, Inceptionism, 2015 (scales, from
coarse to fine, and gradients brought to one length).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tledge.core.errors import OptionError
from tledge.core.images import Pixels
from tledge.visualize.logit_gradients import LogitGradient
from tledge.visualize.total_variation import total_variation_gradient

Floats = npt.NDArray[np.float32]

GREY, WHITE = 127.5, 255.0
NOISE = 20.0
"""Standard deviation of the noise at the start, in pixel values."""

FIRST_STEP, LAST_STEP = 10.0, 0.1
"""Length of the first and the last step of each scale: root mean square, in pixel values."""

SMALLEST_SIDE = 4
"""Pixels of the coarsest image that is climbed on."""

SHOWN = 24
"""Images on the way that are kept."""


@dataclass(frozen=True, kw_only=True)
class AscentOptions:
    """How an ideal image is climbed to.

    Attributes:
        steps: along the gradient, over all scales.
        l2: how strongly values are pulled to middle grey: at one standard deviation of the noise from it, the pull is
            this part of a step.
        jitter: by how many pixels, at most, the image is moved about before each step.
        scales: how often the image doubles its size on the way; 1 climbs at full size from the start.
        seed: of the noise and the jitter.
    """

    steps: int
    l2: float
    jitter: int
    scales: int
    seed: int

    def check(self, size: tuple[int, int]) -> None:
        """Raises OptionError for what is no way to climb to an image of (height, width)."""
        most = 1 + int(math.log2(max(1, min(size) // SMALLEST_SIDE)))
        for name, value, least, largest in (
            ("--steps", self.steps, 1, 100_000),
            ("--l2", self.l2, 0, 1),
            ("--jitter", self.jitter, 0, min(size) // 2),
            ("--scales", self.scales, 1, most),
            ("--seed", self.seed, 0, 2**32 - 1),
        ):
            if not least <= value <= largest:
                raise OptionError(
                    f"{name} must be between {least:g} and {largest:g} for images of {size[0]} × {size[1]} pixels;"
                    f" received {value:g}"
                )
        if self.steps < self.scales:
            raise OptionError(f"--steps {self.steps} are too few for {self.scales} scales; make one step at each")


@dataclass(frozen=True)
class Ascent:
    """K images of one class, climbed to from the same noise by the same jitter.

    Attributes:
        images: uint8 (K, height, width, 3).
        frames: the images on the way, each uint8 (K, height, width, 3); the last are ``images``.
        frame_steps: how many steps had been made for each frame.
    """

    images: Pixels
    frames: Sequence[Pixels]
    frame_steps: Sequence[int]


def ascend(
    gradient: LogitGradient,
    target: int,
    size: tuple[int, int],
    *,
    weights: Sequence[float],
    options: AscentOptions,
    advance: Callable[[], None],
) -> Ascent:
    """Climbs to K images of a class, which differ in their total-variation term alone.

    Args:
        gradient: of the network, whose input is pixel values of 0 to 255, (N, height, width, 3).
        target: the class.
        size: (height, width).
        weights: (K,), of the total-variation term; 0 leaves it out. The gradient of the logit is brought to root mean
            square 1 before they are added up, that of the term is not: it is 0 where the image is flat, and up to 4
            times the weight where it is rough, so that at 1 the term mostly outweighs the class.
        options: all the rest.
        advance: is called after each step.
    """
    rng = np.random.default_rng(options.seed)
    count = len(weights)
    targets = np.full(count, target, np.intp)
    smoothness = np.array(weights, np.float32).reshape(-1, 1, 1, 1)
    coarse = [_side_sizes(size, scale) for scale in reversed(range(options.scales))]
    image = np.float32(GREY) + rng.normal(0, NOISE, (1, *coarse[0], 3)).astype(np.float32)
    image = image.repeat(count, axis=0)
    shown = {round(place) for place in np.linspace(0, options.steps, SHOWN)}
    frames, frame_steps = [_rounded(_enlarged(image, size))], [0]
    done = 0
    for scale, own_size in enumerate(coarse):
        image = _enlarged(image, own_size)
        steps = options.steps * (scale + 1) // options.scales - options.steps * scale // options.scales
        for step in range(steps):
            down, across = rng.integers(-options.jitter, options.jitter + 1, 2)
            pull = _climb(gradient, image, targets, size=size, moves=(int(down), int(across)))
            pull -= smoothness * total_variation_gradient(image)
            pull -= np.float32(options.l2 / NOISE) * (image - np.float32(GREY))
            share = 0.5 * (1 + math.cos(math.pi * step / steps))
            image = np.clip(image + np.float32(LAST_STEP + (FIRST_STEP - LAST_STEP) * share) * pull, 0, WHITE)
            done += 1
            if done in shown:
                frames.append(_rounded(_enlarged(image, size)))
                frame_steps.append(done)
            advance()
    return Ascent(frames[-1], frames, frame_steps)


def _climb(
    gradient: LogitGradient,
    image: Floats,
    targets: npt.NDArray[np.intp],
    *,
    size: tuple[int, int],
    moves: tuple[int, int],
) -> Floats:
    """The gradient of the logits by images of any size, which the network sees enlarged and moved about; root mean
    square 1 for each image, 0 where there is none.
    """
    down, across = moves
    seen = np.roll(_enlarged(image, size), (down, across), axis=(1, 2))
    _, found = gradient(seen, targets)
    found = _reduced(np.roll(found, (-down, -across), axis=(1, 2)), image.shape[1:3])
    length: Floats = np.sqrt(np.square(found).mean(axis=(1, 2, 3), keepdims=True))
    length[length == 0] = 1
    return found / length


def _side_sizes(size: tuple[int, int], scale: int) -> tuple[int, int]:
    return max(1, size[0] // 2**scale), max(1, size[1] // 2**scale)


def _interpolation(side: int, larger: int) -> Floats:
    """The matrix (larger, side) of linear interpolation between pixel centres."""
    matrix = np.zeros((larger, side), np.float32)
    places = (np.arange(larger) + 0.5) * side / larger - 0.5
    below = np.floor(places).astype(np.intp)
    share = (places - below).astype(np.float32)
    rows = np.arange(larger)
    np.add.at(matrix, (rows, np.clip(below, 0, side - 1)), 1 - share)
    np.add.at(matrix, (rows, np.clip(below + 1, 0, side - 1)), share)
    return matrix


def _enlarged(images: Floats, size: tuple[int, int]) -> Floats:
    """Images (N, h, w, 3) at (height, width), by bilinear interpolation."""
    if images.shape[1:3] == size:
        return images
    down, across = (_interpolation(side, larger) for side, larger in zip(images.shape[1:3], size, strict=True))
    found: Floats = np.einsum("ah,nhwc,bw->nabc", down, images, across, optimize=True).astype(np.float32)
    return found


def _reduced(gradients: Floats, size: tuple[int, int]) -> Floats:
    """The gradients by images of a smaller size of which those given are by the enlarged ones: the transpose."""
    if gradients.shape[1:3] == size:
        return gradients
    down, across = (_interpolation(side, larger) for side, larger in zip(size, gradients.shape[1:3], strict=True))
    found: Floats = np.einsum("ah,nabc,bw->nhwc", down, gradients, across, optimize=True).astype(np.float32)
    return found


def _rounded(images: Floats) -> Pixels:
    return np.rint(np.clip(images, 0, WHITE)).astype(np.uint8)
