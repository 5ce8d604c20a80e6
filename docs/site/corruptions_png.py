"""Makes docs/images/corruptions.png: each corruption at severity 3, on a cat that is drawn here.

python docs/site/corruptions_png.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tledge.attacks.corruptions import CORRUPTIONS, EDGE_CORRUPTIONS, corrupt
from tledge.attacks.corruptions.filters import gaussian_blur
from tledge.attacks.corruptions.pixels import to_pixels, to_values
from tledge.core.images import Pixels

SIDE = 144
FINER = 4
COLUMNS = 6
MARGIN, LABEL = 4, 16
SEVERITY = 3
COLOURS = 256


def cat() -> Pixels:
    """uint8 (144, 144, 3): a ginger cat before a wall, with fur."""
    canvas = Image.new("RGB", (SIDE, SIDE), (96, 142, 150))
    canvas = canvas.resize((FINER * SIDE, FINER * SIDE))
    pen = ImageDraw.Draw(canvas)

    def disk(x: float, y: float, across: float, down: float, fill: tuple[int, int, int]) -> None:
        pen.ellipse(tuple(FINER * v for v in (x - across, y - down, x + across, y + down)), fill=fill)

    def polygon(fill: tuple[int, int, int], *corners: tuple[float, float]) -> None:
        pen.polygon([(FINER * x, FINER * y) for x, y in corners], fill=fill)

    for row in range(0, SIDE, 18):
        pen.line((0, FINER * row, FINER * SIDE, FINER * row), fill=(70, 112, 122), width=FINER)
    pen.rectangle((0, FINER * 122, FINER * SIDE, FINER * SIDE), fill=(120, 70, 48))
    disk(72, 140, 46, 50, (196, 116, 52))
    disk(72, 146, 22, 36, (240, 222, 196))
    for side in (-1, 1):
        polygon((186, 104, 46), (72 + side * 40, 22), (72 + side * 8, 44), (72 + side * 42, 66))
        polygon((232, 160, 140), (72 + side * 36, 32), (72 + side * 16, 46), (72 + side * 38, 58))
    disk(72, 72, 42, 37, (208, 126, 58))
    for stripe in (-14, 0, 14):
        polygon((150, 80, 36), (72 + stripe - 3, 36), (72 + stripe + 3, 36), (72 + stripe * 0.6, 56))
    disk(72, 90, 21, 16, (244, 228, 206))
    for side in (-1, 1):
        disk(72 + side * 18, 68, 9, 8, (188, 206, 72))
        disk(72 + side * 18, 68, 3, 7, (16, 16, 16))
        disk(72 + side * 18 + 2, 65, 1.5, 1.5, (255, 255, 255))
        for whisker in (-1, 0, 1):
            tips = (72 + side * 10, 90 + whisker * 2, 72 + side * 52, 88 + whisker * 10)
            pen.line(tuple(FINER * v for v in tips), fill=(250, 245, 235), width=FINER // 2)
    polygon((200, 96, 92), (66, 80), (78, 80), (72, 87))
    pen.arc(tuple(FINER * v for v in (62, 84, 72, 96)), 20, 160, fill=(90, 50, 40), width=FINER)
    pen.arc(tuple(FINER * v for v in (72, 84, 82, 96)), 20, 160, fill=(90, 50, 40), width=FINER)
    drawn = to_values(np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))
    noise = np.random.default_rng(0).standard_normal((SIDE, SIDE, 1), dtype=np.float32)
    fur = 0.1 * gaussian_blur(noise, 0.8) + 0.3 * gaussian_blur(noise, 6.0)
    return to_pixels(drawn * (1 + fur))


def main() -> None:
    """Writes the picture beside this file."""
    image = cat()[None]
    cells = [("(none)", image[0])]
    for name in (*CORRUPTIONS, *EDGE_CORRUPTIONS):
        cells.append((name, corrupt(image, name, severity=SEVERITY, seed=0)[0]))
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (SIDE + MARGIN), rows * (SIDE + LABEL)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (name, corrupted) in enumerate(cells):
        x, y = number % COLUMNS * (SIDE + MARGIN), number // COLUMNS * (SIDE + LABEL)
        pen.text((x + 2, y + 2), name, fill="black")
        sheet.paste(Image.fromarray(corrupted), (x, y + LABEL))
    dithered = sheet.quantize(palette=sheet.quantize(COLOURS), dither=Image.Dither.FLOYDSTEINBERG)
    dithered.save(Path(__file__).parents[1] / "images" / "corruptions.png", optimize=True)


if __name__ == "__main__":
    main()
