"""Words on pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image, ImageDraw, ImageFont

from tledge.core.extras import require

INK = (32, 36, 42)


@dataclass(frozen=True)
class CaptionWriter:
    """A font of one size.

    Attributes:
        font: as Pillow takes it.
        size: pixels.
    """

    font: ImageFont.FreeTypeFont
    size: int

    @classmethod
    def load(cls, size: int) -> Self:
        """The DejaVu Sans that matplotlib brings, which has more than Latin letters.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        require("matplotlib", extra="train", purpose="lettering pictures")
        import matplotlib

        path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
        return cls(ImageFont.truetype(path, size), size)

    @property
    def line_height(self) -> int:
        """Pixels from one line to the next."""
        return round(1.35 * self.size)

    def wrap(self, text: str, width: int) -> list[str]:
        """The lines of a text that is no wider than some pixels; a longer word is cut off with an ellipsis."""
        lines: list[str] = []
        for paragraph in text.split("\n"):
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
        """Writes a text into a canvas, its upper left corner at (x, y), no wider than some pixels."""
        pen = ImageDraw.Draw(canvas)
        for number, line in enumerate(self.wrap(text, width)):
            pen.text((corner[0], corner[1] + number * self.line_height), line, fill=INK, font=self.font)

    def _cut(self, line: str, width: int) -> str:
        if self.font.getlength(line) <= width:
            return line
        while line and self.font.getlength(line + "…") > width:
            line = line[:-1]
        return line + "…"
