"""Activation maximization: gradient ascent from noise to an image with a high logit for one class.

Source: Erhan, Bengio, Courville and Vincent, Visualizing higher-layer features of a deep network, 2009; Simonyan,
Vedaldi and Zisserman, arXiv 1312.6034, section 2 (the logit, not its softmax; the L2 term); Mahendran and Vedaldi,
arXiv 1412.0035 (the total-variation term and jitter); Mordvintsev, Olah and Tyka, Inceptionism, 2015 (scales, from
coarse to fine, and gradients scaled to a fixed length).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tledge.attacks.goal import Indices
from tledge.core.errors import OptionError
from tledge.core.images import Floats, Pixels
from tledge.visualize.logit_gradients import LogitGradient
from tledge.visualize.total_variation import total_variation_gradient

GREY, WHITE = 127.5, 255.0
NOISE = 20.0
"""Standard deviation of the noise at the start, in pixel values."""

FIRST_STEP, LAST_STEP = 10.0, 0.1
"""Root mean square of the first and the last step of each scale, in pixel values."""

SMALLEST_SIDE = 4
"""Side of the coarsest image, in pixels."""

SHOWN = 24
"""Frames kept for the animation."""


@dataclass(frozen=True, kw_only=True)
class AscentOptions:
    """Settings of the gradient ascent.

    Attributes:
        steps: number of gradient steps, over all scales.
        l2: strength of the pull toward middle grey, as a fraction of a step at one standard deviation of the noise.
        jitter: largest random shift before each step, in pixels.
        scales: number of image sizes, each twice the one before; 1 works at full size from the start.
        seed: seed of the noise and the jitter.
    """

    steps: int
    l2: float
    jitter: int
    scales: int
    seed: int

    def check(self, size: tuple[int, int]) -> None:
        """Raises OptionError if a setting is too large for images of (height, width), or the steps are too few."""
        most = 1 + int(math.log2(max(1, min(size) // SMALLEST_SIDE)))
        for name, value, largest in (("jitter", self.jitter, min(size) // 2), ("scales", self.scales, most)):
            if value > largest:
                raise OptionError(
                    f"`{name}` must be at most {largest} for images of {size[0]} × {size[1]} pixels; received {value}"
                )
        if self.steps < self.scales:
            raise OptionError(
                f"`steps={self.steps}` is too few for {self.scales} scales; use at least one step per scale"
            )


@dataclass(frozen=True)
class Ascent:
    """K images of one class, made from the same noise with the same jitter.

    Attributes:
        images: uint8 (K, height, width, 3).
        frames: intermediate images, each uint8 (K, height, width, 3); the last frame equals ``images``.
        frame_steps: number of steps before each frame.
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
    """Makes K images of a class that differ only in the weight of their total-variation term.

    Args:
        gradient: logit gradients of a network that takes pixel values 0 to 255, (N, height, width, 3).
        target: index of the class.
        size: (height, width).
        weights: (K,), weight of the total-variation term; 0 leaves it out. The gradient of the logit is scaled to root
            mean square 1, that of the term is not: it ranges from 0 in flat areas to 4 times the weight in rough
            ones, so a weight of 1 mostly outweighs the class.
        options: settings of the ascent.
        advance: called after each step.
    """
    rng = np.random.default_rng(options.seed)
    count = len(weights)
    targets = np.full(count, target, np.intp)
    smoothness = np.array(weights, np.float32).reshape(-1, 1, 1, 1)
    halvings = reversed(range(options.scales))
    coarse = [(max(1, size[0] // 2**times), max(1, size[1] // 2**times)) for times in halvings]
    image = np.float32(GREY) + rng.normal(0, NOISE, (1, *coarse[0], 3)).astype(np.float32)
    image = image.repeat(count, axis=0)
    kept_steps = {round(step) for step in np.linspace(0, options.steps, SHOWN)}
    frames, frame_steps = [_round(_enlarge(image, size))], [0]
    done = 0
    for scale, own_size in enumerate(coarse):
        image = _enlarge(image, own_size)
        steps = options.steps * (scale + 1) // options.scales - options.steps * scale // options.scales
        for step in range(steps):
            down, across = rng.integers(-options.jitter, options.jitter + 1, 2)
            pull = _normalized_gradient(gradient, image, targets, size=size, shift=(int(down), int(across)))
            pull -= smoothness * total_variation_gradient(image)
            pull -= np.float32(options.l2 / NOISE) * (image - np.float32(GREY))
            share = 0.5 * (1 + math.cos(math.pi * step / steps))
            image = np.clip(image + np.float32(LAST_STEP + (FIRST_STEP - LAST_STEP) * share) * pull, 0, WHITE)
            done += 1
            if done in kept_steps:
                frames.append(_round(_enlarge(image, size)))
                frame_steps.append(done)
            advance()
    return Ascent(frames[-1], frames, frame_steps)


def _normalized_gradient(
    gradient: LogitGradient,
    image: Floats,
    targets: Indices,
    *,
    size: tuple[int, int],
    shift: tuple[int, int],
) -> Floats:
    """Returns the gradient of the logits with respect to images of any size.

    The network gets the images enlarged and shifted. Each gradient has root mean square 1, or 0 if it vanishes.
    """
    down, across = shift
    shifted = np.roll(_enlarge(image, size), (down, across), axis=(1, 2))
    _, found = gradient(shifted, targets)
    found = _reduce(np.roll(found, (-down, -across), axis=(1, 2)), image.shape[1:3])
    length: Floats = np.sqrt(np.square(found).mean(axis=(1, 2, 3), keepdims=True))
    length[length == 0] = 1
    return found / length


def _interpolation(side: int, larger: int) -> Floats:
    """Returns the matrix (larger, side) of linear interpolation between pixel centres."""
    matrix = np.zeros((larger, side), np.float32)
    positions = (np.arange(larger) + 0.5) * side / larger - 0.5
    below = np.floor(positions).astype(np.intp)
    share = (positions - below).astype(np.float32)
    rows = np.arange(larger)
    np.add.at(matrix, (rows, np.clip(below, 0, side - 1)), 1 - share)
    np.add.at(matrix, (rows, np.clip(below + 1, 0, side - 1)), share)
    return matrix


def _enlarge(images: Floats, size: tuple[int, int]) -> Floats:
    """Returns images (N, h, w, 3) enlarged to (height, width) by bilinear interpolation."""
    if images.shape[1:3] == size:
        return images
    down, across = (_interpolation(side, larger) for side, larger in zip(images.shape[1:3], size, strict=True))
    found: Floats = np.einsum("ah,nhwc,bw->nabc", down, images, across, optimize=True).astype(np.float32)
    return found


def _reduce(gradients: Floats, size: tuple[int, int]) -> Floats:
    """Returns gradients with respect to the small images, given those of the enlarged ones."""
    if gradients.shape[1:3] == size:
        return gradients
    down, across = (_interpolation(side, larger) for side, larger in zip(size, gradients.shape[1:3], strict=True))
    found: Floats = np.einsum("ah,nabc,bw->nhwc", down, gradients, across, optimize=True).astype(np.float32)
    return found


def _round(images: Floats) -> Pixels:
    return np.rint(np.clip(images, 0, WHITE)).astype(np.uint8)
