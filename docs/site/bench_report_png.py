"""Makes docs/images/bench-report.png: the top of the report of a benchmark, as Chromium shows it.

What does not fit a readable width is left out: columns from McNemar's test on, p99 and its bound, and other sections.

python docs/site/bench_report_png.py RUN
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

IMAGE = Path(__file__).parents[1] / "images" / "bench-report.png"
WIDTH, HEIGHT = 1000, 1600
"""Of the window in pixels; the picture is cut off below its last content."""

SCALE = 1.66
MARGIN = 24
COLOURS = 256
SHOWN = """
html { --paper: #ffffff; }
body { padding: 1.5rem 1.5rem 0; }
nav, footer, details, main > section:not(.card, #table) { display: none; }
.facts .aside, figcaption { display: none; }
th:is(:nth-child(n + 8):nth-child(-n + 9), :nth-child(n + 12)) { display: none; }
td:is(:nth-child(n + 8):nth-child(-n + 9), :nth-child(n + 12)) { display: none; }
section { margin-top: 1.5rem; }
.narrow { display: none; }
"""


def main() -> None:
    """Writes the picture beside this file's folder."""
    page = (Path(sys.argv[1]) / "bench" / "report.html").read_text(encoding="utf-8")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("this needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "report.html").write_text(re.sub("</style>", f"{SHOWN}</style>", page, count=1), encoding="utf-8")
        subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={folder / 'profile'}", "--blink-settings=preferredColorScheme=1"),
                *(f"--window-size={WIDTH},{HEIGHT}", f"--force-device-scale-factor={SCALE}"),
                *(f"--screenshot={folder / 'report.png'}", (folder / "report.html").as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        picture = Image.open(io.BytesIO((folder / "report.png").read_bytes())).convert("RGB")
    content = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).getbbox()
    if content is None:
        sys.exit("the report is empty")
    cropped = picture.crop((0, 0, picture.width, min(content[3] + MARGIN, picture.height)))
    cropped.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(IMAGE, optimize=True)


if __name__ == "__main__":
    main()
