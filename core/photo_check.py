"""Whether photos can be decoded, before work starts that depends on all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.core import images
from tledge.core.errors import ImageError
from tledge.core.number_text import abridged
from tledge.core.perceptual_hash import CHECKED_AT, Thumbnails, thumbnail


@dataclass(frozen=True)
class CheckedPhoto:
    """A photo that was decoded.

    Attributes:
        sha256: of its file, as 64 hexadecimal digits.
        thumbnail: of its image; see ``perceptual_hash.thumbnail``.
    """

    sha256: str
    thumbnail: Thumbnails


def check_photo(path: Path) -> CheckedPhoto | ImageError:
    """Reads and decodes a photo; returns the error if it cannot be decoded, since there may be others."""
    try:
        content = images.read_content(path)
        image = images.decode_bytes(content, name=str(path), at_least=CHECKED_AT)
    except ImageError as error:
        return error
    return CheckedPhoto(hashlib.sha256(content).hexdigest(), thumbnail(image))


def describe_broken(broken: Sequence[tuple[str, ImageError]], remedy: str = "") -> str:
    """Returns the message for the photos, at least one, that cannot be decoded.

    Args:
        broken: the name and the error of each.
        remedy: what else to do than to repair or remove them.
    """
    first = broken[0][1]
    if len(broken) == 1:
        return f"{first}; repair or remove it{remedy}"
    others = abridged(name for name, _ in broken[1:])
    return f"{len(broken)} broken images: {first}; and {others}; repair or remove them{remedy}"
