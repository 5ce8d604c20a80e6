"""Batches of images, decoded ahead in parallel, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from tledge.core import images
from tledge.core.cores import usable_cores
from tledge.core.images import Pixels

A = TypeVar("A")
B = TypeVar("B")


def map_ahead(function: Callable[[A], B], items: Iterable[A], ahead: int) -> Iterator[B]:
    """Applies ``function`` in threads and yields the results in order, with at most ``ahead`` of them waiting.

    An exception of ``function`` is raised in place of its result.
    """
    with ThreadPoolExecutor(usable_cores()) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def batches(paths: Sequence[Path], size: tuple[int, int], rule: str, batch_size: int) -> Iterator[Pixels]:
    """Loads image files in order, as batches.

    Args:
        paths: image files.
        size: (height, width) of the result.
        rule: one of ``images.RESIZE_RULES``.
        batch_size: images per batch; the last one may have fewer.

    Yields:
        uint8 (n, height, width, 3), RGB.

    Raises:
        ImageError: a file cannot be read as an image.
    """
    loaded = map_ahead(lambda path: images.load_pixels(path, size, rule), paths, ahead=2 * batch_size)
    while batch := list(islice(loaded, batch_size)):
        yield np.stack(batch)
