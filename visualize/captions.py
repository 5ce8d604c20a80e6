"""Text drawn into pictures."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image, ImageDraw, ImageFont

from tledge.core.extras import require
from tledge.core.terminal_text import printable_lines

INK = (32, 36, 42)


@dataclass(frozen=True)
class CaptionWriter:
    """Draws text in one font and size.

    Attributes:
        font: the Pillow font.
        size: font size in pixels.
    """

    font: ImageFont.FreeTypeFont
    size: int

    @classmethod
    def load(cls, size: int) -> Self:
        """Loads DejaVu Sans, which matplotlib includes and covers more than Latin letters. Raises MissingExtraError."""
        require("matplotlib", extra="train", purpose="captions in pictures")
        import matplotlib

        path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
        return cls(ImageFont.truetype(path, size), size)

    @property
    def line_height(self) -> int:
        """Distance between lines, in pixels."""
        return round(1.35 * self.size)

    def wrap(self, text: str, width: int) -> list[str]:
        """Splits a text into lines of at most ``width`` pixels; a longer word is cut off with an ellipsis."""
        lines: list[str] = []
        for paragraph in printable_lines(text).split("\n"):
            line = ""
            for word in paragraph.split(" "):
                longer = f"{line} {word}" if line else word
                if not line or self.font.getlength(longer) <= width:
                    line = longer
                else:
                    lines.append(line)
                    line = word
            lines.append(line)
        return [self._cut(line, width) for line in lines]

    def write(self, canvas: Image.Image, text: str, corner: tuple[int, int], width: int) -> None:
        """Draws a text on a canvas, with its upper left corner at (x, y) and at most ``width`` pixels wide."""
        pen = ImageDraw.Draw(canvas)
        for index, line in enumerate(self.wrap(text, width)):
            pen.text((corner[0], corner[1] + index * self.line_height), line, fill=INK, font=self.font)

    def _cut(self, line: str, width: int) -> str:
        if self.font.getlength(line) <= width:
            return line
        ends = range(1, len(line) + 1)
        fitting = bisect_left(ends, True, key=lambda end: self.font.getlength(f"{line[:end]}…") > width)
        return line[:fitting] + "…"
