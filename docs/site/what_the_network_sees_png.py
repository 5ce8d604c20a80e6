"""Makes the pictures of docs/how-to/visualize.md: those of ``tledge visualize``, with fewer colours.

The photo is a cat that is drawn in docs/site/corruptions_png.py; the digits are the built-in ones of ``tledge train``.

python docs/site/what_the_network_sees_png.py CATS_AND_DOGS_RUN DIGITS_RUN
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from corruptions_png import cat
from PIL import Image

from tledge.visualize import visualize

IMAGES = Path(__file__).parents[1] / "images"
COLOURS = 64
ARTIFACTS = ["float32.tflite", "int8.tflite"]


def main() -> None:
    """Runs the commands that the page names, and keeps some of what they write."""
    animals, digits = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        out, photo = Path(folder), Path(folder) / "drawn-cat.png"
        Image.fromarray(cat()).save(photo)
        visualize(["ideal"], run=animals, output=out)
        visualize(["features"], run=animals, output=out, photos=[photo], layers=["block_3_expand_relu", "out_relu"])
        visualize(
            ["adversarial", "saliency"], run=animals, output=out, photos=[photo], artifacts=ARTIFACTS, target="dog"
        )
        visualize(["confusions", "embedding"], run=digits, output=out, method="tsne", tiles=5)
        for source, target in (
            ("ideal-cat.png", "ideal-cat"),
            ("ideal-dog.png", "ideal-dog"),
            ("features-drawn-cat-block_3_expand_relu-strongest.png", "features"),
            ("adversarial-drawn-cat.png", "adversarial"),
            ("saliency-drawn-cat.png", "saliency"),
            ("confusions-int8.tflite-wrong.png", "confusions"),
            ("embedding-tsne.png", "embedding"),
        ):
            reduce(out / source, IMAGES / f"sees-{target}.png")


def reduce(source: Path, target: Path) -> None:
    """Saves a picture with few colours."""
    with Image.open(source) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main()
